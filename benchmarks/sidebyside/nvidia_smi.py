"""Stands in for nvidia-smi where a peer starts it: asks the fake library, answers in the program's words.

Knows what the peers ask for: `-q -x [-l N]` in the form of drivers before 530, `--query-gpu=...` and
`--query-compute-apps=...`. As the program, it ends at a lost GPU and where there is no driver.
"""

import argparse
import sys
import time
from collections.abc import Callable
from xml.sax.saxutils import escape

import pynvml

NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest "
    "NVIDIA driver is installed and running.\n"
)
MIB = 1 << 20
Gpu = object  # a handle of the library
# How each column of --query-gpu is read: the number and its unit
COLUMNS: dict[str, tuple[Callable[[Gpu], object], str]] = {
    "index": (pynvml.nvmlDeviceGetIndex, ""),
    "name": (pynvml.nvmlDeviceGetName, ""),
    "uuid": (pynvml.nvmlDeviceGetUUID, ""),
    "utilization.gpu": (lambda gpu: pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu, " %"),
    "memory.used": (lambda gpu: pynvml.nvmlDeviceGetMemoryInfo(gpu).used // MIB, " MiB"),
    "memory.total": (lambda gpu: pynvml.nvmlDeviceGetMemoryInfo(gpu).total // MIB, " MiB"),
    "temperature.gpu": (lambda gpu: pynvml.nvmlDeviceGetTemperature(gpu, 0), ""),
    "power.draw": (lambda gpu: f"{pynvml.nvmlDeviceGetPowerUsage(gpu) / 1000:.2f}", " W"),
    "enforced.power.limit": (lambda gpu: f"{pynvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000:.2f}", " W"),
    "clocks.sm": (lambda gpu: pynvml.nvmlDeviceGetClockInfo(gpu, 1), " MHz"),
    "fan.speed": (pynvml.nvmlDeviceGetFanSpeed, " %"),
    "ecc.errors.uncorrected.volatile.total": (lambda gpu: pynvml.nvmlDeviceGetTotalEccErrors(gpu, 1, 0), ""),
}


def read(column: str, gpu: Gpu, *, units: bool = True) -> str:
    """One value as the program prints it; the error of a lost GPU goes through."""
    ask, unit = COLUMNS[column]
    try:
        return f"{ask(gpu)}{unit if units else ''}"
    except pynvml.NVMLError as error:
        if error.value == pynvml.NVML_ERROR_GPU_IS_LOST:
            raise
        return "[N/A]"


def table(fields: list[str], form: str) -> str:
    """What --query-gpu prints."""
    unknown = next((field for field in fields if field not in COLUMNS), None)
    if unknown is not None:
        print(f'Field "{unknown}" is not a valid field to query.\n')
        raise SystemExit(2)
    lines = [] if "noheader" in form else [", ".join(fields)]
    units = "nounits" not in form
    lines += [", ".join(read(field, gpu, units=units) for field in fields) for gpu in handles()]
    return "".join(f"{line}\n" for line in lines)


def apps() -> str:
    """What --query-compute-apps=gpu_uuid,pid,process_name,used_gpu_memory prints."""
    return "".join(
        f"{read('uuid', gpu)}, {p.pid}, python, {(p.usedGpuMemory or 0) // MIB}\n"
        for gpu in handles()
        for p in pynvml.nvmlDeviceGetComputeRunningProcesses(gpu)
    )


def handles() -> list[Gpu]:
    """The GPUs; as the program, gives up at one that is lost."""
    return [pynvml.nvmlDeviceGetHandleByIndex(n) for n in range(pynvml.nvmlDeviceGetCount())]


def log() -> str:
    """What -q -x prints of all GPUs, as far as any peer reads it."""
    parts = [
        '<?xml version="1.0" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v11.dtd">\n<nvidia_smi_log>'
    ]
    parts += [f"\t<attached_gpus>{len(handles())}</attached_gpus>"]
    parts += [entry(gpu) for gpu in handles()]
    return "\n".join([*parts, "</nvidia_smi_log>\n"])


def entry(gpu: Gpu) -> str:
    """One GPU of the log."""
    memory, bar1 = pynvml.nvmlDeviceGetMemoryInfo(gpu), pynvml.nvmlDeviceGetBAR1MemoryInfo(gpu)
    rates = pynvml.nvmlDeviceGetUtilizationRates(gpu)
    clock = [pynvml.nvmlDeviceGetClockInfo(gpu, kind) for kind in range(4)]
    sent, received = (pynvml.nvmlDeviceGetPcieThroughput(gpu, direction) for direction in (0, 1))
    processes = "".join(
        f"<process_info><pid>{p.pid}</pid><process_name>python</process_name>"
        f"<used_memory>{(p.usedGpuMemory or 0) // MIB} MiB</used_memory></process_info>"
        for p in pynvml.nvmlDeviceGetComputeRunningProcesses(gpu)
    )
    return f"""\t<gpu id="{pynvml.nvmlDeviceGetPciInfo(gpu).busId}">
<product_name>{escape(read("name", gpu))}</product_name><uuid>{read("uuid", gpu)}</uuid>
<pci><tx_util>{sent} KB/s</tx_util><rx_util>{received} KB/s</rx_util></pci>
<fan_speed>{read("fan.speed", gpu)}</fan_speed>
<fb_memory_usage><used>{memory.used // MIB} MiB</used><free>{memory.free // MIB} MiB</free></fb_memory_usage>
<bar1_memory_usage><used>{bar1.bar1Used // MIB} MiB</used>
<free>{bar1.bar1Free // MIB} MiB</free></bar1_memory_usage>
<utilization><gpu_util>{rates.gpu} %</gpu_util><memory_util>{rates.memory} %</memory_util>
<encoder_util>{pynvml.nvmlDeviceGetEncoderUtilization(gpu)[0]} %</encoder_util>
<decoder_util>{pynvml.nvmlDeviceGetDecoderUtilization(gpu)[0]} %</decoder_util></utilization>
<temperature><gpu_temp>{read("temperature.gpu", gpu)} C</gpu_temp></temperature>
<power_readings><power_state>P{pynvml.nvmlDeviceGetPerformanceState(gpu)}</power_state>
<power_draw>{read("power.draw", gpu)}</power_draw></power_readings>
<clocks><graphics_clock>{clock[0]} MHz</graphics_clock><sm_clock>{clock[1]} MHz</sm_clock>
<mem_clock>{clock[2]} MHz</mem_clock><video_clock>{clock[3]} MHz</video_clock></clocks>
<processes>{processes}</processes>\n\t</gpu>"""


def refuse(error: pynvml.NVMLError) -> int:
    """Say in the program's words why there is nothing; its exit status is the library's code."""
    if error.value == pynvml.NVML_ERROR_DRIVER_NOT_LOADED:
        print(NO_DRIVER)
    elif error.value == pynvml.NVML_ERROR_GPU_IS_LOST:
        print(
            "Unable to determine the device handle for GPU: GPU is lost.  "
            "Reboot the system to recover this GPU\n"
        )
    else:
        print(f"Failed to initialize NVML: {error}")
    return int(error.value)


def main() -> int:
    """Answer, once or every N seconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-q", action="store_true")
    parser.add_argument("-x", action="store_true")
    parser.add_argument("-l", type=float, default=0)
    parser.add_argument("--query-gpu", default="")
    parser.add_argument("--query-compute-apps", default="")
    parser.add_argument("--format", default="csv")
    asked = parser.parse_args()
    try:
        pynvml.nvmlInit()
        while True:
            if asked.query_compute_apps:
                text = apps()
            else:
                text = table(asked.query_gpu.split(","), asked.format) if asked.query_gpu else log()
            sys.stdout.write(text)
            sys.stdout.flush()
            if not asked.l:
                return 0
            time.sleep(asked.l)
    except pynvml.NVMLError as error:
        return refuse(error)


if __name__ == "__main__":
    sys.exit(main())
