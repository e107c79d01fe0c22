"""Publishes the site's figures: anew every second, and at the very instant at which one of them changes.

A scrape reads `latest`, which is replaced by one assignment, and computes nothing.
"""

from collections.abc import Callable, Mapping

from gputally.model import Clock, Instant, SelfReport, WebReport
from gputally.model.budget import BudgetFigures
from gputally.model.clock import NS_PER_SECOND
from gputally.model.ledger import LedgerFigures
from gputally.model.market import MarketFigures
from gputally.model.reservation import ReservationFigures
from gputally.model.site import SiteFigures, SiteSnapshot
from gputally.site.figures import Declared, figures
from gputally.site.reservations.calendar import NEVER_NS, Calendar
from gputally.tariff import Schedule, Span

INTERVAL_SECONDS = 1.0
OWN_SECONDS = 5.0  # how old the figures about this process may be


class Publisher:
    """Owns what is declared and the latest snapshot. Used by one thread; `latest` may be read from any."""

    def __init__(
        self,
        declared: Declared,
        clock: Clock,
        web_report: Callable[[], WebReport] = WebReport,
        own_figures: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        """Raises zoneinfo.ZoneInfoNotFoundError for a zone that nobody knows."""
        self.latest = SiteSnapshot(at=None)
        self.market: MarketFigures | None = None  # put here by whoever has newer ones
        self.calendar: Calendar | None = None  # likewise
        self.budgets: BudgetFigures | None = None  # as well
        self.ledger: LedgerFigures | None = None  # as above
        self._clock, self._web_report, self._own_figures = clock, web_report, own_figures
        self._process: Mapping[str, float] = {}
        self._process_at: Instant | None = None
        self.declare(declared)

    def declare(self, declared: Declared) -> None:
        """From now on something else is declared."""
        self._declared = declared
        self._schedule = Schedule(declared.site.tariff)
        self._span: Span | None = None
        self._figures: SiteFigures | None = None

    def publish(self) -> float:
        """Replace the snapshot; in how many seconds that is due again."""
        now = self._clock()
        span = self._schedule.at(now.wall_ns)
        if self._figures is None or span is not self._span:
            self._span = span
            self._figures = figures(self._declared, self._schedule, span)
        if self._process_at is None or now.seconds_since(self._process_at) >= OWN_SECONDS:
            self._process, self._process_at = self._own_figures(), now
        reservations, until_ns = self._reservations(now.wall_ns)
        self.latest = SiteSnapshot(
            at=now,
            site=self._figures,
            market=self.market,
            reservations=reservations,
            budgets=self.budgets,
            ledger=self.ledger,
            report=SelfReport(process=self._process),
            web=self._web_report(),
        )
        return min(INTERVAL_SECONDS, (min(span.until_ns, until_ns) - now.wall_ns) / NS_PER_SECOND)

    def _reservations(self, wall_ns: int) -> tuple[ReservationFigures | None, int]:
        """What holds of them, and until when."""
        if self.calendar is None:
            return None, NEVER_NS
        return self.calendar.at(wall_ns)
