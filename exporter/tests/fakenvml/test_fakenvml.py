"""The fake driver as pynvml meets it: loading, counting, failing, coming and going of GPUs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pynvml
import pytest

from tests.fakenvml import FakeNvml, build
from tests.fakenvml.layout import FUNCTIONS


def run(fake: FakeNvml, code: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a process that sees the fake driver."""
    return subprocess.run(
        [sys.executable, "-c", f"import os, pynvml as n\n{code}"],
        env={**os.environ, **fake.env, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_exported_function_is_one_that_pynvml_or_an_older_client_asks_for() -> None:
    """A typing error in a name would leave a function that nobody calls."""
    asked = set(re.findall(r'_nvmlGetFunctionPointer\("(\w+)"\)', Path(pynvml.__file__).read_text()))
    older = {
        *("nvmlInit", "nvmlInit_v2", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"),
        *("nvmlDeviceGetHandleByPciBusId", "nvmlDeviceGetComputeRunningProcesses", "nvmlEventSetWait"),
        *("nvmlDeviceGetGraphicsRunningProcesses", "nvmlDeviceGetMPSComputeRunningProcesses"),
        "nvmlDeviceGetAttributes",
    }
    assert FUNCTIONS.keys() - asked == older


def test_another_process_sees_the_gpus_and_this_one_sees_its_calls(fake_nvml: FakeNvml) -> None:
    """LD_LIBRARY_PATH alone is enough, and the counts come back through the control file."""
    for _ in range(2):
        fake_nvml.add_gpu()
    done = run(
        fake_nvml,
        "n.nvmlInit(); h = [n.nvmlDeviceGetHandleByIndex(i) for i in range(n.nvmlDeviceGetCount())]\n"
        "print([n.nvmlDeviceGetUUID(x)[-2:] for x in h], n.nvmlSystemGetDriverVersion())\n"
        "for _ in range(5): n.nvmlDeviceGetPowerUsage(h[1])",
    )
    assert done.stdout == "['00', '01'] 580.1\n", done.stderr
    assert fake_nvml.calls("nvmlDeviceGetPowerUsage", gpu=0) == 0
    assert fake_nvml.calls("nvmlDeviceGetPowerUsage", gpu=1) == 5
    assert fake_nvml.calls("nvmlDeviceGetPowerUsage") == 5
    assert fake_nvml.calls_by_function()["nvmlDeviceGetHandleByIndex_v2"] == 2


def test_a_change_is_seen_by_a_process_that_runs(nvml: FakeNvml) -> None:
    """The library reads the control file at every call."""
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    for celsius in (41, 95):
        nvml.gpu(0).set(temperature=celsius)
        assert pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU) == celsius


def test_a_fault_hits_its_function_and_its_gpu_alone(nvml: FakeNvml) -> None:
    """The code arrives as pynvml's class; the neighbour and the next function stay well."""
    first, second = (pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(2))
    nvml.fault("nvmlDeviceGetPowerUsage", gpu=1, code=15)
    with pytest.raises(pynvml.NVMLError_GpuIsLost):
        pynvml.nvmlDeviceGetPowerUsage(second)
    assert pynvml.nvmlDeviceGetPowerUsage(first) == 100_000
    assert pynvml.nvmlDeviceGetTotalEnergyConsumption(second) >= 0
    nvml.clear("nvmlDeviceGetPowerUsage", gpu=1)
    assert pynvml.nvmlDeviceGetPowerUsage(second) == 100_000


def test_a_fault_on_all_functions_and_all_gpus(nvml: FakeNvml) -> None:
    """The star stands for what concerns a GPU; counting the GPUs goes on."""
    first, second = (pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(2))
    nvml.fault("*", gpu=1, code=15)
    for call in (
        pynvml.nvmlDeviceGetName,
        pynvml.nvmlDeviceGetUtilizationRates,
        pynvml.nvmlDeviceGetMemoryInfo,
    ):
        with pytest.raises(pynvml.NVMLError_GpuIsLost):
            call(second)
        call(first)
    nvml.fault("*", code=999)
    with pytest.raises(pynvml.NVMLError_Unknown):
        pynvml.nvmlDeviceGetName(first)
    assert pynvml.nvmlDeviceGetCount() == 2
    nvml.clear()
    nvml.clear(gpu=1)
    assert pynvml.nvmlDeviceGetName(second)


def test_a_fault_may_pass_by_itself(nvml: FakeNvml) -> None:
    """`times` counts down."""
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    nvml.fault("nvmlDeviceGetSerial", gpu=0, code=77, times=2)
    for _ in range(2):
        with pytest.raises(pynvml.NVMLError) as error:
            pynvml.nvmlDeviceGetSerial(handle)
        assert error.value.value == 77
    assert pynvml.nvmlDeviceGetSerial(handle)


def test_a_hung_call_blocks_its_thread_alone_and_goes_on_when_released(nvml: FakeNvml) -> None:
    """As with a wedged driver: the interpreter runs on, the other GPU answers, nothing is lost at the end."""
    first, second = (pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(2))
    nvml.fault("nvmlDeviceGetPowerUsage", gpu=1, hang=True)
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(pynvml.nvmlDeviceGetPowerUsage(second)))
    thread.start()
    nvml.wait_for_hang("nvmlDeviceGetPowerUsage", gpu=1)
    for _ in range(100):
        assert pynvml.nvmlDeviceGetPowerUsage(first) == 100_000
    assert nvml.hanging() == nvml.in_flight(1) == nvml.in_flight_peak(1) == 1
    assert results == []
    nvml.release()
    thread.join(timeout=10)
    assert results == [100_000]
    assert (nvml.hanging(), nvml.in_flight(1)) == (0, 0)


def test_init_can_hang_and_fail(fake_nvml: FakeNvml) -> None:
    """Functions without a GPU have faults as well."""
    fake_nvml.load_in_process()
    fake_nvml.fault("nvmlInitWithFlags", code=9, times=1)
    with pytest.raises(pynvml.NVMLError_DriverNotLoaded):
        pynvml.nvmlInit()
    fake_nvml.fault("nvmlInitWithFlags", hang=True)
    thread = threading.Thread(target=pynvml.nvmlInit)
    thread.start()
    fake_nvml.wait_for_hang("nvmlInitWithFlags")
    fake_nvml.release()
    thread.join(timeout=10)
    assert pynvml.nvmlDeviceGetCount() == 0


def test_a_fault_can_delay(nvml: FakeNvml) -> None:
    """The call takes that long, then succeeds."""
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    nvml.fault("nvmlDeviceGetName", delay_us=50_000)
    started = time.monotonic()
    assert pynvml.nvmlDeviceGetName(handle)
    assert time.monotonic() - started >= 0.05


def test_a_fault_can_kill_or_leak(fake_nvml: FakeNvml) -> None:
    """A segmentation fault ends the process; a leak shows in its RSS."""
    fake_nvml.add_gpu()
    call = "n.nvmlInit(); h = n.nvmlDeviceGetHandleByIndex(0)\n"
    fake_nvml.fault("nvmlDeviceGetName", segv=True)
    assert run(fake_nvml, call + "n.nvmlDeviceGetName(h)").returncode == -11
    fake_nvml.fault("nvmlDeviceGetName", leak_bytes=1 << 20)
    grown = run(
        fake_nvml,
        f"{call}rss = lambda: int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGESIZE')\n"
        "a = rss(); [n.nvmlDeviceGetName(h) for _ in range(40)]; print(rss() - a)",
    )
    assert int(grown.stdout) >= 39 << 20, grown.stderr


def test_a_left_out_function_is_not_found(fake_nvml: FakeNvml, tmp_path: Path) -> None:
    """An older driver: pynvml says FunctionNotFound for what is missing, and only for that."""
    missing = "nvmlDeviceGetComputeRunningProcesses_v3"
    fake_nvml.add_gpu()
    fake_nvml.library = build(tmp_path, version="470.1", omit=[missing])
    done = run(
        fake_nvml,
        "n.nvmlInit(); h = n.nvmlDeviceGetHandleByIndex(0)\n"
        "print(n.nvmlSystemGetDriverVersion(), n.nvmlDeviceGetComputeRunningProcesses_v2(h))\n"
        f"try: n.{missing}(h)\nexcept n.NVMLError_FunctionNotFound: print('not found')",
    )
    assert done.stdout == "470.1 []\nnot found\n", done.stderr
    with pytest.raises(ValueError, match="nvmlNoSuch"):
        build(tmp_path, omit=["nvmlNoSuch"])


def test_an_upgraded_library_is_seen_by_a_new_process_only(fake_nvml: FakeNvml, tmp_path: Path) -> None:
    """A process keeps the library it has mapped, and the new one refuses the old kernel module."""
    link = tmp_path / "libnvidia-ml.so.1"
    link.symlink_to(fake_nvml.library)
    newer = build(tmp_path, version="590.2")
    switch = f"os.replace({str(tmp_path / 'next')!r}, {str(link)!r})"
    code = (
        f"os.symlink({str(newer)!r}, {str(tmp_path / 'next')!r})\n"
        f"n.nvmlInit(); a = n.nvmlSystemGetDriverVersion(); {switch}; n.nvmlShutdown(); n.nvmlInit()\n"
        "print(a, n.nvmlSystemGetDriverVersion())"
    )
    search = {"LD_LIBRARY_PATH": str(tmp_path)}
    assert run(fake_nvml, code, **search).stdout == "580.1 580.1\n"
    again = "n.nvmlInit(); print(n.nvmlSystemGetDriverVersion())"
    assert run(fake_nvml, again, **search).stdout == "590.2\n"
    fake_nvml.raw.kernel_version = b"580.1"
    assert "NVMLError_LibRmVersionMismatch" in run(fake_nvml, again, **search).stderr


def test_gpus_leave_return_and_change_places(nvml: FakeNvml) -> None:
    """A handle stays with its GPU; only the index moves; a lost one says so."""
    first, second = (pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(2))
    nvml.order([0])
    assert pynvml.nvmlDeviceGetCount() == 1
    with pytest.raises(pynvml.NVMLError_GpuIsLost):
        pynvml.nvmlDeviceGetPowerUsage(second)
    with pytest.raises(pynvml.NVMLError_NotFound):
        pynvml.nvmlDeviceGetHandleByUUID(nvml.gpu(1).uuid)
    nvml.order([1, 0])
    assert [pynvml.nvmlDeviceGetIndex(handle) for handle in (first, second)] == [1, 0]
    moved = pynvml.nvmlDeviceGetHandleByIndex(0)
    assert pynvml.nvmlDeviceGetUUID(moved).encode() == nvml.gpu(1).uuid
    assert pynvml.nvmlDeviceGetPowerUsage(second) == 100_000


def test_a_driver_may_look_for_gpus_at_init_alone(nvml: FakeNvml) -> None:
    """enumerate_at_init: what leaves or returns shows after the next nvmlInit."""
    nvml.raw.enumerate_at_init = 1
    nvml.order([1])
    assert pynvml.nvmlDeviceGetCount() == 2
    pynvml.nvmlShutdown()
    pynvml.nvmlInit()
    assert pynvml.nvmlDeviceGetCount() == 1


def test_open_inits_are_counted_over_processes(fake_nvml: FakeNvml) -> None:
    """What is not shut down is closed when the process ends, as the kernel does with its handles."""
    fake_nvml.load_in_process()
    pynvml.nvmlInit()
    pynvml.nvmlInit()
    assert run(fake_nvml, "n.nvmlInit()").returncode == 0
    assert fake_nvml.calls("nvmlInitWithFlags") == 3
    assert fake_nvml.open_inits == 2
    pynvml.nvmlShutdown()
    pynvml.nvmlShutdown()
    assert fake_nvml.open_inits == 0
    with pytest.raises(pynvml.NVMLError_Uninitialized):
        pynvml.nvmlDeviceGetCount()


def test_without_a_control_file_the_driver_is_not_loaded(fake_nvml: FakeNvml, tmp_path: Path) -> None:
    """The kernel module that is not there yet; also for a file of another layout."""
    broken = tmp_path / "broken"
    broken.write_bytes(b"\0" * fake_nvml.path.stat().st_size)
    fake_nvml.raw.size += 8
    for path in (tmp_path / "none", broken, fake_nvml.path):
        done = run(fake_nvml, "n.nvmlInit()", FAKE_NVML_CONTROL=str(path))
        assert "NVMLError_DriverNotLoaded" in done.stderr


def test_another_build_in_the_same_process_is_refused(nvml: FakeNvml, tmp_path: Path) -> None:
    """The first library loaded answers for the life of a process; pretending otherwise would mislead."""
    other = FakeNvml(tmp_path / "other", library=build(tmp_path, version="1.2"))
    with pytest.raises(RuntimeError, match="another build"):
        other.load_in_process()
    assert pynvml.nvmlDeviceGetCount() == nvml.raw.gpu_slots


def test_a_control_file_can_be_taken_over(fake_nvml: FakeNvml) -> None:
    """A second FakeNvml on the same path sees and changes the same GPUs."""
    fake_nvml.add_gpu(name="first")
    other = FakeNvml(fake_nvml.path, library=fake_nvml.library)
    other.gpu(0).set(name="renamed")
    assert fake_nvml.gpu(0).raw.name == b"renamed"


def test_a_bad_call_is_answered_not_crashed(nvml: FakeNvml) -> None:
    """Wrong indices, handles and names give NVML's codes."""
    assert nvml.raw.gpu_slots == 2
    cases: list[tuple[type[Exception], Any, tuple[Any, ...]]] = [
        (pynvml.NVMLError_InvalidArgument, pynvml.nvmlDeviceGetHandleByIndex, (7,)),
        (pynvml.NVMLError_NotFound, pynvml.nvmlDeviceGetHandleByUUID, (b"GPU-none",)),
        (pynvml.NVMLError_NotFound, pynvml.nvmlDeviceGetHandleByPciBusId, (b"00000000:FF:00.0",)),
        (pynvml.NVMLError_InvalidArgument, pynvml.nvmlDeviceGetName, (pynvml.c_nvmlDevice_t(),)),
    ]
    for error, call, arguments in cases:
        with pytest.raises(error):
            call(*arguments)


def test_error_names_come_from_the_library() -> None:
    """Pynvml asks the driver for the names it does not know itself."""
    assert str(pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)) == "Not Found"
