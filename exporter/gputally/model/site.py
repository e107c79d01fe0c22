"""What a scrape of the site agent sees: what is declared, laid on the calendar, by labels as published."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gputally.model.budget import BudgetFigures
from gputally.model.clock import Instant
from gputally.model.ledger import LedgerFigures
from gputally.model.market import MarketFigures
from gputally.model.reservation import ReservationFigures
from gputally.model.snapshot import SelfReport, WebReport

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SiteFigures:
    """What holds from one instant until the next at which anything changes."""

    info: Mapping[Labels, int]  # (site, timezone, currency, tariff, carbon) -> 1
    day: Mapping[str, int]  # today by the site's calendar -> 1
    prices: Mapping[Labels, float]  # (band, currency) -> per kWh, every band of the version in force
    price_now: Mapping[Labels, float]  # (band, currency), the one that holds
    tariff_end_seconds: float | None  # Unix time; None where prices do not end
    pue_ratio: float
    carbon_grams: Mapping[str, float]  # source -> grams per kWh
    owned_capital: Mapping[Labels, float]  # (model, currency)
    owned_residual: Mapping[Labels, float]
    owned_life_seconds: Mapping[str, float]  # model
    owned_opex: Mapping[Labels, float]  # (model, currency), per hour
    owned_rate: Mapping[Labels, float]
    thresholds: Mapping[str, float]  # alert -> what it compares with


@dataclass(frozen=True, slots=True)
class SiteSnapshot:
    """Everything that a scrape of the site agent may show."""

    at: Instant | None  # None until the first one has been published
    site: SiteFigures | None = None
    market: MarketFigures | None = None  # None: nothing is declared that has to do with it
    reservations: ReservationFigures | None = None  # None: no file of them is configured
    budgets: BudgetFigures | None = None  # None: no budget is declared
    ledger: LedgerFigures | None = None  # None: none is configured
    report: SelfReport = field(default_factory=SelfReport)
    web: WebReport = field(default_factory=WebReport)
