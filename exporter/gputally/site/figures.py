"""What is declared, at one instant: the figures that hold until the span of the calendar ends. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from gputally.alerts.thresholds import DEFAULTS
from gputally.config.owned import OwnedGpu
from gputally.config.tariff import SiteDeclaration
from gputally.model.clock import NS_PER_SECOND
from gputally.model.site import SiteFigures
from gputally.tariff import Schedule, Span
from gputally.tariff.rates import MILLIGRAMS, NANO, PUE_SCALE

_SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Declared:
    """All that the configuration declares of a site."""

    site: SiteDeclaration
    owned: tuple[OwnedGpu, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=lambda: DEFAULTS)  # of every alert that has one


def figures(declared: Declared, schedule: Schedule, span: Span) -> SiteFigures:
    """Lay what is declared on a span of the site's calendar."""
    site, rows = declared.site, declared.owned
    tariff, rate, end_ns = schedule.tariff, span.rate, schedule.end_ns()
    currency, carbon = tariff.currency, tariff.carbon
    has_carbon = carbon.source != "default" or carbon.series is not None
    sources = (tariff.source, "configured" if has_carbon else "default")

    def money(amount_of: str) -> dict[tuple[str, ...], float]:
        return {(row.model, currency): float(Decimal(getattr(row, amount_of))) for row in rows}

    return SiteFigures(
        info={(site.name, tariff.timezone, currency, *sources): 1},
        day={span.day: 1},
        prices={(name, currency): nano / NANO for name, nano in prices_nano(schedule, span).items()},
        price_now={(rate.tariff, currency): rate.price_nano / NANO},
        tariff_end_seconds=end_ns / NS_PER_SECOND if end_ns is not None else None,
        pue_ratio=rate.pue_e4 / PUE_SCALE,
        carbon_grams={carbon_source(schedule, span): rate.carbon_mg / MILLIGRAMS},
        owned_capital=money("capital"),
        owned_residual=money("residual"),
        owned_life_seconds={row.model: float(row.life_hours * _SECONDS_PER_HOUR) for row in rows},
        owned_opex=money("opex_per_hour"),
        owned_rate=money("rate_per_hour"),
        thresholds=declared.thresholds,
    )


def prices_nano(schedule: Schedule, span: Span) -> dict[str, int]:
    """Price of every band of the version in force; of prices from a file, the one that holds, if one does."""
    version = schedule.version_at(span.from_ns)
    prices = {band.name: band.price_nano for band in version.bands}
    dynamic = version.prices.at(span.from_ns) if version.prices is not None else None
    if dynamic is not None:
        prices[version.prices_name] = dynamic
    return prices


def carbon_source(schedule: Schedule, span: Span) -> str:
    """Where the carbon intensity of a span comes from: file, or what holds where no file has one."""
    carbon = schedule.tariff.carbon
    from_file = carbon.series is not None and carbon.series.at(span.from_ns) is not None
    return "file" if from_file else carbon.source
