"""What `nvidia-smi -L` lists: the GPUs that answer, and the UUID and profile of each MIG partition.

The XML log names neither, and `-L` is the only way of asking that passes over a lost GPU by itself.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_GPU = re.compile(r"^GPU (\d{1,4}): .*\(UUID: (GPU-[0-9A-Za-z-]{1,80})\)\s*$")
_PARTITION = re.compile(r"^\s+MIG (\S{1,40})\s+Device\s+(\d{1,4}): \(UUID: (MIG-[0-9A-Za-z/-]{1,120})\)\s*$")
_SLICES = re.compile(r"^(?:(\d{1,2})c\.)?(\d{1,2})g\.")


@dataclass(frozen=True, slots=True)
class Partition:
    """A MIG device as it is listed."""

    uuid: str = ""
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """GPUs by their index, and MIG devices by the index of their GPU and their own number."""

    gpus: Mapping[int, str] = field(default_factory=dict)
    partitions: Mapping[int, Mapping[int, Partition]] = field(default_factory=dict)

    def parent_of(self, uuid: str) -> str:
        """The UUID of the GPU that a MIG device is a part of; any other UUID as it is."""
        for index, parts in self.partitions.items():
            if any(part.uuid == uuid for part in parts.values()):
                return self.gpus.get(index, uuid)
        return uuid


def parse(text: str) -> Listing:
    """Read the listing; lines that are none, such as errors, are passed over."""
    gpus: dict[int, str] = {}
    partitions: dict[int, dict[int, Partition]] = {}
    of_gpu: dict[int, Partition] = {}
    for line in text.splitlines():
        if (gpu := _GPU.match(line)) is not None:
            gpus[int(gpu[1])] = gpu[2]
            of_gpu = partitions.setdefault(int(gpu[1]), {})
        elif (part := _PARTITION.match(line)) is not None:
            of_gpu[int(part[2])] = Partition(uuid=part[3], profile=part[1])
        else:
            of_gpu = {}  # of a GPU that does not answer
    return Listing(gpus, partitions)


def slices_of(profile: str | None) -> tuple[int | None, int | None]:
    """Slices of a profile's compute instance and GPU instance: 1 and 3 of "1c.3g.40gb"."""
    match = _SLICES.match(profile or "")
    return (int(match[1] or match[2]), int(match[2])) if match is not None else (None, None)
