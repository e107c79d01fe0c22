"""Random histories of a GPU, its driver, the exporter and the machine, through the real state file.

Whatever happens, what the ticks say adds up to the counter, nothing that was published goes back, and no tick
claims more than the board can have used.
"""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gputally.model import FastReading, GpuCounters, Instant, NvLink, Reading, SlowReading
from gputally.node import counters, gpustate
from gputally.node.counters import Context
from gputally.node.gpustate import GpuState
from gputally.node.power import most_mj
from gputally.node.state import StateFile
from tests.node.card import BOOT_NS, LIMIT_W, SECOND, WALL_NS
from tests.node.statefolder import MEMORY, UUID

HELD = ("energy_joules", "energy_clamped_joules", "energy_unmeasured_seconds", "busy_seconds")
RESET = ("pcie_transmit_bytes", "pcie_replays")


@dataclass
class Machine:
    """A machine with one GPU and an exporter whose state file is real."""

    folder: Path
    now: Instant = field(default_factory=lambda: Instant(BOOT_NS, WALL_NS))
    boot: int = 0
    power_w: int = 300
    used_mj: int = 0  # the truth, since the exporter first saw the GPU
    hw_mj: int = 10**12
    sent_bytes: int = 10**9
    loaded_mj: int = 0
    booked_mj: int = 0
    shown: GpuCounters | None = None

    def __post_init__(self) -> None:
        self.file = StateFile(self.folder, host_id="here")
        self.file.load(boot_id="boot-0")
        self.state: GpuState = gpustate.fresh()

    @property
    def ctx(self) -> Context:
        return Context(f"boot-{self.boot}", SECOND, LIMIT_W)

    def live(self, seconds: float) -> None:
        """The GPU goes on, whoever looks."""
        ns = round(seconds * SECOND)
        self.now = Instant(self.now.boot_ns + ns, self.now.wall_ns + ns)
        energy_mj = self.power_w * ns // 10**6
        self.used_mj += energy_mj
        self.hw_mj += energy_mj
        self.sent_bytes += 1000

    def tick(self, seconds: float, power_w: int, lacks: Iterable[str], garbage: int | None) -> None:
        self.live(seconds)
        self.power_w = power_w
        hw_mj = self.hw_mj if garbage is None else max(0, self.hw_mj + garbage)
        fast: dict[str, Any] = {
            "energy_mj": hw_mj,
            "power_average_w": float(power_w),
            "power_w": float(power_w),
            "utilization_ratio": 0.5,
            "throttling": {"hw_slowdown": True},
            "pcie_transmit_bytes": self.sent_bytes,
        }
        fast.update(dict.fromkeys(lacks))
        slow = SlowReading(
            pcie_replays=self.sent_bytes // 1000, nvlinks=(NvLink(None, True, self.sent_bytes),)
        )
        reading = Reading(FastReading(**fast), slow if self.now.boot_ns % 3 else None)
        self.state, tick = counters.advance(self.state, reading, self.now, self.ctx)
        self.booked_mj += tick.delta_mj
        assert tick.delta_mj >= 0
        assert tick.busy_ns <= max(0, tick.dt_ns)
        assert tick.delta_mj <= most_mj(LIMIT_W, tick.covers_ns + 12 * SECOND), "more than the board can use"
        self.save()
        self.publish()

    def miss(self, seconds: float) -> None:
        self.live(seconds)
        self.state = counters.miss(self.state, self.now)
        self.save()
        self.publish()

    def save(self, *, clean: bool = False) -> None:
        self.file.save({UUID: self.state}, boot_id=self.ctx.boot_id, now=self.now, clean=clean)

    def publish(self, *, resets: bool = False) -> None:
        """What a scrape sees now must not be less than what it saw before."""
        before, self.shown = self.shown, counters.publish(self.state, self.now)
        acc_mj = self.state.energy.acc_mj or 0
        assert acc_mj == self.loaded_mj + self.booked_mj, "the ticks do not add up to the counter"
        if before is None:
            return
        for name in HELD:
            was, now = getattr(before, name) or 0, getattr(self.shown, name) or 0
            assert now >= was, f"{name} went back from {was} to {now}"
        for reason, seconds in before.throttle_seconds.items():
            assert self.shown.throttle_seconds.get(reason, 0) >= seconds
        for name in RESET:
            was, now = getattr(before, name) or 0, getattr(self.shown, name) or 0
            assert now >= was or (resets and now == 0), f"{name}: {was} to {now}"
        for link, count in before.nvlink_transmit_bytes.items():
            now = self.shown.nvlink_transmit_bytes.get(link, 0)
            assert now >= count or (resets and now == 0)

    def start(self, *, resets: bool = False) -> None:
        """Start the exporter on what is in the folder."""
        self.file.close()
        self.file = StateFile(self.folder, host_id="here")
        loaded = self.file.load(boot_id=self.ctx.boot_id)
        self.state = loaded.states.get(UUID, gpustate.fresh())
        self.loaded_mj, self.booked_mj = self.state.energy.acc_mj or 0, 0
        self.save()
        self.publish(resets=resets)

    def reboot(self, uptime: float) -> None:
        """The machine starts again; its driver counts from zero."""
        self.boot += 1
        ns = round(uptime * SECOND)
        self.now = Instant(ns, self.now.wall_ns + 10**12)
        self.hw_mj = self.power_w * ns // 10**6
        self.used_mj += self.hw_mj
        self.sent_bytes = 5000

    def act(self, action: str, seconds: float, power_w: int, lacks: Iterable[str], garbage: int) -> None:  # noqa: C901, PLR0912 - a table of what can happen
        if action == "tick":
            self.tick(seconds, power_w, lacks, None)
        elif action == "garbage":
            self.tick(seconds, power_w, (), garbage)
        elif action == "miss":
            self.miss(seconds)
        elif action == "sleep":
            self.live(seconds * 100)
        elif action == "reload":
            self.hw_mj, self.sent_bytes = 0, 0
        elif action == "step":
            self.hw_mj = max(0, self.hw_mj + garbage)
        elif action == "wall":
            self.now = replace(self.now, wall_ns=max(0, self.now.wall_ns + garbage * SECOND // 10**6))
        elif action == "kill":
            self.live(seconds * 10)
            self.start()
        elif action == "torn":
            newest = self.folder / "counters.json"
            newest.write_bytes(newest.read_bytes()[:-9] if newest.exists() else b"")
            self.start(resets=True)
        elif action == "stop":
            self.save(clean=True)
            self.reboot(uptime=seconds * 10)
            self.start()
        elif action == "cut":
            # Of what was not synced a power cut leaves the names and no contents.
            for name in ("counters.json", "counters.json.1"):
                if (self.folder / name).exists():
                    (self.folder / name).write_bytes(b"")
            self.reboot(uptime=seconds * 10)
            self.start(resets=True)


SECONDS = st.sampled_from([0.25, 0.25, 1.0, 1.0, 1.0, 1.07, 4.9, 5.3, 10.0])
WATTS = st.sampled_from([3, 70, 300, 700])
LACKS = st.lists(
    st.sampled_from(["energy_mj", "power_average_w", "power_w", "utilization_ratio"]), max_size=4
)
GARBAGE = st.sampled_from([-1, 1, -1000, -500_000, -(10**9), -(10**13), 10**7, 10**12, 2**62])
FAULTS = ["garbage", "garbage", "miss", "sleep", "reload", "step", "wall", "kill", "torn", "stop", "cut"]
ACTIONS = ["tick"] * 12 + FAULTS


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), SECONDS, WATTS, LACKS, GARBAGE), min_size=1, max_size=60))
def test_whatever_happens_it_adds_up_and_nothing_goes_back(
    history: list[tuple[str, float, int, list[str], int]],
) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        machine = Machine(Path(folder))
        try:
            for step in history:
                machine.act(*step)
        finally:
            machine.file.close()


HEALTHY = ["tick"] * 6 + ["miss", "sleep", "wall", "kill"]


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.sampled_from(HEALTHY), SECONDS, WATTS, GARBAGE), min_size=1, max_size=60))
@example([("tick", 1.0, 700, 0)] * 70)
def test_with_a_healthy_counter_it_is_exact_to_the_millijoule(
    history: list[tuple[str, float, int, int]],
) -> None:
    """Over missed readings, suspends, kills of the exporter and steps of the wall clock."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        machine = Machine(Path(folder))
        try:
            machine.tick(1.0, 300, (), None)
            machine.used_mj = 0
            for action, seconds, power_w, garbage in history:
                machine.act(action, seconds, power_w, ["power_average_w", "power_w"], garbage)
            machine.tick(0.25, 300, (), None)
            machine.tick(0.25, 300, (), None)
            assert machine.state.energy.acc_mj == machine.used_mj
        finally:
            machine.file.close()


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), WATTS, GARBAGE), min_size=20, max_size=60))
def test_a_fault_now_and_then_costs_a_few_ticks(history: list[tuple[str, int, int]]) -> None:
    """With power beside the counter, each fault is worth some seconds of energy and never a lifetime."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        machine = Machine(Path(folder))
        faults = 0
        try:
            machine.tick(1.0, 300, (), None)
            machine.used_mj = 0
            for action, power_w, garbage in history:
                if action in ("sleep", "miss", "wall"):
                    continue
                machine.act(action, 1.0, power_w, (), garbage)
                faults += action != "tick"
            for _ in range(8):
                machine.tick(1.0, 300, (), None)
            error_mj = abs((machine.state.energy.acc_mj or 0) - machine.used_mj)
            assert error_mj <= faults * most_mj(LIMIT_W, 15 * SECOND)
        finally:
            machine.file.close()
