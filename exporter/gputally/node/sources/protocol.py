"""What every source of readings offers, and the faults it may raise. Nothing here knows a driver.

The node asks in this order, each from a worker thread of its own and under a deadline, because any of the
calls may block for as long as the driver likes:

    source.open() -> Inventory          once per driver epoch, again after close()
    source.scan() -> Inventory          every tick; cheap when nothing changed
    source.readers() -> list[Reader]    one per thing that can fail alone: a GPU, or one program run
    reader.read(slow) -> {uuid: Reading}
    source.close()                      only while no reader is inside a call
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gputally.model import Description, Inventory, Reading

# The reasons that slow a GPU down against its will.
HELD_DOWN = ("sw_power_cap", "hw_slowdown", "sync_boost", "sw_thermal", "hw_thermal", "hw_power_brake")


class SourceError(Exception):
    """A fault of the source. `reason` is a word for a label; the message is a sentence for a person.

    `new_xids` are those that the failed read had already taken from the driver: a GPU that falls off the bus
    announces it by an XID, and no later reading would bring it.
    """

    reason = "error"
    new_xids: tuple[int, ...] = ()

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class Unavailable(SourceError):
    """The driver or program is not there (yet). Worth trying again later."""

    reason = "unavailable"


class GpuLost(SourceError):
    """The GPU fell off the bus, needs a reset, or its handle has died. Look again at what is there."""

    reason = "lost"


class VersionMismatch(SourceError):
    """The loaded driver library no longer fits the kernel's; only a new process can load the new one."""

    reason = "version_mismatch"


class Reader(Protocol):
    """Reads one or several GPUs by one owner. Never called by two threads at once."""

    @property
    def key(self) -> str:
        """Stable while the same GPU is read by the same handle; a new key means a new worker."""

    @property
    def uuids(self) -> tuple[str, ...]:
        """The GPUs that this reader speaks for."""

    def describe(self) -> Mapping[str, Description]:
        """Names and fixed limits by UUID. Raises SourceError."""

    def read(self, *, slow: bool) -> Mapping[str, Reading]:
        """One tick's readings by UUID; with `slow`, the slower lane too. Raises SourceError.

        A UUID that is missing from the answer was not there this time.
        """

    def close(self) -> None:
        """Free what `read` allocated in the driver. Not called while a read is under way."""


class Source(Protocol):
    """One way to reach the GPUs of a machine."""

    @property
    def name(self) -> str:
        """The word for `--source`: nvml | nvidia-smi | nvtop | simulated."""

    def open(self) -> Inventory:
        """Start talking to the driver. Raises Unavailable when it is not there."""

    def scan(self) -> Inventory:
        """Look at what is there now. Raises SourceError; GpuLost when everything must be opened again."""

    def readers(self) -> Sequence[Reader]:
        """Readers for the GPUs of the latest open() or scan(); unchanged GPUs keep their reader object."""

    def close(self) -> None:
        """Let go of the driver, so that it can be reset, reconfigured or unloaded."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A source that may be tried, and how long one of its reads may take."""

    name: str
    build: Callable[[], Source]
    deadline_seconds: float = 3.0
