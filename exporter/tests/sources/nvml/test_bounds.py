"""What is physically impossible is dropped and counted; never clamped, never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.fakenvml import Instance, Process

if TYPE_CHECKING:
    from gputally.model import Reading

    from .conftest import Bench

ALL_ONES_32 = 0xFFFFFFFF
ALL_ONES_64 = 0xFFFFFFFFFFFFFFFF
GIB = 1 << 30


def value_of(reading: Reading, name: str) -> Any:
    """A reading by its name, in whichever lane; `family.key` for an entry."""
    family, _, key = name.partition(".")
    lane = reading.fast if hasattr(reading.fast, family) else reading.slow
    value = getattr(lane, family)
    return value.get(key) if key else value


IMPOSSIBLE: list[tuple[str, dict[str, Any]]] = [
    ("utilization_ratio", {"gpu_percent": ALL_ONES_32}),
    ("utilization_ratio", {"gpu_percent": 808_334}),
    ("utilization_ratio", {"gpu_percent": 101}),
    ("memory_utilization_ratio", {"memory_percent": ALL_ONES_32}),
    ("memory_used_bytes", {"memory_used": ALL_ONES_64}),
    ("memory_used_bytes", {"memory_used": 82 * GIB, "memory_free": 0}),
    ("memory_free_bytes", {"memory_free": ALL_ONES_64}),
    ("memory_total_bytes", {"memory_total": ALL_ONES_64, "memory_used": 1, "memory_free": 1}),
    ("memory_total_bytes", {"memory_total": 0, "memory_used": 0, "memory_reserved": 0, "memory_free": 0}),
    ("memory_reserved_bytes", {"memory_reserved": ALL_ONES_64, "memory_free": 0}),
    ("power_average_w", {"power_override_mw": 3_690_000_000}),
    ("power_instant_w", {"power_override_mw": 1_500_000}),
    ("temperature_c", {"temperature": -1}),
    ("temperature_c", {"temperature": 0}),
    ("temperature_c", {"temperature": 151}),
    ("memory_temperature_c", {"memory_temperature": 0}),
    ("memory_temperature_c", {"memory_temperature": 255}),
    ("temperature_margin_c", {"temperature_margin": -1000}),
    ("fan_ratio.0", {"fan_percent": (ALL_ONES_32,)}),
    ("clock_hz.memory", {"clock_mhz": {2: ALL_ONES_32}}),
    ("clock_hz.graphics", {"clock_mhz": {0: 40_001}}),
    ("performance_state", {"performance_state": 16}),
    ("engine_ratio.encoder", {"encoder_percent": ALL_ONES_32}),
    ("engine_ratio.ofa", {"ofa_percent": 101}),
    ("power_limit_w", {"power_limit_mw": ALL_ONES_32}),
    ("power_limit_enforced_w", {"power_limit_enforced_mw": 0}),
    ("ecc_aggregate.uncorrected", {"ecc_total": {3: ALL_ONES_64}}),
    ("pcie_link_generation", {"pcie_generation": ALL_ONES_32}),
    ("pcie_link_width", {"pcie_width": 0}),
    ("row_remap_failed", {"remapped": {3: ALL_ONES_32}}),
    ("recovery_action", {"recovery_action": ALL_ONES_32}),
    ("pcie_transmit_bytes", {"pcie_transmit_bytes": ALL_ONES_64}),
    ("throttle_ns.hw_thermal", {"throttle_ns": {1: ALL_ONES_64}}),
]


@pytest.mark.fault("value-impossible")
@pytest.mark.parametrize(
    ("name", "values"), IMPOSSIBLE, ids=[f"{name}-{values}" for name, values in IMPOSSIBLE]
)
def test_an_impossible_value_is_dropped_and_named(bench: Bench, name: str, values: dict[str, Any]) -> None:
    """It was there before and comes back after."""
    gpu = bench.fake.add_gpu()
    reader = bench.opened().readers()[0]
    reader.describe()
    before = bench.tick(reader, slow=True)
    assert value_of(before, name) is not None
    assert before.rejected == ()
    gpu.set(**values)
    for _ in range(3):
        reading = bench.tick(reader, slow=True)
        if reading.rejected:
            break
    assert value_of(reading, name) is None
    assert {rejected.partition(".")[0] for rejected in reading.rejected} >= {name.partition(".")[0]}
    assert reading.failed == {}


def test_a_sentinel_of_the_energy_counter_is_absent(bench: Bench) -> None:
    """All ones is no energy; the next figure counts again."""
    gpu = bench.fake.add_gpu()
    reader = bench.reader()
    gpu.set_field(83, ALL_ONES_64)
    reading = bench.tick(reader)
    assert (reading.fast.energy_mj, reading.rejected) == (None, ("energy_mj",))
    gpu.clear_field(83)
    assert bench.tick(reader).fast.energy_mj == gpu.counter_mj()


def test_a_power_reading_is_bounded_by_twice_the_cards_own_limit(bench: Bench) -> None:
    """1399 W are possible on a 700 W card, for an instant; 1401 W are not."""
    gpu = bench.fake.add_gpu(power_override_mw=1_399_000)
    reader = bench.reader()
    assert bench.tick(reader).fast.power_w == 1399.0
    gpu.set(power_override_mw=1_401_000)
    reading = bench.tick(reader)
    assert reading.fast.power_w is None
    assert set(reading.rejected) == {"power_average_w", "power_instant_w", "power_w"}


def test_zero_is_a_value_where_it_can_be_one(bench: Bench) -> None:
    """An idle card: nothing used, nothing busy, nothing drawn."""
    bench.fake.add_gpu(
        gpu_percent=0, memory_percent=0, memory_used=0, power_override_mw=0, temperature_margin=0
    )
    reading = bench.tick(bench.reader(), slow=True)
    assert (reading.fast.utilization_ratio, reading.fast.memory_used_bytes, reading.fast.power_w) == (0, 0, 0)
    assert reading.slow is not None
    assert reading.slow.temperature_margin_c == 0
    assert reading.rejected == ()


def test_a_process_cannot_have_more_memory_than_the_card(bench: Bench) -> None:
    """The process stays, its memory does not."""
    bench.fake.add_gpu().set_processes([Process(11, 81 * GIB), Process(12, 90 * GIB), Process(13, None)])
    reading = bench.tick(bench.reader())
    assert [(p.pid, p.memory_bytes) for p in reading.fast.processes or ()] == [
        (11, 81 * GIB),
        (12, None),
        (13, None),
    ]
    assert reading.rejected == ("process_memory_bytes",)


def test_a_partition_is_bounded_like_a_card(bench: Bench) -> None:
    """Memory in use beyond its own total."""
    bench.fake.add_gpu().slice([Instance(1, memory_total=10 * GIB, memory_used=11 * GIB)])
    reading = bench.tick(bench.reader(), slow=True)
    assert reading.slow is not None
    assert reading.slow.mig_instances[0].memory_used_bytes is None
    assert reading.rejected == ("mig_instances.memory_used_bytes",)


def test_gpm_beyond_rounding_is_dropped(bench: Bench) -> None:
    """101 % of a counter's time is rounding and stays as it is; 140 % and infinity are not figures."""
    bench.fake.add_gpu().set_gpm({2: 101.0, 3: 140.0, 5: float("inf"), 10: -1.0})
    reading = bench.tick(bench.reader(gpm=True), 5, slow=True)
    assert reading.slow is not None
    assert reading.slow.activity_ratio == {"sm": pytest.approx(1.01)}
    assert set(reading.rejected) == {f"activity_ratio.{name}" for name in ("sm_occupancy", "tensor", "dram")}
