"""A thread that owns one thing which may block for ever: a GPU, a program, /proc.

A worker does one job at a time and never starts a second one before the first has returned, so a hung driver
call costs one thread and one GPU, for as long as it hangs and no longer.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from gputally.model import Clock, Instant

Job = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: its value, or the error that it raised."""

    worker: "Worker"
    started: Instant
    finished: Instant
    value: object = None
    error: BaseException | None = None

    @property
    def seconds(self) -> float:
        """How long the job took."""
        return self.finished.seconds_since(self.started)


class Worker:
    """Runs jobs one by one and puts an Outcome for each into a queue that several workers share."""

    def __init__(self, name: str, outcomes: SimpleQueue[Outcome], clock: Clock) -> None:
        self.name = name
        self.busy_since: Instant | None = None  # written by the sampler's thread alone
        self._outcomes = outcomes
        self._clock = clock
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        # A daemon: a driver call that never returns must not keep the process from ending.
        threading.Thread(target=self._run, name=name, daemon=True).start()

    @property
    def idle(self) -> bool:
        """Whether a job can be submitted."""
        return self.busy_since is None

    def submit(self, job: Job) -> None:
        """Start a job. Raises RuntimeError while another one is running."""
        if self.busy_since is not None:
            raise RuntimeError(f"{self.name} is still busy")
        self.busy_since = self._clock()
        self._jobs.put(job)

    def collected(self) -> None:
        """Say that the outcome of the running job has been taken from the queue."""
        self.busy_since = None

    def stop(self) -> None:
        """End the thread after the running job, if that ever returns."""
        self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            started = self._clock()
            value: object = None
            error: BaseException | None = None
            try:
                value = job()
            except BaseException as fault:  # noqa: BLE001 - not even SystemExit out of a driver binding may end metering
                error = fault
            self._outcomes.put(Outcome(self, started, self._clock(), value, error))
            del job, value, error  # while waiting, hold on to nothing


def see_off(worker: Worker, outcomes: SimpleQueue[Outcome], clock: Clock, seconds: float) -> None:
    """Wait for a worker's last job, such as shutting down the driver, but not for one that hangs in it."""
    until_ns = clock().boot_ns + int(seconds * 1e9)
    while (left := (until_ns - clock().boot_ns) / 1e9) > 0:
        try:
            if outcomes.get(timeout=left).worker is worker:
                return
        except Empty:
            return
