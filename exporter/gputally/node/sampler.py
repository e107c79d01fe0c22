"""The one writer of the truth: asks the workers, integrates what they bring, publishes. At every tick.

A scrape reads `latest`, which is replaced by one assignment; it waits for nothing that happens here.
"""

import logging
import math
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from gputally.config.tariff import SiteDeclaration
from gputally.config.teams import TeamRule
from gputally.model import Clock, HostCounters, Instant, SelfReport, Snapshot, TariffReport, WebReport
from gputally.node.crew import SLOW_SECONDS, Crew
from gputally.node.health import Health
from gputally.node.hostwatch import HostWatch
from gputally.node.intake import Intake
from gputally.node.jobs import Jobs
from gputally.node.occupants import Asked, Occupants
from gputally.node.persistence import Persistence
from gputally.node.processes import ProcessTable
from gputally.node.roster import Roster
from gputally.node.session import Phase, Session
from gputally.node.worker import Outcome, see_off
from gputally.tariff import Schedule

logger = logging.getLogger(__name__)
PATIENCE = 0.8  # share of the interval for which a tick waits; what comes later counts at the next tick
STOP_POLL_SECONDS = 0.1  # a tick that waits for a hung call notices a stop after so long
HUNG_SECONDS = 30.0  # without a sample, and three intervals more: then a service manager is to start us anew
CLOSE_SECONDS = 0.3  # how long the end waits for the driver to be shut down


class Sampler:
    """Owns the session, the crew and the roster, and the thread in which they are used."""

    def __init__(  # noqa: PLR0913 - the parts of the agent are handed in, none is made here
        self,
        *,
        session: Session,
        crew: Crew,
        roster: Roster,
        persistence: Persistence,
        outcomes: SimpleQueue[Outcome],
        clock: Clock,
        interval_seconds: float,
        processes: ProcessTable | None,
        jobs: Jobs | None = None,
        kubelet: Asked | None = None,
        regroup: Callable[[Sequence[TeamRule]], None] | None = None,
        lists_off: bool = False,
        host: Callable[[], HostCounters] | None,
        web_report: Callable[[], WebReport] = WebReport,
        own_figures: Callable[[], dict[str, float]] = dict,
    ) -> None:
        self.session = session
        self.interval_seconds = interval_seconds
        self.latest = Snapshot(at=None, report=SelfReport(interval_seconds=interval_seconds))
        self._crew, self._roster, self._persistence = crew, roster, persistence
        self._outcomes, self._clock = outcomes, clock
        self._web_report, self._own_figures = web_report, own_figures
        self._figures: dict[str, float] = {}
        self._figures_at: Instant | None = None
        self._health = Health()
        self.lists_off = lists_off  # the driver's lists of processes are not read, because of crashes
        self.regroup = regroup or (lambda _teams: None)  # other rules of teams, from any thread
        self._occupants = Occupants(processes, jobs, self._health, kubelet, lists_off=lists_off)
        self._intake = Intake(session, crew, roster, self._occupants, self._health)
        self._host = HostWatch(host, outcomes, clock, self._health) if host is not None else None
        self._schedule: Schedule | None = None  # that holds from the next tick on
        self._samples = self._gaps = 0
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        """Begin to tick."""
        self._thread.start()

    def stop(self, timeout_seconds: float = 1.5) -> None:
        """End after the running tick and write the state; returns in time even if a driver call hangs."""
        self._stop.set()
        self._wake.set()
        if self._thread.ident is not None:  # it was started; else somebody calls `tick` himself
            self._thread.join(timeout_seconds)
        if self._thread.is_alive():  # in a disk that does not answer; each tick has written its own state
            logger.error("stopped without a last word to the state folder")
            return
        self._save(self._clock(), final=True)
        if self._crew.idle and self.session.close():
            see_off(self.session.scout, self._outcomes, self._clock, CLOSE_SECONDS)

    def pace(self, interval_ns: int) -> None:
        """Tick at another interval from now on."""
        if interval_ns != self._roster.interval_ns:
            self.interval_seconds = interval_ns / 1e9
            self._roster.pace(interval_ns, self._clock())
            self._wake.set()

    def reprice(self, site: SiteDeclaration) -> None:
        """Energy costs something else from the next tick on. From any thread."""
        self._schedule = Schedule(site.tariff)

    def _reprice(self) -> None:
        schedule, self._schedule = self._schedule, None
        if schedule is not None:
            self._roster.reprice(schedule)
            self._occupants.reprice(schedule)

    @property
    def alive(self) -> bool:
        """Whether the sampler's own loop goes on; a hung driver does not stop it."""
        if not self._thread.is_alive():
            return False
        at = self.latest.at
        return at is None or self._clock().seconds_since(at) < HUNG_SECONDS + 3 * self.interval_seconds

    def _run(self) -> None:
        due = self._clock().boot_ns
        while not self._stop.is_set():
            try:
                self.tick()
            except Exception:
                logger.exception("tick failed")
                self._health.count("sampler", "bug")
            interval_ns = int(self.interval_seconds * 1e9)
            due += interval_ns
            now_ns = self._clock().boot_ns
            if now_ns > due + 2 * interval_ns:  # suspended, stopped or starved: begin a new grid
                self._gaps += 1
                due = now_ns
            if self._wake.wait(max(0, due - now_ns) / 1e9):
                self._wake.clear()
                due = self._clock().boot_ns

    def tick(self) -> None:
        """One round: start reads, wait a little, integrate what came, publish."""
        began = self._clock()
        self._reprice()
        self._drain()
        self.session.step(began, readers_idle=self._crew.idle, stuck=self._crew.stuck > 0)
        if self._host is not None:
            self._host.start(began)
        self._occupants.begin(began)
        self._start_reads(began)
        readers = self.session.readers
        self._wait(began)
        if self.session.readers != readers:  # newcomers are read in the tick that found them
            self._start_reads(began)
            self._wait(began)
        self._drain()
        now = self._clock()
        self._intake.look_around(now, self.interval_seconds)
        self._occupants.end(self._roster, now)
        if self._figures_at is None or now.seconds_since(self._figures_at) >= SLOW_SECONDS:
            self._figures, self._figures_at = {}, now
            self._health.guard("self", self._look_at_self)
        self._samples += 1
        self._save(now)
        self.latest = self._snapshot(self._clock())

    def _start_reads(self, began: Instant) -> None:
        self._crew.staff(self.session.readers)
        if self.session.phase is Phase.OPEN and not self.session.wants_quiet:
            self._crew.start(began)

    def _wait(self, began: Instant) -> None:
        """Take outcomes until all that was started now is back, or patience ends."""
        deadline = self.session.choice.deadline_seconds if self.session.choice is not None else math.inf
        until = began.boot_ns + int(min(self.interval_seconds * PATIENCE, deadline) * 1e9)
        workers = [post.worker for post in self._crew] + [self.session.scout]
        workers += [self._host.worker] if self._host is not None else []
        while any(w.busy_since is not None and w.busy_since.boot_ns >= began.boot_ns for w in workers):
            left = (until - self._clock().boot_ns) / 1e9
            if left <= 0 or self._stop.is_set():
                return
            try:
                self._handle(self._outcomes.get(timeout=min(left, STOP_POLL_SECONDS)))
            except Empty:
                continue

    def _drain(self) -> None:
        while True:
            try:
                self._handle(self._outcomes.get_nowait())
            except Empty:
                return

    def _handle(self, outcome: Outcome) -> None:
        outcome.worker.collected()
        if outcome.worker is self.session.scout:
            self.session.handle(outcome)
            self._roster.epoch = self.session.epoch
            self._intake.present(outcome.finished)
        elif self._host is not None and outcome.worker is self._host.worker:
            self._host.handle(outcome)
            if self._host.figures is not None:
                self._persistence.host_joules.update(self._host.figures.energy_joules)
        elif (post := self._crew.take(outcome)) is not None:
            self._intake.took(post, outcome)

    def _save(self, now: Instant, *, final: bool = False) -> None:
        ledger = self._occupants.to_json()
        self._persistence.unread &= self._roster.unread
        self._persistence.save(self._roster.states(), self._roster.events, now, ledger=ledger, final=final)

    def _look_at_self(self) -> None:
        self._figures = self._own_figures()

    def _snapshot(self, now: Instant) -> Snapshot:
        tariff = self._roster.schedule.tariff
        return Snapshot(
            at=now,
            driver=self.session.driver,
            gpus=self._roster.snapshots(now),
            host=self._host.figures if self._host is not None else None,
            ledger=self._occupants.ledger(self._roster, in_step=self._persistence.in_step),
            report=self._report(),
            web=self._web_report(),
            tariff=TariffReport(tariff.currency, tariff.timezone, tariff.source),
        )

    def _report(self) -> SelfReport:
        errors = self._health.errors + self.session.errors
        errors.update(self._occupants.dropped)
        return SelfReport(
            collectors=(*self._health.collectors, *self._persistence.health()),
            sample_errors=errors,
            rejected=dict(self._roster.rejected),
            device_events=self._roster.device_events(),
            samples=self._samples,
            sample_gaps=self._gaps,
            stuck_workers=self._crew.stuck + self.session.hung,
            driver_up=self.session.phase is Phase.OPEN,
            driver_reason=self.session.reason,
            state_write_success=self._persistence.write_success,
            state_recovered=self._persistence.recovered,
            interval_seconds=self.interval_seconds,
            process=self._figures,
        )
