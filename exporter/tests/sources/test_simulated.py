"""The simulation is a pure function of seed, GPU and instant; its counters are integrals of what it shows."""

import contextlib
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputally.model import FastReading, Instant, Reading, SlowReading
from gputally.node.processes import ProcessTable
from gputally.node.sources.protocol import GpuLost, Source
from gputally.node.sources.simulated import SimulatedFault, SimulatedSource

NS = 1_000_000_000
MONDAY = 1_790_553_600  # 2026-09-28 00:00 UTC, the start of a round of four weeks
HOUR, DAY, WEEK = 3600, 86_400, 604_800
BOOTED = MONDAY - 5 * DAY


class Hands:
    """A clock that a test sets, in seconds after that Monday; booted five days before."""

    def __init__(self, second: float = 0.0) -> None:
        self.set(second)

    def set(self, second: float) -> None:
        self.now = instant(second)

    def __call__(self) -> Instant:
        return self.now


def instant(second: float) -> Instant:
    wall_ns = round((MONDAY + second) * NS)
    return Instant(wall_ns - BOOTED * NS, wall_ns)


def read_all(source: SimulatedSource) -> dict[str, Reading]:
    return {uuid: r for reader in source.readers() for uuid, r in reader.read(slow=True).items()}


def fast(source: SimulatedSource, gpu: int) -> FastReading:
    (reading,) = source.readers()[gpu].read(slow=False).values()
    return reading.fast


SECONDS = st.floats(0, 8 * WEEK)


def test_it_is_used_like_any_source() -> None:
    source: Source = SimulatedSource(gpus=3, clock=Hands())
    inventory = source.open()
    assert inventory == source.scan()
    assert inventory.driver.source == source.name == "simulated"
    assert [gpu.index for gpu in inventory.gpus] == ["0", "1", "2"]
    readers = source.readers()
    assert list(readers) == list(source.readers())
    assert [reader.uuids for reader in readers] == [(gpu.uuid,) for gpu in inventory.gpus]
    assert len({reader.key for reader in readers}) == 3
    for reader in readers:
        (description,) = reader.describe().values()
        assert description.name.startswith("Simulated ")
        (reading,) = reader.read(slow=False).values()
        assert reading.slow is None
        reader.close()
    source.close()


@pytest.mark.parametrize("gpus", [0, 1, 2, 3, 4, 5, 7, 64])
def test_any_number_of_gpus_has_one_reader_each_and_its_own_identity(gpus: int) -> None:
    source = SimulatedSource(gpus=gpus, clock=Hands())
    uuids = [gpu.uuid for gpu in source.open().gpus]
    assert len(set(uuids)) == gpus
    assert all(re.fullmatch(r"GPU-51a0[0-9a-f]{4}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", uuid) for uuid in uuids)
    assert list(read_all(source)) == uuids
    descriptions = [next(iter(reader.describe().values())) for reader in source.readers()]
    assert len({d.serial for d in descriptions}) == len({d.pci_bus_id for d in descriptions}) == gpus


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), SECONDS, SECONDS, st.booleans())
def test_a_reading_depends_on_nothing_that_was_read_before(
    seed: int, one: float, two: float, faults: bool
) -> None:
    clock = Hands(one)
    walked = SimulatedSource(4, seed, clock, faults=faults)
    _read_or_lost(walked)
    clock.set(two)
    fresh = SimulatedSource(4, seed, Hands(two), faults=faults)
    assert _without_xids(_read_or_lost(walked)) == _without_xids(_read_or_lost(fresh))


def _read_or_lost(source: SimulatedSource) -> dict[str, Reading | None]:
    found: dict[str, Reading | None] = {}
    for reader in source.readers():
        try:
            found |= reader.read(slow=True)
        except GpuLost:
            found[reader.uuids[0]] = None
    return found


def _without_xids(readings: Mapping[str, Reading | None]) -> list[Reading | None]:
    return [r and replace(r, fast=replace(r.fast, new_xids=())) for r in readings.values()]


def test_another_seed_is_another_machine() -> None:
    one, two = (SimulatedSource(4, seed, Hands(DAY)) for seed in (1, 2))
    assert {g.uuid for g in one.open().gpus}.isdisjoint(g.uuid for g in two.open().gpus)
    assert [r.fast.power_w for r in read_all(one).values()] != [
        r.fast.power_w for r in read_all(two).values()
    ]


def test_a_step_of_the_wall_clock_moves_no_counter() -> None:
    clock = Hands(DAY)
    source = SimulatedSource(4, 1, clock)
    before = read_all(source)
    clock.now = replace(clock.now, wall_ns=clock.now.wall_ns + HOUR * NS)
    assert read_all(source) == before


def _integral(
    source: SimulatedSource, clock: Hands, gpu: int, start: float, *, steps: int, width: float
) -> tuple[float, float]:
    """Joules by the counter, summed over readings, and by Simpson's rule over the power shown."""
    joules, counted = 0.0, 0
    last: int | None = None
    for step in range(steps + 1):
        clock.set(start + step * width)
        reading = fast(source, gpu)
        assert reading.power_w is not None
        assert reading.energy_mj is not None
        joules += reading.power_w * (1 if step in {0, steps} else 4 if step % 2 else 2) * width / 3
        counted += reading.energy_mj - last if last is not None else 0
        last = reading.energy_mj
    return counted / 1000, joules


WINDOWS = {
    "training": (0, 20 * HOUR, 0.1),
    "its sister": (1, 30 * HOUR + 123.4, 0.1),
    "bursts of inference": (2, 13 * HOUR, 0.1),
    "the morning's rise": (2, 8 * HOUR, 0.1),
    "a notebook opened": (3, 8 * HOUR, 1.2),
    "the weekly roll-out": (2, WEEK - 150, 0.1),
    "the end of a round": (1, 4 * WEEK - 150, 0.1),
    "idling": (3, 2 * HOUR, 0.1),
}


@pytest.mark.parametrize("speed", [1.0, 7.0])
@pytest.mark.parametrize(("gpu", "start", "width"), WINDOWS.values(), ids=WINDOWS.keys())
def test_the_energy_counter_is_the_integral_of_the_power_shown(
    gpu: int, start: float, width: float, speed: float
) -> None:
    clock = Hands()
    source = SimulatedSource(4, 1, clock, speed=speed)
    counted, integrated = _integral(source, clock, gpu, start, steps=3000, width=width / speed)
    assert counted == pytest.approx(integrated, rel=1e-6, abs=0.002)


def test_the_energy_of_two_days_is_exact_over_every_job_and_pause() -> None:
    clock = Hands()
    source = SimulatedSource(1, 3, clock)
    timeline = source._timelines[0]
    origin = instant(0).wall_ns
    step_ns = NS // 2
    powers = [timeline.power_w(origin + k * step_ns) for k in range(2 * 2 * DAY + 1)]
    total = sum((a + b) / 2 * 0.5 for a, b in pairwise(powers))
    before = fast(source, 0).energy_mj
    clock.set(2 * DAY)
    after = fast(source, 0).energy_mj
    assert before is not None
    assert after is not None
    assert (after - before) / 1000 == pytest.approx(total, rel=1e-6)


def _counters(reading: Reading) -> dict[str, int]:
    quick, slow = reading.fast, reading.slow
    assert slow is not None
    found = {
        "energy": quick.energy_mj,
        "sent": quick.pcie_transmit_bytes,
        "received": quick.pcie_receive_bytes,
        "replays": slow.pcie_replays,
        **dict(quick.throttle_ns or {}),
        **{f"ecc {k}": n for k, n in (*slow.ecc_volatile.items(), *slow.ecc_aggregate.items())},
        **{f"link {link.link}": link.transmit_bytes for link in slow.nvlinks},
        **{f"error {kind}": n for link in slow.nvlinks for kind, n in link.errors.items()},
    }
    return {name: count for name, count in found.items() if count is not None}


@settings(deadline=None, max_examples=20)
@given(
    st.lists(SECONDS, min_size=2, max_size=20), st.integers(1, 5), st.sampled_from([1.0, 60.0]), st.booleans()
)
def test_counters_never_go_back(seconds: list[float], seed: int, speed: float, faults: bool) -> None:
    clock = Hands()
    source = SimulatedSource(4, seed, clock, faults=faults, speed=speed)
    latest: dict[str, dict[str, int]] = {}
    for second in sorted(seconds):
        clock.set(second)
        for uuid, reading in _read_or_lost(source).items():
            if reading is not None:
                now = _counters(reading)
                assert all(now[name] >= count for name, count in latest.get(uuid, {}).items())
                assert all(count >= 0 for count in now.values())
                latest[uuid] = now


@settings(deadline=None, max_examples=60)
@given(SECONDS, st.integers(0, 50), st.booleans())
def test_every_figure_is_physical(second: float, seed: int, faults: bool) -> None:
    source = SimulatedSource(8, seed, Hands(second), faults=faults)
    for gpu, reading in enumerate(_read_or_lost(source).values()):
        if reading is None:
            continue
        quick, slow = reading.fast, reading.slow
        assert slow is not None
        description = next(iter(source.readers()[gpu].describe().values()))
        _check_fast(quick, slow)
        assert slow.temperature_c is not None
        assert 20 <= slow.temperature_c < description.temperature_limits_c["shutdown"]
        for clock, hertz in slow.clock_hz.items():
            assert 0 < hertz <= description.clock_max_hz[clock]
        assert all(0 <= ratio <= 1 for ratio in (*slow.fan_ratio.values(), *slow.activity_ratio.values()))


def _check_fast(quick: FastReading, slow: SlowReading) -> None:
    assert slow.power_limit_w is not None
    for power_w in (quick.power_w, quick.power_average_w, quick.power_instant_w):
        assert power_w is not None
        assert 20 < power_w <= slow.power_limit_w
    for ratio in (quick.utilization_ratio, quick.memory_utilization_ratio):
        assert ratio is not None
        assert 0 <= ratio <= 1
    parts = (quick.memory_used_bytes, quick.memory_free_bytes, quick.memory_reserved_bytes)
    assert all(part is not None and part >= 0 for part in parts)
    assert sum(part or 0 for part in parts) == quick.memory_total_bytes
    for process in quick.processes or ():
        assert process.sm_ratio is not None
        assert 0 <= process.sm_ratio <= 1
        assert 0 < process.pid < 1 << 22


def _week(gpu: int, seed: int = 1) -> list[tuple[int, FastReading]]:
    clock = Hands()
    source = SimulatedSource(4, seed, clock)
    found = []
    for minute in range(0, 7 * 1440, 5):
        clock.set(minute * 60 + 17)
        found.append((minute // 60 % 24, fast(source, gpu)))
    return found


def _mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known)


def test_training_is_steady_and_high_with_pauses() -> None:
    readings = [reading for _, reading in _week(0)]
    working = [r.power_w for r in readings if r.processes]
    assert len(working) > 0.9 * len(readings)
    assert _mean(working) > 550
    assert min(power_w or 0 for power_w in working) < 250


def test_inference_follows_the_day() -> None:
    readings = _week(2)
    day = _mean([r.utilization_ratio for hour, r in readings if 10 <= hour < 16])
    night = _mean([r.utilization_ratio for hour, r in readings if hour < 4])
    assert day > night + 0.2
    assert 0.1 < night < day < 0.95


def test_a_notebook_holds_memory_and_does_nothing() -> None:
    waste = [
        r
        for hour, r in _week(3)
        if r.utilization_ratio == 0 and (r.memory_used_bytes or 0) > 10 << 30 and r.processes
    ]
    assert len(waste) > 0.3 * 7 * 288
    assert {process.sm_ratio for r in waste for process in r.processes or ()} == {0.0}


def test_a_card_that_nobody_uses_is_idle_cool_and_empty() -> None:
    clock = Hands(3 * HOUR)
    source = SimulatedSource(4, 1, clock)
    (reading,) = source.readers()[3].read(slow=True).values()
    assert reading.fast.processes == ()
    assert reading.fast.utilization_ratio == 0
    assert reading.slow is not None
    assert (reading.slow.performance_state, reading.slow.pcie_link_generation) == (8, 1)
    assert reading.slow.temperature_c is not None
    assert reading.slow.temperature_c < 40


@settings(deadline=None, max_examples=40)
@given(SECONDS, st.integers(0, 20))
def test_jobs_name_the_processes_that_the_gpus_show(second: float, seed: int) -> None:
    clock = Hands(second)
    source = SimulatedSource(8, seed, clock)
    shown = {u: {p.pid for p in r.fast.processes or ()} for u, r in read_all(source).items()}
    jobs = source.jobs(clock())
    claimed = {pid for job in jobs if job.state == "running" for pid in job.pids}
    for job in jobs:
        assert job.start <= clock().wall_seconds
        assert (job.end is None) == (job.state == "running")
        assert job.end is None or job.start < job.end <= clock().wall_seconds
        assert all((job.user, job.team, job.job_name))
        if job.state == "running":
            assert set(job.pids) == set().union(*(shown[uuid] for uuid in job.gpus))
            assert {(source.identify(pid) or ("", ""))[1] for pid in job.pids} == {job.user}
    for pid in set().union(*shown.values()) - claimed:
        assert source.identify(pid) is not None  # runs beside the scheduler
    assert source.identify(1) is None


def test_a_run_beside_the_scheduler_is_no_job_but_has_an_owner() -> None:
    clock = Hands()
    source = SimulatedSource(4, 1, clock)
    for hour in range(14 * 24):
        clock.set(hour * HOUR + 1800)
        processes = fast(source, 3).processes or ()
        jobs = [
            job
            for job in source.jobs(clock(), 0)
            if job.state == "running" and job.gpus == source.readers()[3].uuids
        ]
        if processes and not jobs:
            name, user = source.identify(processes[0].pid) or ("", "")
            assert (name, user.isalpha()) == ("python3", True)
            return
    pytest.fail("no such run within two weeks")


def test_a_training_job_spans_two_gpus() -> None:
    clock = Hands(30 * HOUR)
    source = SimulatedSource(4, 1, clock)
    (job,) = [job for job in source.jobs(clock(), 0) if len(job.gpus) == 2]
    assert job.gpus == tuple(gpu.uuid for gpu in source.open().gpus[:2])
    assert len(set(job.pids)) == 2


def test_job_numbers_are_never_given_twice() -> None:
    clock = Hands()
    source = SimulatedSource(8, 1, clock, faults=True)
    owners: dict[str, tuple[float, tuple[str, ...]]] = {}
    for hour in range(0, 8 * 7 * 24, 3):
        clock.set(hour * HOUR)
        for job in source.jobs(clock(), 3 * HOUR):
            assert owners.setdefault(job.job_id, (job.start, job.gpus)) == (job.start, job.gpus)
    assert len(owners) > 200


def test_a_job_that_ended_is_told_for_an_hour_and_then_forgotten() -> None:
    clock = Hands()
    source = SimulatedSource(1, 1, clock)
    (running,) = (job for job in source.jobs(instant(5 * HOUR)) if job.state == "running")
    ended = next(
        job
        for hour in range(6, 80)
        for job in source.jobs(instant(hour * HOUR))
        if job.job_id == running.job_id and job.end is not None
    )
    assert ended == replace(running, end=ended.end, state=ended.state)
    assert ended.end is not None
    at_end = ended.end - MONDAY
    assert running.job_id in {job.job_id for job in source.jobs(instant(at_end + 3500))}
    assert running.job_id not in {job.job_id for job in source.jobs(instant(at_end + 3700))}


def test_its_processes_are_named_in_the_process_table() -> None:
    clock = Hands(30 * HOUR)
    source = SimulatedSource(4, 1, clock)
    table = ProcessTable(identify=source.identify)
    rows, count, _ = table.rows(fast(source, 2).processes or (), clock())
    (user,) = {row.user for row in rows}
    assert [row.name for row in rows] == ["engine-core", "tokenizer"]
    assert user.isalpha()
    assert count == 2


def test_without_faults_nothing_goes_wrong() -> None:
    source = SimulatedSource(8, 1, Hands())
    assert source.faults(instant(0), instant(8 * WEEK)) == ()


def _faults(source: SimulatedSource, kind: str, until: float = 2 * WEEK) -> list[SimulatedFault]:
    return [fault for fault in source.faults(instant(0), instant(until)) if fault.kind == kind]


@pytest.mark.parametrize("gpus", [1, 4])
def test_a_lost_gpu_is_lost_alone_and_comes_back(gpus: int) -> None:
    clock = Hands()
    source = SimulatedSource(gpus, 1, clock, faults=True)
    for lost in _faults(source, "lost")[:5]:
        assert 200 < lost.end - lost.start < 500
        for second, gone in (
            (-0.5, False),
            (0.5, True),
            (lost.end - lost.start - 0.5, True),
            (lost.end - lost.start + 0.5, False),
        ):
            clock.set(lost.start - MONDAY + second)
            missing = {uuid for uuid, reading in _read_or_lost(source).items() if reading is None}
            assert missing == ({lost.uuid} if gone else set())
        assert lost.uuid in {gpu.uuid for gpu in source.scan().gpus}
        clock.set(lost.start - MONDAY + 1)
        reader = next(r for r in source.readers() if r.uuids == (lost.uuid,))
        with pytest.raises(GpuLost, match="fallen off the bus"):
            reader.describe()
        failed = [job for job in source.jobs(clock()) if lost.uuid in job.gpus and job.end == lost.start]
        assert [job.state for job in failed] == ["failed"]


def test_each_xid_is_delivered_once_at_its_time() -> None:
    clock = Hands()
    source = SimulatedSource(4, 1, clock, faults=True)
    planned = _faults(source, "xid", 3 * DAY)
    assert {fault.xid for fault in planned} == {31, 79, 94}
    seen = []
    for tick in range(0, 3 * DAY, 10):
        clock.set(tick)
        for gpu in (1, 3):
            with contextlib.suppress(GpuLost):
                seen += [(tick, source.open().gpus[gpu].uuid, xid) for xid in fast(source, gpu).new_xids]
    assert [one[1:] for one in seen] == [(fault.uuid, fault.xid) for fault in planned]
    assert all(
        0 <= tick - (fault.start - MONDAY) < 10 for (tick, *_), fault in zip(seen, planned, strict=True)
    )


def test_an_xid_at_the_very_instant_of_a_reading_is_delivered_by_that_one_only() -> None:
    clock = Hands()
    source = SimulatedSource(4, 1, clock, faults=True)
    error = next(fault for fault in _faults(source, "xid") if fault.xid == 94)
    delivered = []
    for second in (-1, 0, 1):
        clock.set(error.start - MONDAY + second)
        delivered.append(fast(source, 1).new_xids)
    assert delivered == [(), (94,), ()]


def test_an_uncorrected_error_is_counted_and_waits_for_the_job_to_end() -> None:
    clock = Hands()
    source = SimulatedSource(4, 1, clock, faults=True)
    error = next(fault for fault in _faults(source, "xid") if fault.xid == 94)
    figures = []
    for second in (-1, 1, 12 * HOUR):
        clock.set(error.start - MONDAY + second)
        slow = next(r.slow for u, r in _read_or_lost(source).items() if u == error.uuid and r is not None)
        assert slow is not None
        figures.append((slow.ecc_volatile["uncorrected"], slow.row_remap_pending))
    assert figures[1][0] == figures[0][0] + 1
    assert [pending for _, pending in figures] == [False, True, False]


def test_a_hot_gpu_slows_down_and_counts_the_time() -> None:
    clock = Hands()
    source = SimulatedSource(1, 1, clock, faults=True)
    hot, counted = [], []
    for minute in range(0, 48 * 60, 2):
        clock.set(minute * 60)
        for reading in _read_or_lost(source).values():
            if reading is None or reading.slow is None:
                continue
            counted.append((reading.fast.throttle_ns or {})["hw_thermal"])
            if reading.slow.throttle_active["hw_thermal"]:
                hot.append(reading.slow)
    assert len(hot) > 50
    assert median(slow.temperature_c or 0 for slow in hot) > 87
    assert all(slow.clock_hz["sm"] < 1.6e9 for slow in hot)
    assert (counted[-1] - counted[0]) / NS == pytest.approx(len(hot) * 120, rel=0.15)


def test_speed_shortens_the_day_but_not_the_second() -> None:
    """At 60 times, a day passes in 24 minutes, and one real second of 650 W is still 650 J."""
    clock = Hands()
    source = SimulatedSource(4, 1, clock, speed=60.0)
    desk, joules = [], []
    for second in range(24 * 60):
        clock.set(second)
        desk.append(bool(fast(source, 3).processes))
        joules.append((fast(source, 0).energy_mj or 0) / 1000)
    assert {False, True} == set(desk)
    assert all(later - earlier <= 700 for earlier, later in pairwise(joules))
    jobs = source.jobs(clock())
    assert all(job.start <= clock().wall_seconds for job in jobs)
    assert all(job.end is None or job.end - job.start < 3 * HOUR for job in jobs)


def test_a_read_is_cheap() -> None:
    """About 60 us, 150 us with the slow lane."""
    clock = Hands()
    (reader,) = SimulatedSource(1, 1, clock).readers()
    began = time.thread_time()
    for second in range(200):
        clock.set(second)
        reader.read(slow=True)
    assert (time.thread_time() - began) / 200 < 0.002
