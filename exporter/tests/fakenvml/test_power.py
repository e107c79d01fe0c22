"""Energy and power of the fake driver against the closed form, on a clock that the test moves."""

from __future__ import annotations

import itertools
import math
import time
from typing import TYPE_CHECKING, Any

import pynvml
import pytest

from tests.fakenvml import Constant, FakeNvml, Sine, Square, energy_mj

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakenvml.waveform import Waveform

WAVES = [Constant(273.7), Square(50, 550, 1.3, 0.3), Square(60, 600, 0.02), Sine(300, 250, 7.1)]


@pytest.fixture
def clock(fake_nvml_library: Path, tmp_path: Path) -> Iterator[FakeNvml]:
    """One GPU on a virtual clock, loaded in this process."""
    with FakeNvml(tmp_path / "virtual", library=fake_nvml_library, virtual=True) as fake:
        fake.add_gpu()
        fake.load_in_process()
        pynvml.nvmlInit()
        yield fake


def handle() -> Any:
    return pynvml.nvmlDeviceGetHandleByIndex(0)


def field(number: int, scope: int = 0) -> Any:
    return pynvml.nvmlDeviceGetFieldValues(handle(), [(number, scope)])[0]


@pytest.mark.parametrize("wave", WAVES, ids=str)
@pytest.mark.parametrize("step_ns", [0, 20_000_000])
def test_the_energy_counter_is_the_integral_of_the_power(
    clock: FakeNvml, wave: Waveform, step_ns: int
) -> None:
    """To the millijoule, at times that fit neither period nor update step; the two field ids agree."""
    gpu = clock.gpu(0)
    gpu.set(energy_step_ns=step_ns)
    gpu.power = wave
    for _ in range(50):
        clock.advance(0.7354321)
        counted = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle())
        assert counted == field(83).value.ullVal == field(191).value.ullVal == gpu.counter_mj()
        behind_ns = clock.now_ns() % step_ns if step_ns else 0
        assert counted == pytest.approx(gpu.energy_mj(to_ns=clock.now_ns() - behind_ns), abs=1.01)
    assert gpu.energy_mj() == pytest.approx(energy_mj(wave, 0, 50 * 0.7354321), rel=1e-9)


@pytest.mark.parametrize("wave", WAVES, ids=str)
def test_the_closed_form_is_the_sum_of_small_steps(wave: Waveform) -> None:
    """The truth itself, against the plainest integration there is."""
    steps = 200_000
    width = 9.0 / steps
    summed = sum(wave.at_w((step + 0.5) * width) for step in range(steps)) * width * 1000
    assert energy_mj(wave, 0, 9.0) == pytest.approx(summed, rel=2e-4)


def test_a_new_waveform_goes_on_from_what_was_counted(clock: FakeNvml) -> None:
    """100 W for 10 s, then 400 W for 5 s: 3000 J, whatever the order of the readings."""
    gpu = clock.gpu(0)
    clock.advance(10)
    gpu.power = Constant(400)
    clock.advance(5)
    assert pynvml.nvmlDeviceGetTotalEnergyConsumption(handle()) == 3_000_000
    assert gpu.energy_mj(clock.now_ns() - 6_000_000_000) == pytest.approx(2_100_000)
    assert gpu.power == Constant(400)


def test_many_waveforms_push_out_the_oldest_and_keep_the_count(clock: FakeNvml) -> None:
    """The control file holds a few hundred; the counter forgets none of them."""
    gpu = clock.gpu(0)
    for step in range(600):
        gpu.power = Constant(step % 7 * 100)
        clock.advance(1)
    truth = sum(step % 7 * 100 for step in range(600)) * 1000
    assert pynvml.nvmlDeviceGetTotalEnergyConsumption(handle()) == truth
    with pytest.raises(ValueError, match="oldest"):
        gpu.energy_mj(0)


def test_power_is_the_mean_of_a_second_and_the_field_the_instant(clock: FakeNvml) -> None:
    """GetPowerUsage and POWER_AVERAGE agree; POWER_INSTANT is the waveform itself."""
    gpu = clock.gpu(0)
    gpu.power = Square(100, 500, 4, 0.5)
    clock.advance(4.25)
    assert field(186).value.uiVal == 500_000
    assert pynvml.nvmlDeviceGetPowerUsage(handle()) == field(185).value.uiVal == 200_000
    gpu.set(power_window_ns=0)
    assert pynvml.nvmlDeviceGetPowerUsage(handle()) == 500_000
    gpu.set(power_override_mw=0xFFFFFFFF)
    assert pynvml.nvmlDeviceGetPowerUsage(handle()) == field(186).value.uiVal == 0xFFFFFFFF


def test_power_scopes_of_memory_and_module(clock: FakeNvml) -> None:
    """Scope 2 is the memory; the module answers only where there is one."""
    assert field(186, 2).value.uiVal == 60_000
    assert field(186, 1).nvmlReturn == pynvml.NVML_ERROR_NOT_SUPPORTED
    clock.gpu(0).set(module_power_mw=900_000)
    assert field(186, 1).value.uiVal == 900_000


def test_the_counter_can_stop_slip_jump_and_start_over(clock: FakeNvml) -> None:
    """The faults that a meter has to survive, while the truth goes on."""
    gpu = clock.gpu(0)
    clock.advance(100)

    def counted() -> int:
        return int(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle()))

    assert counted() == 10_000_000
    gpu.shift_energy(-1)
    assert counted() == 9_999_000
    gpu.shift_energy(1 + 1e12)
    assert counted() == 10**15 + 10_000_000
    gpu.shift_energy(-1e12)
    gpu.freeze_energy()
    clock.advance(60)
    assert counted() == gpu.counter_mj() == 10_000_000
    gpu.thaw_energy()
    assert counted() == 16_000_000
    gpu.reset_energy()
    clock.advance(1)
    assert counted() == 100_000
    assert gpu.energy_mj() == pytest.approx(16_100_000)
    gpu.set(energy_code=3)
    with pytest.raises(pynvml.NVMLError_NotSupported):
        counted()
    assert field(83).nvmlReturn == pynvml.NVML_ERROR_NOT_SUPPORTED


def test_the_ring_of_power_samples_follows_the_cursor(clock: FakeNvml) -> None:
    """Only what is newer, oldest first, on the driver's grid; NOT_FOUND when there is nothing."""
    gpu = clock.gpu(0)
    gpu.set(sample_mean=1)
    gpu.power = Sine(300, 200, 0.9)
    clock.advance(2.0)
    kind, first = pynvml.nvmlDeviceGetSamples(handle(), pynvml.NVML_TOTAL_POWER_SAMPLES, 0)
    times = [sample.timeStamp for sample in first]
    assert kind == pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
    assert {later - earlier for earlier, later in itertools.pairwise(times)} == {20_000}
    assert times[-1] == clock.wall_us()
    clock.advance(1.0)
    _, second = pynvml.nvmlDeviceGetSamples(handle(), pynvml.NVML_TOTAL_POWER_SAMPLES, times[-1])
    assert len(second) == 50
    assert second[0].timeStamp == times[-1] + 20_000
    summed_mj = sum(sample.sampleValue.uiVal * 0.02 for sample in second)
    assert summed_mj == pytest.approx(gpu.energy_mj(clock.now_ns() - 10**9), abs=1)
    with pytest.raises(pynvml.NVMLError_NotFound):
        pynvml.nvmlDeviceGetSamples(handle(), pynvml.NVML_TOTAL_POWER_SAMPLES, second[-1].timeStamp)
    clock.advance(60)
    _, span = pynvml.nvmlDeviceGetSamples(handle(), pynvml.NVML_TOTAL_POWER_SAMPLES, 0)
    assert len(span) == 120


def test_on_the_real_clock_the_counter_lies_between_two_looks_at_the_truth(nvml: FakeNvml) -> None:
    """Time passes while the library reads it; the truth brackets what it read."""
    gpu = nvml.gpu(0)
    gpu.set(energy_step_ns=0)
    gpu.power = Sine(300, 200, 0.01)
    for _ in range(200):
        before = gpu.energy_mj()
        counted = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle())
        assert math.floor(before) <= counted <= gpu.energy_mj() + 1


def test_a_step_of_the_clock_counts_as_time_that_passed(nvml: FakeNvml) -> None:
    """An hour at 100 W is 360 kJ."""
    nvml.gpu(0).set(energy_step_ns=0)
    before = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle())
    nvml.advance(3600)
    gained = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle()) - before
    assert 360_000_000 <= gained < 361_000_000


def test_a_reader_never_sees_half_a_change(nvml: FakeNvml) -> None:
    """The waveform changes under a reader's hands; the counter neither falls nor jumps."""
    gpu = nvml.gpu(0)
    last = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle())
    deadline = time.monotonic() + 0.3
    high = True
    while time.monotonic() < deadline:
        gpu.power = Constant(600 if high else 50)
        high = not high
        counted = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle())
        assert last <= counted <= last + 600_000
        last = counted
    assert last == pytest.approx(gpu.energy_mj(), abs=600 * 20 + 5_000)


def test_a_call_takes_microseconds(nvml: FakeNvml) -> None:
    """Benchmarks measure the exporter, so the driver below it must cost next to nothing."""
    gpu = handle()
    assert nvml.calls() == 1
    best = math.inf
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(1000):
            pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu)
        best = min(best, (time.perf_counter() - started) / 1000)
    assert best < 50e-6
