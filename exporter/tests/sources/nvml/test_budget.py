"""How often the driver is asked: the budget of a tick, and that what a card cannot do is asked once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakenvml import Instance, Link, Process

if TYPE_CHECKING:
    from gputally.node.sources.nvml import NvmlSource
    from tests.fakenvml import FakeNvml

    from .conftest import Bench

SLOW_TICKS = 5
MINUTE = 60


def run_minute(bench: Bench, source: NvmlSource) -> None:
    """Sixty ticks of 1 s with a slow read at every fifth, as the node does it; counted from zero."""
    readers = source.readers()
    for reader in readers:
        reader.describe()
    bench.fake.reset_calls()
    for tick in range(MINUTE):
        bench.fake.advance(1)
        source.scan()
        for reader in readers:
            reader.read(slow=tick % SLOW_TICKS == 0)


def add_busy_gpus(fake: FakeNvml, profile: str, count: int) -> None:
    """Cards with compute processes, and links where they have them."""
    for _ in range(count):
        gpu = fake.add_gpu(profile)
        gpu.set_processes([Process(5000 + n, sm=10) for n in range(4)])
        if profile in ("full", "h100", "a100"):
            gpu.set_links([Link()] * 18)


@pytest.mark.parametrize("profile", ["full", "h100", "a100", "rtx4090", "t4"])
def test_a_gpu_costs_at_most_ten_calls_a_second(bench: Bench, profile: str) -> None:
    """Processes, events and the slow lane included."""
    add_busy_gpus(bench.fake, profile, 2)
    run_minute(bench, bench.opened())
    counts = bench.fake.calls_by_function()
    of_the_machine = counts.pop("nvmlDeviceGetCount_v2")
    assert of_the_machine == MINUTE
    assert sum(counts.values()) / MINUTE / 2 <= 10.0


def test_counting_included_two_recent_gpus_stay_within_ten_calls_a_second(bench: Bench) -> None:
    """The machine's one call a tick, shared by its GPUs."""
    add_busy_gpus(bench.fake, "full", 2)
    run_minute(bench, bench.opened())
    assert bench.fake.calls() / MINUTE / 2 <= 10.0


def test_a_sliced_gpu_stays_within_ten_calls_a_second(bench: Bench) -> None:
    """Seven partitions; the calls that MIG switches off make room for theirs."""
    bench.fake.add_gpu().slice([Instance(n) for n in range(7)])
    run_minute(bench, bench.opened())
    assert bench.fake.calls(gpu=0) / MINUTE <= 10.0


def test_a_tick_makes_each_of_its_calls_once(bench: Bench) -> None:
    """One batch, one utilisation, one memory, one list, one share, one look at the events."""
    add_busy_gpus(bench.fake, "full", 1)
    reader = bench.reader()
    bench.fake.reset_calls()
    bench.tick(reader)
    assert bench.fake.calls_by_function() == {
        "nvmlEventSetWait_v2": 1,
        "nvmlDeviceGetFieldValues": 1,
        "nvmlDeviceGetUtilizationRates": 1,
        "nvmlDeviceGetMemoryInfo_v2": 1,
        "nvmlDeviceGetComputeRunningProcesses_v3": 1,
        "nvmlDeviceGetProcessUtilization": 1,
    }


def test_graphics_processes_are_listed_at_every_tick_only_while_there_are_any(bench: Bench) -> None:
    """A server has none; a desktop's are followed."""
    gpu = bench.fake.add_gpu()
    reader = bench.reader()
    bench.fake.reset_calls()
    for _ in range(4):
        bench.tick(reader)
    assert bench.fake.calls("nvmlDeviceGetGraphicsRunningProcesses_v3") == 0
    gpu.set_processes([Process(77, kind="graphics")])
    assert [p.pid for p in bench.tick(reader, slow=True).fast.processes or ()] == [77]
    gpu.set_processes([Process(78, kind="graphics")])
    assert [p.pid for p in bench.tick(reader).fast.processes or ()] == [78]
    gpu.set_processes([])
    assert bench.tick(reader).fast.processes == ()


def test_processes_cost_nothing_when_switched_off(bench: Bench) -> None:
    """The option processes=False."""
    add_busy_gpus(bench.fake, "full", 1)
    reader = bench.reader(processes=False)
    assert bench.tick(reader, slow=True).fast.processes is None
    assert not [name for name in bench.fake.calls_by_function() if "Process" in name]


def test_the_blocking_pcie_call_is_never_made(bench: Bench) -> None:
    """Not even on cards without byte counters."""
    add_busy_gpus(bench.fake, "t4", 1)
    run_minute(bench, bench.opened())
    assert bench.fake.calls("nvmlDeviceGetPcieThroughput") == 0


@pytest.mark.parametrize("code", [3, 4, 13, 25])
def test_what_a_card_cannot_do_is_asked_once_a_driver_epoch(bench: Bench, code: int) -> None:
    """Not supported, not permitted, not known: asked at the first read and never again."""
    bench.fake.add_gpu()
    optional = [
        *("nvmlDeviceGetEncoderUtilization", "nvmlDeviceGetMarginTemperature", "nvmlDeviceGetMigMode"),
        *("nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetProcessUtilization"),
        *(
            "nvmlDeviceGetCurrentClocksEventReasons",
            "nvmlDeviceGetSupportedEventTypes",
            "nvmlDeviceGetNumFans",
        ),
        *("nvmlDeviceGetPerformanceState", "nvmlDeviceGetUtilizationRates"),
    ]
    for function in optional:
        bench.fake.fault(function, gpu=0, code=code)
    source = bench.opened()
    reader = source.readers()[0]
    for _ in range(8):
        reading = bench.tick(reader, slow=True)
        assert reading.failed == {}
    assert {function: bench.fake.calls(function) for function in optional} == dict.fromkeys(optional, 1)


def test_a_call_that_fails_for_once_is_made_again_and_named(bench: Bench) -> None:
    """Any other code, one of drivers to come included."""
    bench.fake.add_gpu(temperature=50)
    reader = bench.reader()
    for code, word in ((10, "driver_timeout"), (14, "corrupted_inforom"), (77, "unrecognised_code")):
        bench.fake.fault("nvmlDeviceGetTemperatureV", gpu=0, code=code, times=1)
        reading = bench.tick(reader, slow=True)
        assert reading.failed == {"temperature_c": word}
        assert reading.slow is not None
        assert reading.slow.temperature_c is None
        assert (slow := bench.tick(reader, slow=True).slow)
        assert slow.temperature_c == 50.0


def test_fields_that_a_card_lacks_leave_the_batch(bench: Bench) -> None:
    """The rest still comes in one call."""
    bench.fake.add_gpu("a100")
    reader = bench.reader()
    bench.fake.reset_calls()
    reading = bench.tick(reader)
    assert bench.fake.calls("nvmlDeviceGetFieldValues") == 1
    assert (reading.fast.pcie_receive_bytes, reading.failed) == (None, {})


def test_a_field_is_asked_again_after_a_passing_fault(bench: Bench) -> None:
    """A driver that refuses a field it had given before is believed for good only if it says so."""
    gpu = bench.fake.add_gpu()
    reader = bench.reader()
    gpu.set_field(186, code=2)  # was fine before: no verdict
    reading = bench.tick(reader)
    assert (reading.fast.power_instant_w, reading.failed) == (None, {"power_instant_w": "invalid_argument"})
    gpu.clear_field(186)
    assert bench.tick(reader).fast.power_instant_w == 100.0
    gpu.set_field(186, code=3)
    assert bench.tick(reader).failed == {}
    gpu.clear_field(186)
    assert bench.tick(reader).fast.power_instant_w is None
