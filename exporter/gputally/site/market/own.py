"""What the same plan costs on GPUs of one's own. Pure.

F is paid whether a GPU is used or not: write-off, running cost, and what it draws when idle. M is what an
hour of use adds: the watts above idle. A plan of n GPUs and h hours, of which a part u is busy, costs
n x h x (F + u x M).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from gputally.config.market import Plan
from gputally.config.owned import OwnedGpu
from gputally.site.market.cards import Catalogue
from gputally.site.market.planner import gpus_needed, hours_needed
from gputally.tariff import Rate
from gputally.tariff.rates import NANO, PUE_SCALE

_WATTS_PER_KW = 1000


@dataclass(frozen=True, slots=True)
class OwnGpu:
    """One model that is declared, in USD."""

    model: str
    card: str | None  # None: the catalogue does not know it
    usd_per_hour: Decimal  # write-off and running cost


@dataclass(frozen=True, slots=True)
class Own:
    """What is declared of GPUs of one's own, and what a kWh costs them now."""

    gpus: tuple[OwnGpu, ...] = ()
    usd_per_kwh: Decimal = Decimal(0)
    pue: Decimal = Decimal(1)
    tariff: str = ""  # the band, or "default" where nothing is declared
    currency_without_rate: str = ""  # in which it is declared, where nobody says what that is in USD


@dataclass(frozen=True, slots=True)
class Watts:
    """Of one GPU. Nothing here measures: somebody has read them off a dashboard."""

    idle: Decimal
    active: Decimal


@dataclass(frozen=True, slots=True)
class Use:
    """How GPUs of one's own would be used."""

    watts: Watts | None = None  # None: energy is left out
    utilization: Decimal = Decimal(1)  # part of the time at work


@dataclass(frozen=True, slots=True)
class OwnOption:
    """The plan on one model."""

    model: str
    card: str
    gpus: int
    hours: Decimal
    fixed_usd_per_hour: Decimal  # of one GPU
    marginal_usd_per_hour: Decimal
    utilization: Decimal

    @property
    def fixed_usd(self) -> Decimal:
        """What is paid in that time in any case."""
        return self.gpus * self.hours * self.fixed_usd_per_hour

    @property
    def usd_per_gpu_hour(self) -> Decimal:
        """F + u x M."""
        return self.fixed_usd_per_hour + self.utilization * self.marginal_usd_per_hour

    @property
    def usd(self) -> Decimal:
        """What the plan costs."""
        return self.gpus * self.usd_per_gpu_hour * self.hours


def own_gpus(
    owned: Iterable[OwnedGpu], rate: Rate, rates: Mapping[str, Decimal], catalogue: Catalogue
) -> Own:
    """What is declared, in USD at the price of this moment."""
    usd = Decimal(1) if rate.currency == "USD" else rates.get(rate.currency)
    owned = tuple(owned)
    if usd is None:
        return Own(currency_without_rate=rate.currency if owned else "")
    gpus = tuple(OwnGpu(gpu.model, catalogue.card_of(gpu.model), gpu.rate_per_hour * usd) for gpu in owned)
    return Own(gpus, Decimal(rate.price_nano) / NANO * usd, Decimal(rate.pue_e4) / PUE_SCALE, rate.tariff)


def own_options(
    plan: Plan,
    own: Own,
    catalogue: Catalogue,
    cards: frozenset[str],
    use: Use,
) -> Iterator[OwnOption]:
    """The plan on every model that would do."""
    watts = use.watts
    for gpu in own.gpus:
        card = catalogue.cards.get(gpu.card or "")
        if card is None or (cards and card.slug not in cards):
            continue
        gpus = gpus_needed(plan, card)
        if gpus is None or card.memory_gib < (plan.vram_gib or 0):
            continue
        usd_per_watt = own.usd_per_kwh * own.pue / _WATTS_PER_KW
        idle, more = (
            (watts.idle, watts.active - watts.idle) if watts is not None else (Decimal(0), Decimal(0))
        )
        yield OwnOption(
            gpu.model,
            card.slug,
            gpus,
            hours_needed(plan, card, gpus),
            gpu.usd_per_hour + idle * usd_per_watt,
            more * usd_per_watt,
            use.utilization,
        )
