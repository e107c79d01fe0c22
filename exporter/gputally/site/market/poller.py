"""Asks all providers in the background, each in a thread of its own, and keeps what they say as one market.

A provider that hangs keeps nobody waiting: not the others, not a scrape, not the end of the program. What was
good stays until a newer good reply comes; whether it may still be shown is for whoever shows it.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from random import Random

from gputally.config.market import STATIC, MarketSettings, ProviderSettings
from gputally.config.modes import ADVICE, open_to_all
from gputally.model import Clock
from gputally.model.market import Fetched, Market, ProviderReport
from gputally.site.market import schedule, static
from gputally.site.market.asker import Asker, Chance
from gputally.site.market.cards import Catalogue
from gputally.site.market.http import FetchFailed, Http
from gputally.site.market.registry import PROVIDERS, Provider, lacking, source_of

logger = logging.getLogger(__name__)
STOP_SECONDS = 0.8
# Of a reply: an order more than any provider's, and as objects no more than the unit has.
MOST_BYTES = 8 << 20
ROWS_SECONDS = 600.0  # how often rows are looked through for those that have become too old
_random = Random().random  # noqa: S311 - spreads questions over time, hides nothing
_make_http = partial(Http, most_bytes=MOST_BYTES)


class Poller:
    """All providers of a configuration. `adopt`, `market` and `stop` are for one thread, the agent's."""

    def __init__(
        self,
        clock: Clock,
        chance: Chance = _random,
        providers: Mapping[str, Provider] = PROVIDERS,
        make_http: Callable[[], Http] = _make_http,
    ) -> None:
        self._clock, self._chance, self._providers, self._make_http = clock, chance, providers, make_http
        self._lock = threading.Lock()
        # Replaced and never changed, because the providers' threads read them, too.
        self._settings = MarketSettings()
        self._lines: Mapping[str, _Line] = {}
        self._rows: Mapping[str, ProviderReport] = {}
        self._rows_seconds = 0.0
        self._catalogue: Catalogue | None = None
        self._market = Market()

    def adopt(self, settings: MarketSettings, catalogue: Catalogue) -> None:
        """Ask these from now on. Whoever is asked as before goes on; whoever fails is tried at once."""
        before, is_same = self._lines, catalogue == self._catalogue
        lines = {}
        for one in settings.providers:
            old = before.get(one.name)
            if one.kind == STATIC:
                continue
            if old is not None and old.settings == one and is_same:
                old.nudge()
                lines[one.name] = old
            else:
                lines[one.name] = self._line(one, catalogue, old)
        self._settings, self._lines, self._catalogue = settings, lines, catalogue
        for name, old in before.items():
            if lines.get(name) is not old:
                old.end()
        self._read_rows()
        self._compose()

    def market(self) -> Market:
        """What is known now; the same object as long as nothing has changed. Waits for nobody."""
        if self._rows and abs(self._clock().wall_seconds - self._rows_seconds) >= ROWS_SECONDS:
            self._read_rows()
            self._compose()
        return self._market

    def stop(self) -> None:
        """Ask nobody any more. A thread that does not end within a moment is left to itself."""
        lines, self._lines = self._lines.values(), {}
        for line in lines:
            line.end()
        until = time.monotonic() + STOP_SECONDS
        for line in lines:
            line.thread.join(max(0.0, until - time.monotonic()))

    def _line(self, settings: ProviderSettings, catalogue: Catalogue, old: "_Line | None") -> "_Line":
        key_file = settings.api_key_file
        if key_file is not None and open_to_all(key_file):
            logger.warning("market: %s: everyone may read %s, %s", settings.name, key_file, ADVICE)
        provider, http = self._providers[settings.kind], self._make_http()
        report = ProviderReport(settings.name, provider.basis, source_of(settings), settings.max_age_seconds)
        if old is not None:
            report = _inherited(report, settings, old)
        ask = partial(_ask, provider, http, settings, catalogue)
        line = _Line(Asker(settings, ask, self._clock, self._chance, report), http, self._compose)
        line.begin(schedule.first(self._chance()))
        return line

    def _read_rows(self) -> None:
        """What is written in the file, without what is too old by now."""
        catalogue, now_seconds = self._catalogue, self._clock().wall_seconds
        if catalogue is not None:
            rows = [one for one in self._settings.providers if one.kind == STATIC]
            self._rows = {one.name: static.report(one, catalogue, now_seconds) for one in rows}
            self._rows_seconds = now_seconds

    def _compose(self) -> None:
        """Make the market anew; by whichever thread has something new for it."""
        with self._lock:
            reports = {name: line.asker.report for name, line in self._lines.items()} | dict(self._rows)
            names = (one.name for one in self._settings.providers)
            self._market = Market(tuple(reports[name] for name in names if name in reports))


class _Line:
    """A provider's thread: it waits, asks, and says that there is something new."""

    def __init__(self, asker: Asker, http: Http, has_news: Callable[[], None]) -> None:
        self.settings, self.asker = asker.settings, asker
        self._http, self._has_news = http, has_news
        self._wake, self._over = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"market-{asker.settings.name}", daemon=True)
        self._wait_seconds = 0.0

    def begin(self, wait_seconds: float) -> None:
        """Ask for the first time after so long."""
        self._wait_seconds = wait_seconds
        self.thread.start()

    def nudge(self) -> None:
        """Try again if it fails: what was wrong may have been put right."""
        if self.asker.may_be_nudged():
            self._wake.set()

    def end(self) -> None:
        """Ask no more, and say nothing of what is under way."""
        self._over.set()
        self._wake.set()
        self._http.close()

    def _run(self) -> None:
        while True:
            self._wake.wait(self._wait_seconds)
            self._wake.clear()
            if self._over.is_set():
                return
            self._wait_seconds = self.asker.turn()
            if not self._over.is_set():
                self._has_news()


def _inherited(report: ProviderReport, settings: ProviderSettings, old: _Line) -> ProviderReport:
    """What stays of one that is asked otherwise: its counts; its offers if they are of the same place."""
    before = old.asker.report
    kept = replace(report, fetches=before.fetches, failures=before.failures)
    if _place(settings) != _place(old.settings):
        return kept
    good = before.fetched, before.success_seconds, before.duration_seconds
    return replace(kept, fetched=good[0], success_seconds=good[1], duration_seconds=good[2])


def _place(settings: ProviderSettings) -> tuple[str, str | None, bool]:
    return settings.kind, settings.base_url, settings.recording


def _ask(provider: Provider, http: Http, settings: ProviderSettings, catalogue: Catalogue) -> Fetched:
    if missing := lacking(settings):
        raise FetchFailed("network", missing)
    return provider.fetch(http, settings, catalogue)
