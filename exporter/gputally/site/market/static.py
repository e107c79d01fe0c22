"""Price rows that somebody wrote down, with source and day: for who publishes none that a program may read.

Nobody is asked. A row ages from its own day on; one that is too old is left out, whatever stands beside it.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time

from gputally.config.market import PriceRow, ProviderSettings
from gputally.model.market import Fetched, Offer, ProviderReport
from gputally.site.market.cards import Catalogue
from gputally.site.market.http import FetchFailed, Http
from gputally.site.market.rows import Gathering

BASIS = "list"
DEFAULT_URL = ""
SOURCE = "file"


def fetch(_http: Http, settings: ProviderSettings, catalogue: Catalogue) -> Fetched:
    """All rows, of any age. Raises FetchFailed."""
    return parse(rows_of(settings), settings.name, catalogue)


def parse(rows: Iterable[PriceRow], provider: str, catalogue: Catalogue) -> Fetched:
    """Offers of rows. Raises FetchFailed."""
    gathering = Gathering(provider, catalogue)
    for row in rows:
        card = gathering.card(row.card)
        usd = gathering.usd_per_gpu(card, row.usd_per_gpu_hour) if card is not None else None
        if card is not None and usd is not None:
            gathering.keep(
                Offer(
                    provider=provider,
                    card=card.slug,
                    usd_per_gpu_hour=usd,
                    price_tier=row.price_tier,
                    host_tier=row.host_tier,
                    region=row.region,
                    country=row.country,
                    node_gpus=row.node_gpus,
                    url=row.source_url,
                    note=", ".join(filter(None, (row.listed, f"as of {row.as_of}"))),
                )
            )
    return gathering.fetched()


def report(settings: ProviderSettings, catalogue: Catalogue, now_seconds: float) -> ProviderReport:
    """The provider as it is now: a success on the day of its newest row. Pure."""
    rows = rows_of(settings)
    young = [row for row in rows if now_seconds - _seconds(row.as_of) < settings.max_age_seconds]
    fetched, failures = None, {}
    if young:
        try:
            fetched = parse(young, settings.name, catalogue)
        except FetchFailed as failure:
            failures = {failure.reason: 1}
    return ProviderReport(
        provider=settings.name,
        basis=BASIS,
        source=SOURCE,
        max_age_seconds=settings.max_age_seconds,
        fetched=fetched,
        success_seconds=max((_seconds(row.as_of) for row in rows), default=None),
        duration_seconds=0.0,
        fetches=1,
        failures=failures,
    )


def rows_of(settings: ProviderSettings) -> tuple[PriceRow, ...]:
    """The rows of the configuration that name this provider."""
    rows = settings.options.get("rows", ())
    return tuple(row for row in rows if isinstance(row, PriceRow)) if isinstance(rows, tuple) else ()


def _seconds(day: date) -> float:
    return datetime.combine(day, time(), UTC).timestamp()
