"""Every flag of the agents with values for it, and what the command line makes of them."""

from __future__ import annotations

from pathlib import Path

from gputally.cli.node import node
from gputally.cli.options import settle
from gputally.cli.site import site
from gputally.config.settings import NodeSettings, SiteSettings

# flag: (setting, text, value, another text, another value). No value is the default.
FLAGS = {
    "--web.listen-address": ("web_listen_address", ":1", (":1",), "[::1]:2", ("[::1]:2",)),
    "--web.telemetry-path": ("web_telemetry_path", "/a", "/a", "/b", "/b"),
    "--web.config.file": ("web_config_file", "/a", Path("/a"), "/b", Path("/b")),
    "--state.dir": ("state_dir", "/a", Path("/a"), "/b", Path("/b")),
    "--sample.interval": ("sample_interval_ns", "250ms", 250_000_000, "1m", 60_000_000_000),
    "--source": ("source", "nvml", "nvml", "simulated", "simulated"),
    "--collector.processes": ("collector_processes", "false", False, "true", True),
    "--collector.host": ("collector_host", "no", False, "yes", True),
    "--collector.jobs": ("collector_jobs", "false", False, "true", True),
    "--collector.gpm": ("collector_gpm", "true", True, "false", False),
    "--collector.nvlink-links": ("collector_nvlink_links", "1", True, "0", False),
    "--jobs.idle-policy": ("jobs_idle_policy", "used", "used", "weighted", "weighted"),
    "--jobs.keep": ("jobs_keep_ns", "10m", 600 * 10**9, "24h", 86_400 * 10**9),
    "--jobs.announce": ("jobs_announce_ns", "0", 0, "10m", 600 * 10**9),
    "--jobs.environment": ("jobs_environment", "true", True, "false", False),
    "--jobs.runs-dir": ("jobs_runs_dir", "/a", Path("/a"), "/b", Path("/b")),
    "--jobs.slurm-dir": ("jobs_slurm_dir", "/a", Path("/a"), "/b", Path("/b")),
    "--jobs.pod-logs-dir": ("jobs_pod_logs_dir", "/a", Path("/a"), "/b", Path("/b")),
    "--jobs.kubelet-socket": ("jobs_kubelet_socket", "/a", Path("/a"), "/b", Path("/b")),
    "--nvml.release": ("nvml_release_ns", "1s", 10**9, "1h", 3600 * 10**9),
    "--simulated.gpus": ("simulated_gpus", "0", 0, "64", 64),
    "--simulated.seed": ("simulated_seed", "0", 0, "7", 7),
    "--simulated.faults": ("simulated_faults", "true", True, "false", False),
    "--simulated.visitors-dir": ("simulated_visitors_dir", "/a", Path("/a"), "/b", Path("/b")),
    "--memory.limit-bytes": ("memory_limit_bytes", "67108864", 64 << 20, "1073741824", 1 << 30),
    "--path.procfs": ("path_procfs", "/a", Path("/a"), "/b", Path("/b")),
    "--path.sysfs": ("path_sysfs", "/a", Path("/a"), "/b", Path("/b")),
    "--log.level": ("log_level", "error", "error", "debug", "debug"),
    "--log.format": ("log_format", "json", "json", "logfmt", "logfmt"),
}
# What the file says of the same settings: neither of the two values above where there is a third.
IN_FILE = {
    "--web.listen-address": ("web: {listen_addresses: [':3']}", (":3",)),
    "--web.telemetry-path": ("web: {telemetry_path: /c}", "/c"),
    "--web.config.file": ("web: {config_file: /c}", Path("/c")),
    "--state.dir": ("node: {state_dir: /c}", Path("/c")),
    "--sample.interval": ("node: {sample_interval: 2s}", 2 * 10**9),
    "--source": ("node: {source: nvtop}", "nvtop"),
    "--collector.processes": ("node: {collectors: {processes: false}}", False),
    "--collector.host": ("node: {collectors: {host: false}}", False),
    "--collector.jobs": ("node: {collectors: {jobs: false}}", False),
    "--jobs.idle-policy": ("node: {jobs: {idle_policy: used}}", "used"),
    "--jobs.keep": ("node: {jobs: {keep: 7m}}", 420 * 10**9),
    "--jobs.announce": ("node: {jobs: {announce: 30s}}", 30 * 10**9),
    "--jobs.environment": ("node: {jobs: {environment: true}}", True),
    "--jobs.runs-dir": ("node: {jobs: {runs_dir: /c}}", Path("/c")),
    "--jobs.slurm-dir": ("node: {jobs: {slurm_dir: /c}}", Path("/c")),
    "--jobs.pod-logs-dir": ("node: {jobs: {pod_logs_dir: /c}}", Path("/c")),
    "--jobs.kubelet-socket": ("node: {jobs: {kubelet_socket: /c}}", Path("/c")),
    "--collector.gpm": ("node: {collectors: {gpm: true}}", True),
    "--collector.nvlink-links": ("node: {collectors: {nvlink_links: true}}", True),
    "--simulated.gpus": ("node: {simulated: {gpus: 3}}", 3),
    "--simulated.seed": ("node: {simulated: {seed: 3}}", 3),
    "--simulated.faults": ("node: {simulated: {faults: true}}", True),
    "--log.level": ("log: {level: warning}", "warning"),
    "--log.format": ("log: {format: json}", "json"),
}
# The site agent has some of them. Where it listens has a key of its own: both agents read one file.
SITE_FLAGS = (
    "--web.listen-address",
    "--web.telemetry-path",
    "--web.config.file",
    "--log.level",
    "--log.format",
)
SITE_IN_FILE = {
    **{flag: IN_FILE[flag] for flag in SITE_FLAGS},
    "--web.listen-address": ("web: {site_listen_addresses: [':3']}", (":3",)),
}


def variable(flag: str) -> str:
    return "GPUTALLY_" + flag.removeprefix("--").upper().replace(".", "_").replace("-", "_")


def switched(flag: str, text: str) -> str:
    """The flag with its value; on and off of a switch are two flags."""
    if isinstance(getattr(NodeSettings(), FLAGS[flag][0]), bool):
        return flag if text in ("true", "yes", "1") else f"--no-{flag.removeprefix('--')}"
    return f"{flag}={text}"


def settled(*arguments: str) -> NodeSettings:
    return settle(node.make_context("node", list(arguments)), NodeSettings)[0]


def settled_site(*arguments: str) -> SiteSettings:
    return settle(site.make_context("site", list(arguments)), SiteSettings)[0]
