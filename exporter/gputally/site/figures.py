"""What is declared, at one instant: the figures that hold until the span of the calendar ends. Pure."""

from collections.abc import Iterable
from decimal import Decimal

from gputally.config.owned import OwnedGpu
from gputally.config.tariff import SiteDeclaration
from gputally.model.site import SiteFigures
from gputally.tariff import Schedule, Span
from gputally.tariff.rates import MILLIGRAMS, NANO, PUE_SCALE

_NS = 1_000_000_000
_SECONDS_PER_HOUR = 3600


def figures(site: SiteDeclaration, owned: Iterable[OwnedGpu], schedule: Schedule, span: Span) -> SiteFigures:
    """Lay what is declared on a span of the site's calendar."""
    tariff, rate, end_ns = schedule.tariff, span.rate, schedule.end_ns()
    currency, carbon = tariff.currency, tariff.carbon
    rows = tuple(owned)
    has_carbon = carbon.source != "default" or carbon.series is not None
    declared = (tariff.source, "configured" if has_carbon else "default")

    def money(amount_of: str) -> dict[tuple[str, ...], float]:
        return {(row.model, currency): float(Decimal(getattr(row, amount_of))) for row in rows}

    return SiteFigures(
        info={(site.name, tariff.timezone, currency, *declared): 1},
        day={span.day: 1},
        prices={(name, currency): nano / NANO for name, nano in prices_nano(schedule, span).items()},
        price_now={(rate.tariff, currency): rate.price_nano / NANO},
        tariff_end_seconds=end_ns / _NS if end_ns is not None else None,
        pue_ratio=rate.pue_e4 / PUE_SCALE,
        carbon_grams={carbon_source(schedule, span): rate.carbon_mg / MILLIGRAMS},
        owned_capital=money("capital"),
        owned_residual=money("residual"),
        owned_life_seconds={row.model: float(row.life_hours * _SECONDS_PER_HOUR) for row in rows},
        owned_opex=money("opex_per_hour"),
        owned_rate=money("rate_per_hour"),
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
