"""Every GPU that this node knows, present or not: its identity, its latest reading, its counters.

A GPU leaves the roster only when it has been gone for a day; until then it is `gpu_up 0` with a reason, and
its counters stand still. Used by the sampler's thread only.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from gputally.model import (
    Description,
    FastReading,
    Gpu,
    GpuSnapshot,
    Instant,
    ProcessRow,
    Reading,
    SlowReading,
)
from gputally.node import counters
from gputally.node.counters import Context, Tick
from gputally.node.gpustate import GpuState, fresh
from gputally.node.money import DEFAULT_SCHEDULE, from_zero, tidied
from gputally.tariff import Schedule

logger = logging.getLogger(__name__)
FORGET_SECONDS = 86_400.0
GONE = "gone"  # the driver is open and does not list it
RELEASED = "released"  # let go on purpose, which is no loss
SUSPENDED = "suspended"  # a laptop's GPU asleep, which reading would wake
QUIET = frozenset({SUSPENDED, RELEASED})  # down, but nothing is wrong
PASSING = ("starting", "reopening")  # say less than what was known before
EVENTS = ("added", "lost", "returned", "removed", "driver_reload", "reboot")


class Memory(Protocol):
    """What is known of GPUs from before this process."""

    remembered: dict[str, tuple[Gpu, GpuState]]
    events: dict[tuple[str, str], int]
    unread: set[str]  # GPUs of which more was published than is known: see `gpustate.overtaken`

    def state_of(self, uuid: str) -> GpuState | None:
        """The counters of a GPU that comes back after it was forgotten."""


@dataclass(slots=True)
class Entry:
    """One GPU as the sampler sees it."""

    gpu: Gpu
    state: GpuState
    up: bool = False
    reason: str = "starting"
    description: Description | None = None
    fast: FastReading | None = None
    slow: SlowReading | None = None
    read_at: Instant | None = None
    gone_at: Instant | None = None
    present: bool = False
    ever_up: bool = False
    rows: tuple[ProcessRow, ...] | None = None
    process_count: int | None = None
    processes_capped: int = 0
    unread: bool = False  # its counters show less than was published, until it is read

    def power_limit_w(self) -> float | None:
        """The highest limit known, which bounds what the energy counter may claim."""
        described = self.description.power_limit_max_w if self.description is not None else None
        enforced = self.slow.power_limit_w if self.slow is not None else None
        return max((w for w in (described, enforced) if w is not None), default=None)

    def show_processes(self, rows: tuple[ProcessRow, ...] | None, count: int | None, capped: int) -> None:
        """Attach the process table of the latest reading; None where the driver does not say."""
        self.rows, self.process_count, self.processes_capped = rows, count, capped

    def snapshot(self, now: Instant, schedule: Schedule) -> GpuSnapshot:
        """What a scrape may see of it; readings only while it is up."""
        return GpuSnapshot(
            gpu=self.gpu,
            up=self.up,
            reason="" if self.up else self.reason,
            read_at=self.read_at,
            description=self.description,
            fast=self.fast if self.up else None,
            slow=self.slow if self.up else None,
            counters=counters.publish(fresh() if self.unread else self.state, now, schedule),
            processes=self.rows if self.up else None,
            process_count=self.process_count if self.up else None,
            processes_capped=self.processes_capped if self.up else 0,
        )


class Roster:
    """The GPUs of the node by UUID."""

    def __init__(
        self, boot_id: str, interval_ns: int, memory: Memory, schedule: Schedule = DEFAULT_SCHEDULE
    ) -> None:
        self.boot_id = boot_id
        self.schedule = schedule
        self.interval_ns = interval_ns
        self.epoch = 0
        self.rejected: dict[str, int] = {}
        self._failing: dict[str, set[tuple[str, str]]] = {}  # uuid -> (reading, reason) of its latest reading
        self._long_interval: tuple[int, int] = (0, 0)  # the interval before, and until when it may still show
        self.events: dict[tuple[str, str], int] = dict(memory.events)
        self._memory = memory
        self._entries: dict[str, Entry] = {
            uuid: Entry(gpu, state, reason="not_seen_yet", unread=uuid in memory.unread)
            for uuid, (gpu, state) in memory.remembered.items()
        }

    def __iter__(self) -> Iterator[Entry]:
        """Entries in the order of the driver, those that are gone last."""
        return iter(sorted(self._entries.values(), key=_order))

    def entry(self, uuid: str) -> Entry | None:
        """The GPU's entry, or None."""
        return self._entries.get(uuid)

    def present(self, gpus: Iterable[Gpu], now: Instant, why_gone: str) -> None:
        """Take in who is there now: indices follow, newcomers join, the missing are marked gone."""
        seen = set()
        for gpu in gpus:
            seen.add(gpu.uuid)
            entry = self._entries.get(gpu.uuid)
            if entry is None:
                state = self._memory.state_of(gpu.uuid)
                unread = gpu.uuid in self._memory.unread
                entry = self._entries[gpu.uuid] = Entry(gpu, state or fresh(), unread=unread)
                self._event(gpu.uuid, "added")
            entry.gpu, entry.present, entry.gone_at = gpu, True, None
        for uuid, entry in list(self._entries.items()):
            if uuid not in seen:
                self._away(entry, why_gone, now)

    def _away(self, entry: Entry, why: str, now: Instant) -> None:
        """Nobody lists it: it was unplugged, or the driver is not open for anybody."""
        known = entry.reason == GONE or (why in PASSING and not entry.up and entry.reason != "not_seen_yet")
        if entry.up or not known:
            if why == GONE and entry.ever_up:
                self._event(entry.gpu.uuid, "removed")
            elif entry.up and why != RELEASED:
                self._event(entry.gpu.uuid, "lost")
            self._set_down(entry, why, now)
        entry.present = False
        # While the driver is not open nobody knows whether it is still there.
        entry.gone_at = (entry.gone_at or now) if why == GONE else None
        if entry.gone_at is not None and _seconds_gone(entry, entry.gone_at, now) > FORGET_SECONDS:
            self._forget(entry.gpu.uuid)

    def _forget(self, uuid: str) -> None:
        """Show it no longer. Its counters stay in the state folder, for the day on which it comes back."""
        del self._entries[uuid]
        self._failing.pop(uuid, None)
        for event in EVENTS:
            self.events.pop((uuid, event), None)
        logger.info("GPU forgotten after a day: %s", uuid)

    def pace(self, interval_ns: int, now: Instant) -> None:
        """Readings come at another interval from now on; the one under way is still as long as before."""
        self._long_interval = (self.interval_ns, now.boot_ns + 2 * self.interval_ns)
        self.interval_ns = interval_ns

    def took(self, uuid: str, reading: Reading, at: Instant) -> Tick | None:
        """Integrate a reading; the GPU is up. None for a GPU that has left meanwhile."""
        entry = self._entries.get(uuid)
        if entry is None or not entry.present:
            return None
        if not entry.up:
            self._came_up(entry)
        entry.fast, entry.read_at, entry.unread = reading.fast, at, False
        if reading.slow is not None:
            entry.slow = reading.slow
        entry.state, tick = counters.advance(entry.state, reading, at, self._context(entry, at))
        for word in tick.events:
            if word in EVENTS:
                self._event(uuid, word)
            logger.info("GPU %s: %s", uuid, word.replace("_", " "))
        for name in reading.rejected:
            self.rejected[name] = self.rejected.get(name, 0) + 1
        self._note_failures(uuid, reading)
        return tick

    def _note_failures(self, uuid: str, reading: Reading) -> None:
        failing = set(reading.failed.items())
        for name, why in failing - self._failing.get(uuid, set()):
            logger.warning("GPU %s: %s cannot be read: %s", uuid, name, why)
        self._failing[uuid] = failing

    def down(
        self, uuid: str, reason: str, now: Instant, detail: str = "", new_xids: tuple[int, ...] = ()
    ) -> None:
        """The GPU gave no reading and shows none until it does; said once per change.

        One that has left meanwhile stays `gone`, whatever its last call came to.
        """
        entry = self._entries.get(uuid)
        if entry is not None and entry.present:
            if entry.up and reason not in QUIET:
                self._event(uuid, "lost")
            self._set_down(entry, reason, now, detail, new_xids)

    def _set_down(
        self, entry: Entry, reason: str, now: Instant, detail: str = "", new_xids: tuple[int, ...] = ()
    ) -> None:
        if entry.up or entry.reason != reason:
            because = f"{reason}: {detail}" if detail else reason
            logger.warning("GPU %s (%s) is down: %s", entry.gpu.index, entry.gpu.uuid, because)
        entry.up, entry.reason = False, reason
        entry.fast = entry.slow = None
        entry.state = counters.miss(entry.state, now, new_xids)

    def reprice(self, schedule: Schedule) -> None:
        """Energy costs something else from the next reading on."""
        self.schedule = schedule
        for entry in self._entries.values():
            entry.state = replace(entry.state, money=tidied(entry.state.money, schedule.names))

    def money_from_zero(self) -> None:
        """Begin again with what energy cost: what is remembered may be less than what was published."""
        for entry in self._entries.values():
            entry.state = replace(entry.state, money=from_zero(entry.state.money))

    @property
    def unread(self) -> set[str]:
        """GPUs of which more has been published than their counters show."""
        return {uuid for uuid, entry in self._entries.items() if entry.unread}

    def states(self) -> dict[str, tuple[Gpu, GpuState]]:
        """What the state file keeps."""
        return {uuid: (entry.gpu, entry.state) for uuid, entry in self._entries.items()}

    def snapshots(self, now: Instant) -> tuple[GpuSnapshot, ...]:
        """All GPUs as a scrape may see them."""
        return tuple(entry.snapshot(now, self.schedule) for entry in self)

    def device_events(self) -> dict[tuple[str, str, str], int]:
        """Counts of events by (index, UUID, event); every event of a known GPU, those at zero too."""
        return {
            (entry.gpu.index, uuid, event): self.events.get((uuid, event), 0)
            for uuid, entry in self._entries.items()
            for event in EVENTS
        }

    @property
    def all_down(self) -> bool:
        """Whether there are GPUs and none of them answers, though not all of them merely sleep."""
        entries = [entry for entry in self._entries.values() if entry.present] or self._entries.values()
        return not self.any_up and any(entry.reason != SUSPENDED for entry in entries)

    @property
    def any_up(self) -> bool:
        """Whether at least one GPU answers."""
        return any(entry.up for entry in self._entries.values())

    def _came_up(self, entry: Entry) -> None:
        if entry.ever_up:
            self._event(entry.gpu.uuid, "returned")
        logger.info("GPU %s (%s) is up", entry.gpu.index, entry.gpu.uuid)
        entry.up, entry.reason, entry.ever_up = True, "", True

    def _event(self, uuid: str, event: str) -> None:
        self.events[uuid, event] = self.events.get((uuid, event), 0) + 1

    def _context(self, entry: Entry, at: Instant) -> Context:
        before_ns, until_ns = self._long_interval
        return Context(
            boot_id=self.boot_id,
            interval_ns=max(self.interval_ns, before_ns) if at.boot_ns < until_ns else self.interval_ns,
            power_limit_w=entry.power_limit_w(),
            epoch=self.epoch,
            schedule=self.schedule,
        )


def _seconds_gone(entry: Entry, gone_at: Instant, now: Instant) -> float:
    """By the wall clock since it was last read, so that a restart of the exporter begins no new day."""
    last = entry.state.last
    by_wall = (now.wall_ns - last.wall_ns) / 1e9 if last is not None else 0.0
    return max(now.seconds_since(gone_at), by_wall)


def _order(entry: Entry) -> tuple[bool, int, str]:
    index = entry.gpu.index
    return (not entry.present, int(index) if index.isdigit() else 1 << 30, entry.gpu.uuid)
