"""The reader of one GPU: both lanes, its description, and when not to touch it."""

from collections.abc import Callable, Mapping
from itertools import count

from gputally.model import Description, Instant, Reading
from gputally.node.sources.nvml.describe import describe, pci_bus_id
from gputally.node.sources.nvml.device import Device, Handle
from gputally.node.sources.nvml.fast import MOST_WATTS, FastLane
from gputally.node.sources.nvml.library import Library
from gputally.node.sources.nvml.options import Options
from gputally.node.sources.nvml.sleeping import RuntimePower
from gputally.node.sources.nvml.slow import SlowLane
from gputally.node.sources.nvml.throttling import ThrottleReasons
from gputally.node.sources.protocol import GpuLost, SourceError, Unavailable

STUCK_SECONDS = 2.0
_numbers = count(1)  # of readers made by this process: a reopened driver may hand out the same handle again


class GpuReader:
    """Reads one GPU by one handle. Used by one thread at a time."""

    def __init__(
        self, library: Library, handle: Handle, uuid: str, options: Options, on_lost: Callable[[], None]
    ) -> None:
        self.key = f"{uuid}/{next(_numbers)}"
        self.uuids = (uuid,)
        self._library = library
        self._on_lost = on_lost
        self._device = Device(library, handle, uuid)
        throttling = ThrottleReasons(self._device)
        self._fast = FastLane(self._device, options.clock, throttling, processes=options.processes)
        self._slow = SlowLane(self._device, throttling, options)
        self._power = RuntimePower(options.sys_root)
        self._bus_id: str | None = None
        self._turn: int | None = None  # of the slow lane's groups; None = not read yet
        self.closed = False
        self.outdated = False  # MIG was switched: another reader should take over and describe the GPU anew
        self._device.on_forget(self._outdate)
        self._clock = options.clock
        self._inside_since: Instant | None = None  # read by the scout's thread

    def stuck(self, now: Instant) -> bool:
        """Whether the GPU has held a call for longer than any healthy one takes."""
        since = self._inside_since
        return since is not None and now.seconds_since(since) > STUCK_SECONDS

    @property
    def suspended(self) -> bool:
        """Whether the GPU sleeps and must not be touched."""
        return self._power.suspended()

    def describe(self) -> Mapping[str, Description]:
        """Names, limits, and what cannot be measured, which a first reading finds out."""
        self._check_open()
        self._device.begin()
        try:
            if self._bus_id is None:
                self._bus_id = pci_bus_id(self._device)
                self._power.locate(self._bus_id)
            self._stay_away_if_asleep()
            description = describe(self._device, self._bus_id, self._read(slow=True))
        except GpuLost:
            self._on_lost()
            raise
        most_w = description.power_limit_max_w
        self._fast.most_watts = 2 * most_w if most_w else MOST_WATTS
        return {self.uuids[0]: description}

    def read(self, *, slow: bool) -> Mapping[str, Reading]:
        """One tick's reading. Raises SourceError."""
        self._check_open()
        self._stay_away_if_asleep()
        self._device.begin()
        self._inside_since = self._clock()
        try:
            reading = self._read(slow=slow)
        except SourceError as error:
            error.new_xids = tuple(self._fast.events.pending)
            if isinstance(error, GpuLost):
                self._on_lost()
            raise
        finally:
            self._inside_since = None
            self._fast.events.pending.clear()  # handed on with the reading, or with the error
        return {self.uuids[0]: reading}

    def close(self) -> None:
        """Free event set and sample buffers, as long as the driver is open."""
        self.closed = True
        try:
            self._library.check()
        except SourceError:
            return
        self._fast.close()
        self._slow.close()

    def _outdate(self) -> None:
        self.outdated = True
        self._on_lost()

    def _read(self, *, slow: bool) -> Reading:
        turn = self._turn
        rare = slow and (turn is None or turn % 3 == 0)
        fast = self._fast.read(slow=slow, rare=rare)
        slow_reading = None
        if slow:
            slow_reading = self._slow.read(turn)
            self._turn = 0 if turn is None else turn + 1
        return Reading(
            fast=fast,
            slow=slow_reading,
            rejected=tuple(self._device.rejected),
            failed=dict(self._device.failed),
        )

    def _check_open(self) -> None:
        self._library.check()
        if self.closed:
            raise Unavailable(f"the reader of {self.uuids[0]} is closed", reason="closed")

    def _stay_away_if_asleep(self) -> None:
        if self._power.suspended():
            raise SourceError(f"{self.uuids[0]} is suspended and left asleep", reason="suspended")
