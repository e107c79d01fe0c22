"""What the fake driver's own tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pynvml
import pytest

from tests.fakenvml import FakeNvml, Rate

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def nvml(fake_nvml: FakeNvml) -> Iterator[FakeNvml]:
    """Two GPUs at 100 W on the real clock, loaded in this process and initialised."""
    fake_nvml.add_gpu()
    fake_nvml.add_gpu()
    fake_nvml.load_in_process()
    pynvml.nvmlInit()
    fake_nvml.reset_calls()
    yield fake_nvml
    fake_nvml.clear()


@pytest.fixture
def device(nvml: FakeNvml) -> Any:
    """The handle of a GPU on which nothing has its default value by chance."""
    gpu = nvml.gpu(0)
    gpu.set(name="Tester", uuid="GPU-aa", gpu_percent=55, memory_percent=33, memory_used=10 << 30)
    gpu.set(encoder_percent=11, decoder_percent=12, jpeg_percent=13, ofa_percent=14)
    gpu.set(encoder_sessions=3, encoder_fps=60, encoder_latency_us=900)
    gpu.set(temperature=71, temperature_peak=88, temperature_margin=-4)
    gpu.set(fan_count=2, fan_percent=(40, 41), fan_rpm=(2000, 2010))
    gpu.set(clock_mhz={0: 1200}, performance_state=2, event_reasons=0x24, compute_mode=3)
    gpu.set(power_limit_mw=500_000, power_limit_enforced_mw=490_000)
    gpu.set(ecc_pending=0, ecc_total=(1, 2, 7, 9), ecc_location={10: 21})
    gpu.set(retired_pending=1, remapped=(1, 2, 1, 0), recovery_action=2)
    gpu.set(pcie_generation=1, pcie_width=8, pcie_replays=5, pcie_transmit_kib_per_second=333)
    gpu.set(pcie_transmit_bytes=12_345, pcie_receive_bytes=Rate(0, 2_048_000_000))
    gpu.set(violation_ns={0: 1_000}, throttle_ns=(2_000, 3_000, 4_000))
    gpu.set_retired_pages(double_bit=[0xABC])
    return pynvml.nvmlDeviceGetHandleByIndex(0)
