"""The conversation with the driver: open, scan, release, open again. Decides when; never reads a GPU.

Every call into a source runs on the scout, a worker of its own, so that `nvmlInit` may hang for hours while
the exporter serves what it knows.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from queue import SimpleQueue

from gputally.model import Clock, Driver, Gpu, Instant, Inventory
from gputally.node.health import word_of
from gputally.node.labels import clean_texts
from gputally.node.sources.protocol import Choice, Reader, Source, Unavailable, VersionMismatch
from gputally.node.worker import Outcome, Worker

logger = logging.getLogger(__name__)
FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 30.0
FIRST_REOPEN_SECONDS = 5.0  # with every GPU down, start afresh after this long, then twice as long
REOPEN_SECONDS = 300.0
BETTER_SECONDS = 60.0  # with a fallback open, the better sources are tried this often
OPEN_SECONDS = 20.0  # without persistence mode a driver may take long to open, but not longer


class Phase(Enum):
    """Where the conversation stands."""

    CLOSED = "closed"
    OPEN = "open"
    CLOSING = "closing"  # the driver is being shut down; nobody may call it
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class _Opened:
    choice: Choice
    source: Source
    inventory: Inventory
    readers: tuple[Reader, ...]


@dataclass(frozen=True, slots=True)
class _Scanned:
    inventory: Inventory
    readers: tuple[Reader, ...]


@dataclass(slots=True)
class Session:
    """Who is asked, what it last said is there, and what to do next. Used by the sampler's thread only."""

    choices: Sequence[Choice]
    outcomes: SimpleQueue[Outcome]
    clock: Clock
    phase: Phase = Phase.CLOSED
    choice: Choice | None = None
    driver: Driver | None = None
    gpus: tuple[Gpu, ...] = ()
    readers: tuple[Reader, ...] = ()
    epoch: int = 0  # grows with every open
    reason: str = "starting"
    message: str = ""  # a sentence for a person, as long as no source is open
    renew_process: str = ""  # set when only a new process can go on (a new driver library)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    _source: Source | None = None
    _scout: Worker | None = None
    _retry_at: Instant | None = None
    _retry_seconds: float = FIRST_RETRY_SECONDS
    _reopen_seconds: float = FIRST_REOPEN_SECONDS
    _release_for: float | None = None
    _released_at: Instant | None = None
    _reopen: bool = False  # a scan said that everything must be opened again
    _hopeless: bool = False  # no GPU answers
    _better_at: Instant | None = None  # when sources before the open one were last tried
    _hung: bool = False
    _opened_at: Instant | None = None

    @property
    def scout(self) -> Worker:
        """The worker that talks to the source; made at first use."""
        if self._scout is None:
            self._scout = Worker("scout", self.outcomes, self.clock)
        return self._scout

    def release(self, seconds: float) -> None:
        """Ask to let go of the driver for a while, so that it can be reset or reconfigured."""
        self._release_for = seconds

    def reopen(self, now: Instant) -> None:
        """Ask for a fresh start because every GPU is down; less and less often, up to REOPEN_SECONDS."""
        if self._opened_at is None or now.seconds_since(self._opened_at) >= self._reopen_seconds:
            self._hopeless = True
            self._reopen_seconds = min(self._reopen_seconds * 2, REOPEN_SECONDS)

    def well(self) -> None:
        """Say that a GPU answers, so that the next trouble is met without delay."""
        self._hopeless = False
        self._reopen_seconds = FIRST_REOPEN_SECONDS

    @property
    def wants_quiet(self) -> bool:
        """Whether readers should not be started, because the source is about to be closed."""
        return self._release_for is not None or self._reopen or self._hopeless

    def step(self, now: Instant, *, readers_idle: bool, stuck: bool) -> None:
        """Start the scout's next job, if it is free and something is due.

        While a call is stuck the driver cannot be closed under it: the wish is dropped, the others go on.
        A scan that hangs is such a call as well.
        """
        if self.phase is Phase.OPEN and self.wants_quiet and (stuck or self._hung):
            if self._release_for is not None:
                logger.warning("cannot release the driver: a call into it has not returned")
            self._release_for, self._reopen, self._hopeless = None, False, False
        if not self.scout.idle:
            return
        if self.phase is Phase.OPEN:
            self._step_open(now, readers_idle=readers_idle)
        elif self.phase is Phase.RELEASED:
            if now.seconds_since(self._released_at or now) >= (self._release_for or 0.0):
                self.phase, self._release_for = Phase.CLOSED, None
                self._retry_at = None
        elif self._release_for is not None:
            self._released(now)
        elif self._retry_at is None or now.boot_ns >= self._retry_at.boot_ns:
            self.scout.submit(self._open)

    def _step_open(self, now: Instant, *, readers_idle: bool) -> None:
        if not self.wants_quiet:
            self.scout.submit(self._look_for_better if self._may_do_better(now) else self._scan)
        elif readers_idle:
            self.phase = Phase.CLOSING
            self.reason = "released" if self._release_for is not None else self.reason or "reopening"
            self.scout.submit(self._close)

    def _may_do_better(self, now: Instant) -> bool:
        """Whether it is time to try the sources that stand before the open one: NVML may be back."""
        if self.choice is None or self.choice == self.choices[0]:
            return False
        since = self._better_at or self._opened_at or now
        if now.seconds_since(since) < BETTER_SECONDS:
            return False
        self._better_at = now
        return True

    @property
    def hung(self) -> bool:
        """Whether the scout's call was overdue when it was last looked at."""
        return self._hung

    def hangs(self, now: Instant) -> bool:
        """Whether the scout has been inside the source for too long; the log says so once."""
        since, opened = self.scout.busy_since, self.phase is Phase.OPEN and self.choice is not None
        limit = self.choice.deadline_seconds if opened and self.choice is not None else OPEN_SECONDS
        hung = since is not None and now.seconds_since(since) > limit
        if hung and not self._hung:
            logger.warning("the driver has not returned from being %s", "looked at" if opened else "opened")
        if hung and not opened:
            self.reason, self.message = "timeout", "the driver does not return from being opened"
        self._hung = hung
        return hung

    def handle(self, outcome: Outcome) -> None:
        """Take in what the scout brought."""
        if self.phase is Phase.CLOSING:
            if outcome.error is not None:
                logger.warning("source not closed in order: %s", outcome.error)
            self._closed(outcome.finished)
        elif outcome.error is not None:
            self._failed(outcome.error, outcome.finished)
        elif isinstance(outcome.value, _Opened):
            self._opened(outcome.value, outcome.finished)
        elif isinstance(outcome.value, _Scanned):
            self._take(outcome.value.inventory, outcome.value.readers)

    def close(self) -> bool:
        """Begin to let go of the driver on the way out; False if nothing is open, or a call hangs."""
        if self._source is None or not self.scout.idle:
            return False
        self.scout.submit(self._source.close)
        return True

    # What the scout runs, on its own thread.

    def _open(self) -> _Opened:
        refused: list[str] = []
        reason = "unavailable"
        for choice in self.choices:
            try:
                source = choice.build()
                inventory = source.open()
                return _Opened(choice, source, inventory, tuple(source.readers()))
            except VersionMismatch:
                raise
            except Exception as error:  # noqa: BLE001 - a broken source keeps nobody from the next one
                reason = word_of(error) if not refused else reason
                refused.append(f"{choice.name}: {error}")
        raise Unavailable("; ".join(refused), reason=reason)

    def _scan(self) -> _Scanned:
        if self._source is None:
            raise Unavailable("no source is open")
        return _Scanned(self._source.scan(), tuple(self._source.readers()))

    def _look_for_better(self) -> _Opened | _Scanned:
        """Open the first source that is better than the present one and works; else scan as always."""
        for choice in self.choices[: self.choices.index(self.choice)] if self.choice else ():
            try:
                source = choice.build()
                inventory = source.open()
                if inventory.gpus:
                    self._close()
                    return _Opened(choice, source, inventory, tuple(source.readers()))
                source.close()
            except Exception as error:  # noqa: BLE001 - what is open goes on
                logger.debug("%s is still not available: %s", choice.name, error)
        return self._scan()

    def _close(self) -> None:
        if self._source is not None:
            self._source.close()

    # What their outcomes mean, on the sampler's thread.

    def _opened(self, opened: _Opened, now: Instant) -> None:
        self.phase, self.choice, self._source = Phase.OPEN, opened.choice, opened.source
        self._opened_at = now
        self.renew_process = ""
        self.epoch += 1
        self._take(opened.inventory, opened.readers)
        logger.info("source opened: %s, %d GPUs", opened.choice.name, len(self.gpus))
        self.reason = self.message = ""

    def _take(self, inventory: Inventory, readers: tuple[Reader, ...]) -> None:
        self.driver, self.gpus, self.readers = clean_texts(inventory.driver), inventory.gpus, readers
        if self.gpus:
            self._retry_seconds = FIRST_RETRY_SECONDS

    def _failed(self, error: BaseException, now: Instant) -> None:
        reason = word_of(error)
        name = self.choice.name if self.choice is not None else "source"
        self.errors[name, reason] += 1
        if isinstance(error, VersionMismatch):
            new, self.renew_process = not self.renew_process, str(error)
            if self.phase is Phase.OPEN:
                # A new library was installed. The one that is loaded answers for as long as the kernel's
                # module stays what it is, which may be until the next boot; the new one would not.
                if new:
                    logger.warning("a new process is due: %s", error)
                return
        if reason != self.reason:
            logger.warning("source not available: %s", error)
        self.reason, self.message = reason, str(error)
        if self.phase is Phase.OPEN:
            self._reopen = True  # close first, then start afresh
            return
        self._back_off(now)

    def _closed(self, now: Instant) -> None:
        self._source, self.readers, self.gpus = None, (), ()
        self._reopen = self._hopeless = False
        if self._release_for is not None:
            self._released(now)
        else:
            self.phase = Phase.CLOSED
            self._back_off(now)

    def _released(self, now: Instant) -> None:
        self.phase, self._released_at, self.reason = Phase.RELEASED, now, "released"
        logger.info("driver released for %.0f s", self._release_for)

    def _back_off(self, now: Instant) -> None:
        wait_ns = int(self._retry_seconds * 1e9)
        self._retry_at = Instant(now.boot_ns + wait_ns, now.wall_ns)
        self._retry_seconds = min(self._retry_seconds * 2, LAST_RETRY_SECONDS)
