"""Who a GPU is: what does not change between two loads of the driver."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


class _Nothing(Mapping[str, Any]):
    """An empty mapping that can be a field's default: immutable and hashable."""

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - stands for mappings of every kind of value
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __hash__(self) -> int:
        return 0


NO_LABELS: Mapping[str, Any] = _Nothing()  # shared by every record that has nothing to say


@dataclass(frozen=True, slots=True)
class Gpu:
    """Identity of a GPU. The UUID is the key everywhere; the index is only a label and may move."""

    uuid: str  # verbatim from the driver, e.g. "GPU-5c2f..."
    index: str  # the driver's index at the latest enumeration


@dataclass(frozen=True, slots=True)
class Description:
    """Names, capabilities and fixed limits of a GPU; read once per driver epoch."""

    name: str
    vendor: str = "nvidia"  # nvidia | amd | intel | ... lower case
    architecture: str | None = None  # e.g. "hopper"
    pci_bus_id: str | None = None  # "00000000:3B:00.0"
    serial: str | None = None
    vbios_version: str | None = None
    compute_capability: str | None = None  # "9.0"
    power_limit_default_w: float | None = None
    power_limit_min_w: float | None = None
    power_limit_max_w: float | None = None
    temperature_limits_c: Mapping[str, float] = NO_LABELS  # limit -> degrees, e.g. {"slowdown": 92.0}
    clock_max_hz: Mapping[str, float] = NO_LABELS  # clock -> hertz
    pcie_link_generation_max: int | None = None
    pcie_link_width_max: int | None = None
    minor_number: int | None = None  # N of /dev/nvidiaN, by which schedulers name GPUs
    mig_slices: int | None = None  # compute slices that MIG can divide it into: 7, or 4 on small cards
    absent: Mapping[str, str] = NO_LABELS  # what cannot be measured -> why, for `check`


@dataclass(frozen=True, slots=True)
class Driver:
    """Versions of what the source talks to; one per machine."""

    source: str  # nvml | nvidia-smi | nvtop | simulated
    driver_version: str | None = None
    cuda_version: str | None = None
    library_version: str | None = None  # NVML's own version, or that of the program that is run


@dataclass(frozen=True, slots=True)
class Inventory:
    """The GPUs that a source sees at one moment, in the driver's order."""

    driver: Driver
    gpus: tuple[Gpu, ...]
