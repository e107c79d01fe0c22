"""The flags of the agents, their environment variables, and how they meet the configuration file."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from gputally.cli.values import (
    Checked,
    Duration,
    GivenPath,
    check_address,
    check_card,
    check_telemetry_path,
)
from gputally.config import settings
from gputally.config.durations import format_ns
from gputally.config.settings import NAMES, NodeSettings, SiteSettings
from gputally.config.strict import ConfigError
from gputally.model.clock import NS_PER_SECOND

F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S", NodeSettings, SiteSettings)
Told = Mapping[str, object]  # what flags and environment say, by setting
_NODE, _SITE = NodeSettings(), SiteSettings()
VARIABLES: set[str] = set()  # the environment variables of all flags


def _option(
    flag: str,
    text: str,
    of: NodeSettings | SiteSettings = _NODE,
    **more: Any,  # noqa: ANN401 - click's own keywords
) -> Callable[[F], F]:
    name = flag.removeprefix("--").split("/")[0].replace(".", "_").replace("-", "_")
    setting = f"{name}_ns" if f"{name}_ns" in NAMES else name
    default = getattr(of, setting, None)
    shown: str | bool = default is not None
    if isinstance(default, bool):
        shown = "on" if default else "off"
    elif setting.endswith("_ns"):
        shown = format_ns(int(default or 0))
    variable = f"GPUTALLY_{name.upper()}"
    VARIABLES.add(variable)
    return click.option(
        flag,
        setting if setting in NAMES else name,
        help=text,
        envvar=variable,
        default=default,
        show_default=shown,
        show_envvar=True,
        **more,
    )


_FILE = GivenPath(dir_okay=False)
_FOLDER = GivenPath(file_okay=False)
Flags = tuple[Callable[[F], F], ...]


def _front(of: NodeSettings | SiteSettings) -> "Flags[Any]":
    return (
        _option("--config.file", "Configuration of the agents, YAML.", type=_FILE),
        _option(
            "--web.listen-address",
            "Address to serve on; may be given several times.",
            of,
            multiple=True,
            type=Checked("address", check_address),
        ),
        _option("--web.telemetry-path", "Path of the metrics.", type=Checked("path", check_telemetry_path)),
        _option(
            "--web.config.file",
            "TLS and authentication, in the format of the Prometheus exporters.",
            type=_FILE,
        ),
    )


_LOG: "Flags[Any]" = (
    _option("--log.level", "Least important lines to log.", type=click.Choice(settings.LOG_LEVELS)),
    _option("--log.format", "Form of log lines.", type=click.Choice(settings.LOG_FORMATS)),
)
_SITE_FLAGS = (*_front(_SITE), *_LOG)
_NODE_FLAGS = (
    *_front(_NODE),
    _option(
        "--state.dir", "Folder in which counters survive a restart; none: they begin at zero.", type=_FOLDER
    ),
    _option(
        "--sample.interval",
        "Time between two samples.",
        type=Duration(settings.INTERVAL_MIN_NS, settings.INTERVAL_MAX_NS),
    ),
    _option(
        "--source",
        "Where readings come from; auto tries nvml, nvidia-smi and nvtop, never the simulation.",
        type=click.Choice(settings.SOURCES),
    ),
    _option("--collector.processes/--no-collector.processes", "Processes on the GPUs."),
    _option("--collector.host/--no-collector.host", "CPU, memory, disks and network of the machine."),
    _option("--collector.jobs/--no-collector.jobs", "Whose energy it was: jobs, users, teams."),
    _option(
        "--collector.gpm/--no-collector.gpm", "Activity of SMs, tensor cores and memory (Hopper and later)."
    ),
    _option("--collector.nvlink-links/--no-collector.nvlink-links", "NVLink series by link, not by GPU."),
    _option(
        "--nvml.release",
        "How long SIGUSR1 lets go of the driver.",
        type=Duration(NS_PER_SECOND, 3600 * NS_PER_SECOND),
    ),
    _option(
        "--jobs.idle-policy",
        "Who pays for a GPU's idle baseline: the job that a scheduler gave it to, nobody, or who uses it.",
        type=click.Choice(settings.IDLE_POLICIES),
    ),
    _option(
        "--jobs.keep",
        "How long the series of a job stay after its end.",
        type=Duration(settings.JOBS_KEEP_MIN_NS, settings.JOBS_KEEP_MAX_NS),
    ),
    _option(
        "--jobs.announce",
        "How long a new combination of team, user and model is published as zero, so that Prometheus sees "
        "its beginning: the longest scrape interval.",
        type=Duration(0, settings.JOBS_ANNOUNCE_MAX_NS),
    ),
    _option(
        "--jobs.environment/--no-jobs.environment",
        "Read a few names from processes' environments; needs capabilities for other users' processes.",
    ),
    _option("--jobs.runs-dir", "Where `gputally run` writes its records.", type=_FOLDER),
    _option("--jobs.slurm-dir", "Where Slurm's prolog and epilog write their records.", type=_FOLDER),
    _option(
        "--jobs.pod-logs-dir", "Where the kubelet keeps pods' logs, by which they are named.", type=_FOLDER
    ),
    _option("--jobs.kubelet-socket", "The kubelet's socket of pod resources; none: not asked.", type=_FILE),
    _option("--simulated.gpus", "GPUs of the simulated source.", type=click.IntRange(0, 64)),
    _option("--simulated.seed", "Seed of the simulated source.", type=click.IntRange(0, 2**31)),
    _option("--simulated.faults/--no-simulated.faults", "Lost GPUs, XIDs and heat in the simulation."),
    _option(
        "--simulated.visitors-dir",
        "Folder in which real processes register on simulated GPUs, to be shown as theirs.",
        type=_FOLDER,
    ),
    _option(
        "--memory.limit-bytes",
        "Resident memory at which the agent saves its state and renews itself.",
        type=click.IntRange(64 * 2**20, 2**40),
    ),
    _option("--path.procfs", "Where /proc is mounted.", type=_FOLDER),
    _option("--path.sysfs", "Where /sys is mounted.", type=_FOLDER),
    *_LOG,
)


def node_flags(command: F) -> F:
    """Give a command all flags of the node agent."""
    for flag in reversed(_NODE_FLAGS):
        command = flag(command)
    return command


def site_flags(command: F) -> F:
    """Give a command all flags of the site agent."""
    for flag in reversed(_SITE_FLAGS):
        command = flag(command)
    return command


def settle(context: click.Context, agent: type[S]) -> tuple[S, Path | None, Told]:
    """Settings by precedence: flag, environment, file, default; the file; and what flags and environment say.

    Raises click.UsageError with one line that names the flag, or file, line and key.
    """
    config_file = context.params.get("config_file")
    told = {
        name: value
        for name, value in context.params.items()
        if name in NAMES
        and context.get_parameter_source(name) in {ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT}
    }
    return combine(config_file, told, agent), config_file, told


def combine(
    config_file: Path | None,
    told: Told,
    agent: type[S] = NodeSettings,  # type: ignore[assignment]  # S of who says nothing
) -> S:
    """Put flags over the file's settings over the defaults. Raises click.UsageError."""
    try:
        given = (
            settings.read_file(config_file, check_address, check_telemetry_path, check_card, agent=agent)
            if config_file is not None
            else {}
        )
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    return replace(agent(), **{**given, **told})  # type: ignore[arg-type]
