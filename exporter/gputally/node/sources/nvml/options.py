"""What the NVML source was asked to do."""

from dataclasses import dataclass
from pathlib import Path

from gputally.model import Clock


@dataclass(frozen=True, slots=True)
class Options:
    """As handed to NvmlSource."""

    clock: Clock
    proc_root: Path
    sys_root: Path
    gpm: bool = False
    nvlink_links: bool = False
    processes: bool = True
