"""Ways to reach GPUs; the only rooms that know a driver or a program."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from gputally.config.settings import NodeSettings
from gputally.model import Clock
from gputally.node.sources.protocol import Choice, Source

if TYPE_CHECKING:
    from gputally.node.sources.simulated import SimulatedSource

AUTO = ("nvml", "nvidia-smi", "nvtop")  # in this order; the simulation must be asked for
PROGRAM_DEADLINE_SECONDS = 16.0  # above the deadlines after which the programs themselves are killed


def choices(settings: NodeSettings, clock: Clock, *, processes: bool) -> tuple[Choice, ...]:
    """The sources to be tried, in order."""
    known: Mapping[str, Choice] = {
        "nvml": Choice("nvml", partial(_nvml, settings, clock, processes=processes)),
        "nvidia-smi": Choice(
            "nvidia-smi", partial(_nvidia_smi, processes=processes), PROGRAM_DEADLINE_SECONDS
        ),
        "nvtop": Choice("nvtop", _nvtop, PROGRAM_DEADLINE_SECONDS),
        "simulated": Choice("simulated", partial(simulation, settings, clock)),
    }
    return tuple(known[name] for name in (AUTO if settings.source == "auto" else (settings.source,)))


# Each source is imported when it is tried: a machine without it pays nothing for it.


def _nvml(settings: NodeSettings, clock: Clock, *, processes: bool) -> Source:
    from gputally.node.sources.nvml import NvmlSource  # noqa: PLC0415

    return NvmlSource(
        gpm=settings.collector_gpm,
        nvlink_links=settings.collector_nvlink_links,
        processes=processes,
        proc_root=settings.path_procfs,
        sys_root=settings.path_sysfs,
        clock=clock,
    )


def _nvidia_smi(*, processes: bool) -> Source:
    from gputally.node.sources.nvidia_smi import NvidiaSmiSource  # noqa: PLC0415

    return NvidiaSmiSource(processes=processes)


def _nvtop() -> Source:
    from gputally.node.sources.nvtop import NvtopSource  # noqa: PLC0415

    return NvtopSource()


def simulation(settings: NodeSettings, clock: Clock) -> "SimulatedSource":
    """The simulated machine; every one with the same settings is the same machine."""
    from gputally.node.sources.simulated import SimulatedSource  # noqa: PLC0415

    return SimulatedSource(
        settings.simulated_gpus,
        settings.simulated_seed,
        clock,
        faults=settings.simulated_faults,
        visitors=settings.simulated_visitors_dir,
    )
