"""What GPUs are rented for elsewhere, as providers publish it, in one form: USD for one GPU for one hour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

# The words of `price_tier`, `host_tier` and `basis`, as labels and in the configuration.
PRICE_TIERS = ("ondemand", "spot", "reserved")
HOST_TIERS = ("datacenter", "community")
BASES = ("gpu_only", "instance", "bid_stats", "list")
FAILURES = ("network", "timeout", "auth", "rate_limited", "http", "parse", "schema", "empty")
# `unasked`: a filter of the question was not obeyed.
REJECTIONS = ("unmapped", "implausible", "no_price", "no_count", "currency", "mig", "cpu_only", "unasked")
MOST_AVAILABLE = 10_000_000  # GPUs of one offer: all that there are


@dataclass(frozen=True, slots=True)
class Offer:
    """One thing that can be rented. Prices are per GPU, whatever the provider prices."""

    provider: str
    card: str  # slug of the card catalogue, such as h100-sxm5-80gb
    usd_per_gpu_hour: Decimal
    price_tier: str = "ondemand"
    host_tier: str = "datacenter"
    region: str = ""  # as the provider writes it; "" where it says none
    country: str = ""  # ISO 3166 alpha-2, "" where it cannot be told
    node_gpus: int = 1  # GPUs that are sold together
    available_gpus: int | None = None  # None: the provider does not say
    reliability_ratio: float | None = None
    nvlink: bool | None = None
    offer_id: str = ""
    url: str = ""
    note: str = ""  # date and origin of a price row


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole, good reply of one provider."""

    offers: tuple[Offer, ...]
    rejected: Mapping[str, int] = field(default_factory=dict)  # reason of REJECTIONS -> rows
    unmapped: tuple[str, ...] = ()  # labels that the card catalogue does not know, at most 50
    truncated: bool = False  # the provider showed a part of what it has


@dataclass(frozen=True, slots=True)
class ProviderReport:
    """One provider: the last good reply, and how asking goes. Times are Unix seconds."""

    provider: str
    basis: str
    source: str  # host that is asked; "recording", "file"
    max_age_seconds: float
    fetched: Fetched | None = None
    success_seconds: float | None = None
    duration_seconds: float | None = None
    fetches: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)

    def fresh(self, now_seconds: float) -> bool:
        """Whether the last good reply may still be shown."""
        return self.success_seconds is not None and now_seconds - self.success_seconds < self.max_age_seconds


@dataclass(frozen=True, slots=True)
class Market:
    """All providers that are asked. Replaced as a whole; nobody changes one."""

    providers: tuple[ProviderReport, ...] = ()

    def offers(self, now_seconds: float) -> tuple[Offer, ...]:
        """What is on offer, of every provider whose reply is fresh."""
        return tuple(
            offer
            for report in self.providers
            if report.fetched is not None and report.fresh(now_seconds)
            for offer in report.fetched.offers
        )


Series = Mapping[tuple[str, ...], float]  # values of the family's labels -> value


@dataclass(frozen=True, slots=True, eq=False)
class MarketFigures:
    """What a scrape shows of the market: family -> series. Equal only to itself, by which texts are kept."""

    families: Mapping[str, Series]
