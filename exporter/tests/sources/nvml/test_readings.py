"""Every reading of both lanes: its value in SI units, and the other ways to it on other cards and drivers."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from gputally.model import FastReading, NvLink, SlowReading
from tests.fakenvml import Constant, Link, Process, Rate, Square

if TYPE_CHECKING:
    from tests.fakenvml import FakeGpu

    from .conftest import Bench

GIB = 1 << 30


def busy_gpu(bench: Bench) -> FakeGpu:
    """A GPU on which no reading has its default value, and no two have the same."""
    gpu = bench.fake.add_gpu("full", power=Constant(300), name="NVIDIA Test", vbios="96.01", serial="165")
    gpu.set(gpu_percent=55, memory_percent=33, memory_used=10 * GIB, memory_reserved=GIB)
    gpu.set(encoder_percent=11, decoder_percent=12, jpeg_percent=13, ofa_percent=14)
    gpu.set(temperature=71, memory_temperature=85, temperature_margin=-4)
    gpu.set(minor=5, fan_count=2, fan_percent=(40, 41), performance_state=2, event_reasons=0x24)
    gpu.set(clock_mhz=(1200, 1210, 2619, 1500), clock_max_mhz=(1980, 1985, 2620, 1545))
    gpu.set(power_limit_mw=500_000, power_limit_enforced_mw=490_000, power_limit_default_mw=650_000)
    gpu.set(ecc_total=(1, 2, 7, 9), remapped=(4, 5, 1, 0), retired_pending=1, recovery_action=2)
    gpu.set(pcie_generation=4, pcie_width=8, pcie_replays=6)
    gpu.set(pcie_transmit_bytes=12_345, pcie_receive_bytes=67_890)
    gpu.set(violation_ns={0: 1_000, 2: 1_100}, throttle_ns=(2_000, 3_000, 4_000))
    gpu.set_retired_pages(single_bit=[0xA, 0xB], double_bit=[0xC])
    return gpu


FAST = FastReading(
    power_w=300.0,
    power_average_w=300.0,
    power_instant_w=300.0,
    energy_mj=300_000,
    utilization_ratio=0.55,
    memory_utilization_ratio=0.33,
    memory_total_bytes=80 * GIB,
    memory_used_bytes=10 * GIB,
    memory_free_bytes=69 * GIB,
    memory_reserved_bytes=GIB,
    processes=(),
    throttle_ns={
        "sw_power_cap": 1_000,
        "sync_boost": 1_100,
        "sw_thermal": 2_000,
        "hw_thermal": 3_000,
        "hw_power_brake": 4_000,
    },
    pcie_transmit_bytes=12_345,
    pcie_receive_bytes=67_890,
)
SLOW = SlowReading(
    temperature_c=71.0,
    memory_temperature_c=85.0,
    temperature_margin_c=-4.0,
    power_limit_w=500.0,
    power_limit_enforced_w=490.0,
    fan_ratio={"0": 0.40, "1": 0.41},
    clock_hz={"graphics": 1.2e9, "sm": 1.21e9, "memory": 2.619e9, "video": 1.5e9},
    performance_state=2,
    engine_ratio={"encoder": 0.11, "decoder": 0.12, "jpeg": 0.13, "ofa": 0.14},
    throttle_active={
        "gpu_idle": False,
        "applications_clocks": False,
        "sw_power_cap": True,
        "hw_slowdown": False,
        "sync_boost": False,
        "sw_thermal": True,
        "hw_thermal": False,
        "hw_power_brake": False,
        "display_clocks": False,
    },
    ecc_volatile={"corrected": 1, "uncorrected": 7},
    ecc_aggregate={"corrected": 2, "uncorrected": 9},
    retired_pages={"single_bit": 2, "double_bit": 1},
    retired_pages_pending=True,
    remapped_rows={"corrected": 4, "uncorrected": 5},
    row_remap_pending=True,
    row_remap_failed=False,
    pcie_link_generation=4,
    pcie_link_width=8,
    pcie_replays=6,
    recovery_action=2,
    mig_enabled=False,
    mig_pending=False,
)


def test_a_tick_brings_every_fast_reading_in_si_units_and_nothing_slow(bench: Bench) -> None:
    """The whole record is compared, so that a reading that is lost or added shows."""
    busy_gpu(bench)
    reader = bench.opened().readers()[0]
    reading = bench.tick(reader)
    assert reading.fast == FAST
    assert reading.slow is None
    assert (reading.rejected, reading.failed) == ((), {})


def test_a_slow_read_brings_every_slow_reading_in_si_units_as_well(bench: Bench) -> None:
    """As for the fast lane."""
    busy_gpu(bench)
    reader = bench.opened().readers()[0]
    reading = bench.tick(reader, slow=True)
    assert reading.fast == FAST
    assert reading.slow == SLOW
    assert (reading.rejected, reading.failed) == ((), {})


def test_nothing_on_a_busy_card_keeps_the_default_of_its_record() -> None:
    """Guards the two tests above against a field of the model that they forgot."""
    elsewhere = {"power_samples", "new_xids", "throttling", "nvlinks", "mig_instances", "activity_ratio"}
    elsewhere.add("departed")
    for record in (FAST, SLOW):
        default = type(record)()
        silent = {f.name for f in fields(record) if getattr(record, f.name) == getattr(default, f.name)}
        assert silent - elsewhere == set()


def test_the_description_has_names_limits_and_maxima(bench: Bench) -> None:
    """Read once; the absent list names what the card refused."""
    busy_gpu(bench)
    source = bench.opened()
    reader = source.readers()[0]
    description = reader.describe()[reader.uuids[0]]
    assert replace(description, absent={}) == replace(
        description,
        name="NVIDIA Test",
        vendor="nvidia",
        architecture="hopper",
        pci_bus_id="00000000:10:00.0",
        serial="165",
        vbios_version="96.01",
        compute_capability="9.0",
        power_limit_default_w=650.0,
        power_limit_min_w=200.0,
        power_limit_max_w=700.0,
        temperature_limits_c={"shutdown": 92.0, "slowdown": 89.0, "memory_max": 95.0, "gpu_max": 87.0},
        clock_max_hz={"graphics": 1.98e9, "sm": 1.985e9, "memory": 2.62e9, "video": 1.545e9},
        pcie_link_generation_max=5,
        pcie_link_width_max=16,
        minor_number=5,
        mig_slices=None,
        absent={},
    )
    assert description.absent == {
        "temperature_limits_c.acoustic_min": "not_supported",
        "temperature_limits_c.acoustic_max": "not_supported",
    }


def test_the_absent_list_says_what_a_card_cannot_measure(bench: Bench) -> None:
    """Without what came another way: the P100's power comes from GetPowerUsage."""
    bench.fake.add_gpu("p100")
    reader = bench.opened().readers()[0]
    absent = reader.describe()[reader.uuids[0]].absent
    assert {"energy_mj", "power_average_w", "engine_ratio.jpeg", "temperature_margin_c"} <= absent.keys()
    assert not {"power_w", "memory_used_bytes", "temperature_c", "engine_ratio.encoder"} & absent.keys()
    assert set(absent.values()) == {"not_supported"}


def test_versions_of_driver_cuda_and_nvml_are_told(bench: Bench) -> None:
    """CUDA's number 13010 is version 13.1."""
    bench.fake.raw.cuda_version = 13010
    driver = bench.source().open().driver
    assert (driver.source, driver.driver_version) == ("nvml", "580.1")
    assert (driver.cuda_version, driver.library_version) == ("13.1", "13.580.1")


def test_power_is_the_average_field_where_the_card_has_it(bench: Bench) -> None:
    """And GetPowerUsage, the same figure by its documentation, is not called."""
    bench.fake.add_gpu("full", power=Square(low_w=100, high_w=300, period_s=0.5, duty=0.5))
    reader = bench.reader()
    reading = bench.tick(reader, 2.125)
    assert reading.fast.power_w == reading.fast.power_average_w == pytest.approx(200.0)
    assert reading.fast.power_instant_w == 300.0
    assert bench.fake.calls("nvmlDeviceGetPowerUsage") == 0


def test_power_is_the_drivers_own_reading_where_there_is_no_average(bench: Bench) -> None:
    """On a card with a 100 ms window it is neither the 1 s average nor the instant."""
    bench.fake.add_gpu("t4", power=Square(low_w=100, high_w=300, period_s=1.0, duty=0.5))
    reading = bench.tick(bench.reader(), 3.05)
    assert reading.fast.power_average_w is None
    assert reading.fast.power_instant_w == 300.0
    assert reading.fast.power_w == pytest.approx(200.0)


def test_energy_comes_by_the_newer_field_or_the_older_call(bench: Bench) -> None:
    """Field 83, else field 191, else nvmlDeviceGetTotalEnergyConsumption."""
    gpu = bench.fake.add_gpu(power=Constant(100))
    gpu.set_field(83, code=3)
    assert bench.tick(bench.opened().readers()[0]).fast.energy_mj == gpu.counter_mj()
    gpu.set_field(191, code=3)
    assert bench.tick(bench.opened().readers()[0]).fast.energy_mj == gpu.counter_mj() == 200_000


def test_a_card_without_energy_counter_hands_on_each_power_sample_once(bench: Bench) -> None:
    """The driver's ring, by its cursor; nothing from before the first read, and no gap."""
    bench.fake.add_gpu("p100", power=Constant(42))
    reader = bench.opened().readers()[0]
    first = bench.tick(reader, 2.0).fast
    assert (first.energy_mj, first.power_samples) == (None, ())
    ticks = [bench.tick(reader, 0.5).fast.power_samples or () for _ in range(4)]
    assert [len(samples) for samples in ticks] == [25] * 4
    times = [at_us for samples in ticks for at_us, _ in samples]
    assert {b - a for a, b in pairwise(times)} == {20_000}
    assert {milliwatts for samples in ticks for _, milliwatts in samples} == {42_000}


def test_power_samples_go_on_after_the_wall_clock_was_set_back(bench: Bench) -> None:
    """The cursor is in wall time and would wait an hour."""
    bench.fake.add_gpu("p100", power=Constant(42))
    reader = bench.reader()
    bench.tick(reader)
    bench.fake.raw.wall_origin_ns -= 3_600_000_000_000
    counts = [len(bench.tick(reader).fast.power_samples or ()) for _ in range(10)]
    assert counts[:2] == [0, 0]
    assert counts[-2:] == [50, 50]


def test_no_samples_are_asked_of_a_card_with_an_energy_counter(bench: Bench) -> None:
    """Nor when the counter fails for once."""
    gpu = bench.fake.add_gpu()
    reader = bench.reader()
    gpu.set_field(83, code=10)
    reading = bench.tick(reader)
    assert (reading.fast.energy_mj, reading.fast.power_samples) == (None, None)
    assert reading.failed == {"energy_mj": "driver_timeout"}
    assert bench.fake.calls("nvmlDeviceGetSamples") == 0


def test_memory_falls_back_to_the_older_call_which_cannot_tell_what_is_reserved(bench: Bench) -> None:
    """Its `used` includes the reserved part."""
    gpu = bench.fake.add_gpu(memory_total=80 * GIB, memory_used=10 * GIB, memory_reserved=GIB)
    bench.fake.fault("nvmlDeviceGetMemoryInfo_v2", gpu=0, code=3)
    fast = bench.tick(bench.opened().readers()[0]).fast
    assert (fast.memory_used_bytes, fast.memory_reserved_bytes) == (11 * GIB, None)
    assert (fast.memory_total_bytes, fast.memory_free_bytes) == (80 * GIB, gpu.raw.memory_free)


def test_a_card_with_unified_memory_has_no_memory_readings(bench: Bench) -> None:
    """As on GB10: neither version is supported, and the card is up all the same."""
    bench.fake.add_gpu()
    bench.fake.fault("nvmlDeviceGetMemoryInfo_v2", gpu=0, code=3)
    bench.fake.fault("nvmlDeviceGetMemoryInfo", gpu=0, code=3)
    fast = bench.tick(bench.opened().readers()[0]).fast
    assert (fast.memory_total_bytes, fast.memory_used_bytes, fast.power_w) == (None, None, 100.0)


def test_temperature_falls_back_to_the_older_call(bench: Bench) -> None:
    """Drivers before 570 lack nvmlDeviceGetTemperatureV."""
    bench.fake.add_gpu(temperature=66)
    bench.fake.fault("nvmlDeviceGetTemperatureV", gpu=0, code=25)
    reader = bench.reader()
    slow = bench.tick(reader, slow=True).slow
    assert slow is not None
    assert slow.temperature_c == 66.0


def test_replays_fall_back_to_the_older_call_and_are_kept_between_its_turns(bench: Bench) -> None:
    """Field 94 is the cheap way."""
    gpu = bench.fake.add_gpu(pcie_replays=3)
    gpu.set_field(94, code=3)
    reader = bench.reader()
    replays = [slow.pcie_replays for _ in range(4) if (slow := bench.tick(reader, slow=True).slow)]
    assert replays == [3, 3, 3, 3]
    assert bench.fake.calls("nvmlDeviceGetPcieReplayCounter") < 4


def test_unknown_performance_state_is_absent(bench: Bench) -> None:
    """32 is the driver's word for unknown, no fault."""
    bench.fake.add_gpu(performance_state=32)
    reading = bench.tick(bench.reader(), slow=True)
    assert reading.slow is not None
    assert reading.slow.performance_state is None
    assert reading.rejected == ()


def test_values_that_are_read_in_turns_follow_within_three_slow_reads(bench: Bench) -> None:
    """Limits, fans, link and rare engines; the rest at once."""
    gpu = bench.fake.add_gpu()
    reader = bench.reader()
    gpu.set(power_limit_mw=300_000, fan_percent=(77,), pcie_width=4, jpeg_percent=9, temperature=55)
    seen = [slow for _ in range(3) if (slow := bench.tick(reader, 5, slow=True).slow)]
    assert seen[0].temperature_c == 55.0
    last = seen[-1]
    assert (last.power_limit_w, last.fan_ratio, last.pcie_link_width) == (300.0, {"0": 0.77}, 4)
    assert last.engine_ratio["jpeg"] == 0.09


def test_a_card_that_counts_no_throttling_tells_the_reasons_of_the_moment(bench: Bench) -> None:
    """At every tick, without idleness and without clocks that somebody wanted."""
    gpu = bench.fake.add_gpu(event_reasons=0x43)
    for field in (74, 75, 76, 269, 270, 271):
        gpu.set_field(field, code=3)
    fast = bench.tick(bench.opened().readers()[0]).fast
    assert fast.throttle_ns is None
    assert fast.throttling == {
        "sw_power_cap": False,
        "hw_slowdown": False,
        "sync_boost": False,
        "sw_thermal": False,
        "hw_thermal": True,
        "hw_power_brake": False,
    }


def test_an_older_card_counts_both_thermal_reasons_in_one(bench: Bench) -> None:
    """The perf-policy counter, which newer cards have besides the two."""
    bench.fake.add_gpu("a100", violation_ns={0: 10, 1: 20, 2: 30})
    fast = bench.tick(bench.reader()).fast
    assert fast.throttle_ns == {"sw_power_cap": 10, "thermal": 20, "sync_boost": 30}
    assert fast.throttling is None


def test_only_reasons_that_the_card_tells_are_shown(bench: Bench) -> None:
    """By the mask of supported reasons."""
    bench.fake.add_gpu(event_reasons_supported=0x45, event_reasons=0x40)
    slow = bench.tick(bench.reader(), slow=True).slow
    assert slow is not None
    assert slow.throttle_active == {"gpu_idle": False, "sw_power_cap": False, "hw_thermal": True}


LINKS = [
    Link(transmit_kib=100, receive_kib=10, errors=(1, 2, 3, 0, 0)),
    Link(transmit_kib=200, receive_kib=20, errors=(10, 20, 30, 0, 0)),
]


def test_nvlinks_stand_together_by_default(bench: Bench) -> None:
    """KiB of the driver in bytes; up only while all are."""
    gpu = bench.fake.add_gpu()
    gpu.set_links(LINKS)
    reader = bench.reader()
    slow = bench.tick(reader, slow=True).slow
    assert slow is not None
    errors = {"crc": 33, "replay": 11, "recovery": 22}
    together = NvLink(link=None, up=True, transmit_bytes=307_200, receive_bytes=30_720, errors=errors)
    assert slow.nvlinks == (together,)
    gpu.set_links([LINKS[0], replace(LINKS[1], active=False)])
    slow = bench.tick(reader, slow=True).slow
    assert slow is not None
    assert slow.nvlinks[0].up is False


def test_nvlinks_stand_one_by_one_when_asked(bench: Bench) -> None:
    """With the option nvlink_links; still one call for all of them."""
    bench.fake.add_gpu().set_links(LINKS)
    reader = bench.reader(nvlink_links=True)
    bench.fake.reset_calls()
    slow = bench.tick(reader, slow=True).slow
    assert slow is not None
    assert slow.nvlinks == (
        NvLink("0", True, 102_400, 10_240, {"crc": 3, "replay": 1, "recovery": 2}),
        NvLink("1", True, 204_800, 20_480, {"crc": 30, "replay": 10, "recovery": 20}),
    )
    assert bench.fake.calls("nvmlDeviceGetFieldValues") == 2


def test_nvlink_traffic_comes_in_bytes_on_newer_cards(bench: Bench) -> None:
    """Field 202 counts bytes where 138 counts KiB."""
    gpu = bench.fake.add_gpu()
    gpu.set_links(LINKS)
    gpu.set_field(138, code=3)
    slow = bench.tick(bench.reader(), slow=True).slow
    assert slow is not None
    assert slow.nvlinks[0].transmit_bytes == 307_200


def test_links_that_lead_nowhere_are_not_shown_as_down(bench: Bench) -> None:
    """A PCIe board without a bridge has links that were never up."""
    gpu = bench.fake.add_gpu()
    gpu.set_links([Link(active=False)] * 12)
    reader = bench.reader()
    assert (slow := bench.tick(reader, slow=True).slow)
    assert slow.nvlinks == ()
    gpu.set_links([Link()] * 12)
    assert (slow := bench.tick(reader, slow=True).slow)
    assert slow.nvlinks[0].up is True
    gpu.set_links([Link(active=False)] * 12)
    assert (slow := bench.tick(reader, slow=True).slow)
    assert slow.nvlinks[0].up is False


def test_gpm_gives_ratios_between_two_slow_reads(bench: Bench) -> None:
    """Percent as ratio; what the card does not measure is not there."""
    gpu = bench.fake.add_gpu()
    gpu.set_gpm({2: 61.5, 3: 30.0, 5: 12.5, 10: 44.0, 11: 1.0, 12: 2.0})
    reader = bench.reader(gpm=True)
    slow = bench.tick(reader, 5, slow=True).slow
    assert slow is not None
    assert slow.activity_ratio == pytest.approx(
        {"sm": 0.615, "sm_occupancy": 0.3, "tensor": 0.125, "dram": 0.44, "fp64": 0.01, "fp32": 0.02}
    )
    assert bench.fake.raw.gpm_samples == 2


def test_gpm_samples_too_close_together_give_no_figure(bench: Bench) -> None:
    """As right after the description, which takes the first one; the next is measured against that."""
    bench.fake.add_gpu().set_gpm({2: 61.5})
    reader = bench.reader(gpm=True)
    assert (slow := bench.tick(reader, 0.05, slow=True).slow)
    assert slow.activity_ratio == {}
    assert bench.fake.calls("nvmlGpmSampleGet") == 1
    assert (slow := bench.tick(reader, 0.05, slow=True).slow)
    assert slow.activity_ratio == {"sm": 0.615}


def test_gpm_is_not_touched_unless_asked(bench: Bench) -> None:
    """Nor on a card that has none."""
    bench.fake.add_gpu()
    assert (slow := bench.tick(bench.reader(), slow=True).slow)
    assert slow.activity_ratio == {}
    assert not [name for name in bench.fake.calls_by_function() if "Gpm" in name]
    bench.fake.gpu(0).set(gpm_supported=0)
    reader = bench.reader(gpm=True)
    assert (slow := bench.tick(reader, 5, slow=True).slow)
    assert slow.activity_ratio == {}
    assert bench.fake.calls("nvmlGpmSampleGet") == 0


def test_counters_that_grow_are_read_at_each_tick(bench: Bench) -> None:
    """Energy, PCIe bytes: the driver's counters as they stand."""
    gpu = bench.fake.add_gpu(power=Constant(250), pcie_receive_bytes=Rate(0, 1e9))
    gpu.set_processes([Process(4321)])
    reader = bench.reader()
    readings = [bench.tick(reader).fast for _ in range(3)]
    assert [r.energy_mj for r in readings] == [250_000, 500_000, 750_000]
    assert [r.pcie_receive_bytes for r in readings] == [10**9, 2 * 10**9, 3 * 10**9]


PROFILES: dict[str, Any] = {
    "h100": "hopper",
    "a100": "ampere",
    "rtx4090": "ada",
    "t4": "turing",
    "p100": "pascal",
}


@pytest.mark.parametrize("profile", PROFILES)
def test_every_card_is_read_without_a_fault(bench: Bench, profile: str) -> None:
    """Nothing fails and nothing is rejected on a healthy card, whatever it lacks."""
    bench.fake.add_gpu(profile, power=Constant(80))
    reader = bench.opened().readers()[0]
    assert reader.describe()[reader.uuids[0]].architecture == PROFILES[profile]
    for _ in range(7):
        reading = bench.tick(reader, slow=True)
        assert (reading.rejected, reading.failed) == ((), {})
        assert reading.fast.power_w == 80.0
