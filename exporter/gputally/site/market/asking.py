"""Every provider asked once, in parallel, and the replies as a market: for a command that asks by itself."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from gputally.config.market import STATIC, ProviderSettings
from gputally.model.market import Market, ProviderReport
from gputally.site.market import static
from gputally.site.market.cards import Catalogue
from gputally.site.market.http import FetchFailed, Http
from gputally.site.market.registry import PROVIDERS, lacking, source_of

MOST_AT_ONCE = 16


def ask_all(
    providers: Iterable[ProviderSettings],
    catalogue: Catalogue,
    http: Http,
    now_seconds: float,
    monotonic: Callable[[], float] = time.monotonic,
) -> tuple[Market, dict[str, str]]:
    """The market, and for whoever gave no good reply the reason in a sentence."""
    settings = tuple(providers)
    failures: dict[str, str] = {}

    def ask(one: ProviderSettings) -> ProviderReport:
        if one.kind == STATIC:
            return static.report(one, catalogue, now_seconds)
        provider, began = PROVIDERS[one.kind], monotonic()
        report = ProviderReport(one.name, provider.basis, source_of(one), one.max_age_seconds, fetches=1)
        if missing := lacking(one):
            failures[one.name] = missing
            return report
        try:
            fetched = provider.fetch(http, one, catalogue)
        except FetchFailed as failure:
            failures[one.name] = failure.message
            return report
        return ProviderReport(
            report.provider,
            report.basis,
            report.source,
            report.max_age_seconds,
            fetched,
            now_seconds,
            monotonic() - began,
            fetches=1,
        )

    with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        return Market(tuple(pool.map(ask, settings))), failures
