"""Energy of CPU packages and memory, from the kernel's RAPL counters; follows their wraps, knows no power.

Intel and AMD processors both appear as `intel-rapl:*` under /sys/class/powercap (kernel documentation,
power/powercap). Their counters wrap within minutes, so they are taken up here and counted on from zero: the
raw figure after a restart would look to Prometheus like energy that was used at once.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gputally.model import Clock, Instant
from gputally.model.clock import system_clock

# More than any CPU package draws. A step above it is no wrap but a counter that began again at zero, as
# after a suspend, and says nothing about the energy in between.
HIGHEST_W = 2000.0
_ZONE = re.compile(r"intel-rapl:\d+(:\d+)?")


@dataclass(slots=True)
class _Domain:
    folder: Path
    range_uj: int
    raw_uj: int | None = None
    read_at: Instant | None = None


class RaplReader:
    """Counts on the energy of each domain; `start_joules` is what a state file says was counted before."""

    def __init__(
        self,
        sys_root: Path = Path("/sys"),
        clock: Clock = system_clock,
        start_joules: Mapping[str, float] | None = None,
    ) -> None:
        self._root = sys_root / "class/powercap"
        self._clock = clock
        self._domains: dict[str, _Domain] = {}
        self._energy_uj = {name: round(joules * 1e6) for name, joules in (start_joules or {}).items()}

    def read(self) -> dict[str, float]:
        """Joules by domain: `package-N`, and `dram-N` where memory is metered beside the package.

        Raises:
            FileNotFoundError: the machine has no RAPL, as most virtual ones.
            PermissionError: only root may read the counters, the default since Linux 5.10.
            OSError: no domain could be read.
        """
        if not self._domains:
            self._domains = _find_domains(self._root)
        fault: OSError = FileNotFoundError(2, "no RAPL domain", str(self._root))
        joules = {}
        for name, domain in self._domains.items():
            try:
                raw_uj = int((domain.folder / "energy_uj").read_bytes())
            except OSError as error:
                fault = error
            else:
                joules[name] = self._advance(name, domain, raw_uj) / 1e6
        if not joules:
            self._domains = {}  # the driver may have been unloaded: look again at the next read
            raise fault
        return joules

    def _advance(self, name: str, domain: _Domain, raw_uj: int) -> int:
        now = self._clock()
        step_uj = 0
        if domain.raw_uj is not None and domain.read_at is not None:
            seconds = now.seconds_since(domain.read_at)
            step_uj = energy_step_uj(domain.raw_uj, raw_uj, domain.range_uj, seconds)
        domain.raw_uj, domain.read_at = raw_uj, now
        self._energy_uj[name] = self._energy_uj.get(name, 0) + step_uj
        return self._energy_uj[name]


def energy_step_uj(before_uj: int, after_uj: int, range_uj: int, seconds: float) -> int:
    """Microjoules between two readings of a counter that wraps at `range_uj`; 0 where no wrap explains them.

    More than one wrap in between cannot be told from one, so a long gap counts too little, never too much.
    """
    step_uj = after_uj - before_uj
    if step_uj < 0:
        step_uj += range_uj
    return step_uj if 0 <= step_uj <= HIGHEST_W * max(seconds, 1.0) * 1e6 else 0


def _find_domains(root: Path) -> dict[str, _Domain]:
    """Packages, and memory beside them. Cores are part of their package, `psys` is the sum of all."""
    domains = {}
    for folder in sorted(path for path in root.iterdir() if _ZONE.fullmatch(path.name)):
        name = (folder / "name").read_text().strip()
        if name == "dram":
            package = (root / folder.name.rpartition(":")[0] / "name").read_text().strip()
            name = package.replace("package", "dram", 1)
        if name.startswith(("package-", "dram-")):
            domains[name] = _Domain(folder, int((folder / "max_energy_range_uj").read_bytes()))
    return domains
