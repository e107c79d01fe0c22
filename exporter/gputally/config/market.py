"""The block `market`: which providers are asked for prices, and how their offers are compared.

market:
  interval: 10m
  max_series: 5000
  region: all
  rates: {EUR: 1.16}
  gscore: {price: 0.5, reliability: 0.3, availability: 0.2, gpus: 8}
  aliases: {"my H100 box": h100-sxm5-80gb}
  providers: {vast: {}, akash: {interval: 30m}}
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from gputally.config.checked import CURRENCY, Check
from gputally.config.providers import (
    CLOUD_NAMES,
    CLOUDS,
    INTERVAL_MAX_NS,
    INTERVAL_MIN_NS,
    KINDS,
    STATIC,
    Given,
    PriceRow,
    ProviderSettings,
    read_card,
    read_providers,
)
from gputally.config.rentals import MFU, Plan, Rental, read_plans, read_rentals
from gputally.config.strict import Section

__all__ = [
    "CLOUDS",
    "CLOUD_NAMES",
    "KINDS",
    "MFU",
    "STATIC",
    "GScore",
    "MarketSettings",
    "Plan",
    "PriceRow",
    "ProviderSettings",
    "Rental",
    "read_market",
    "read_plans",
    "read_rentals",
]

REGIONS = ("all", "continent", "country")
INTERVAL_NS = 600_000_000_000
MAX_SERIES, MOST_SERIES, FEWEST_SERIES = 5000, 20_000, 10
MOST_ALIASES, LONGEST_ALIAS = 500, 128
_ZERO, _ONE = Decimal(0), Decimal(1)
_LEAST_RATE, _MOST_RATE = Decimal("0.000001"), Decimal(1000)


@dataclass(frozen=True, slots=True)
class GScore:
    """What counts how much when an offer is judged, and for how many GPUs there is room enough."""

    price: Decimal = Decimal("0.5")
    reliability: Decimal = Decimal("0.3")
    availability: Decimal = Decimal("0.2")
    gpus: int = 8


_WEIGHTS = GScore()


@dataclass(frozen=True, slots=True)
class MarketSettings:
    """Everything that is said of the market."""

    providers: tuple[ProviderSettings, ...] = ()
    max_series: int = MAX_SERIES
    region: str = "all"
    rates: Mapping[str, Decimal] = field(default_factory=dict)  # currency -> USD for one; not of USD itself
    gscore: GScore = _WEIGHTS
    aliases: Mapping[str, str] = field(default_factory=dict)  # label of a provider or of NVML -> card


def read_market(root: Section, folder: Path, check_card: Check) -> MarketSettings | None:
    """Read the block; None where there is none. Files are relative to `folder`.

    Raises ConfigError with file, line and key.
    """
    market = root.mapping("market")
    interval_ns = market.duration_ns(
        "interval", INTERVAL_NS, minimum=INTERVAL_MIN_NS, maximum=INTERVAL_MAX_NS
    )
    rates, aliases = _rates(market.mapping("rates")), _aliases(market.mapping("aliases"), check_card)
    gscore = _gscore(market.mapping("gscore"))
    max_series = market.integer("max_series", MAX_SERIES, minimum=FEWEST_SERIES, maximum=MOST_SERIES)
    region = market.choice("region", REGIONS, "all")
    given = Given(folder, check_card, interval_ns, rates)
    providers = read_providers(market.mapping("providers"), given)
    if not market.present:
        return None
    return MarketSettings(providers, max_series, region, rates, gscore, aliases)


def _rates(section: Section) -> dict[str, Decimal]:
    rates = {}
    for currency, value in section.items():
        if currency == "USD":
            raise value.error("1 by itself: rates are USD for one of another currency")
        if not CURRENCY.fullmatch(currency):
            raise value.error("expected a currency by its three capital letters, such as EUR")
        rates[currency] = value.decimal(_LEAST_RATE, _MOST_RATE)
    return rates


def _aliases(section: Section, check_card: Check) -> dict[str, str]:
    aliases = {}
    for label, value in section.items():
        if not label or len(label) > LONGEST_ALIAS:
            raise value.error(f"expected a name of at most {LONGEST_ALIAS} characters for it")
        aliases[label] = read_card(value, check_card)
    if len(aliases) > MOST_ALIASES:
        raise section.value.error(f"expected at most {MOST_ALIASES}, found {len(aliases)}")
    return aliases


def _gscore(section: Section) -> GScore:
    price, reliability, availability = (
        section.decimal(part, weight, minimum=_ZERO, maximum=_ONE)
        for part, weight in (
            ("price", _WEIGHTS.price),
            ("reliability", _WEIGHTS.reliability),
            ("availability", _WEIGHTS.availability),
        )
    )
    gpus = section.integer("gpus", _WEIGHTS.gpus, minimum=1, maximum=1024)
    if (total := price + reliability + availability) != 1:
        raise section.value.error(f"price, reliability and availability add up to {total}, expected 1")
    return GScore(price, reliability, availability, gpus)
