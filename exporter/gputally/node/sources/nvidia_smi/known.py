"""Which GPU an answer of nvidia-smi is about, and what is kept of a GPU from one log to the next.

A lost GPU often says neither its name nor its UUID; it is then known by where it sits, or by its index.
"""

from dataclasses import dataclass, replace

from gputally.model import Description, Gpu, ProcessReading
from gputally.node.sources.nvidia_smi import slow
from gputally.node.sources.nvidia_smi.xmllog import Card, Log

_UUID = "GPU-"  # how every UUID begins; "GPU is lost" does not


@dataclass(slots=True)
class Known:
    """A GPU as the latest logs had it."""

    gpu: Gpu
    description: Description
    memory_total_bytes: int | None = None
    processes: tuple[ProcessReading, ...] = ()
    partitions: slow.Layout = ()


class KnownGpus:
    """The GPUs of the machine by UUID."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}

    def __getitem__(self, uuid: str) -> Known:
        """Raises KeyError."""
        return self._known[uuid]

    def get(self, uuid: str) -> Known | None:
        """The GPU, if there is one of that UUID."""
        return self._known.get(uuid)

    @property
    def uuids(self) -> tuple[str, ...]:
        """In the driver's order."""
        return tuple(gpu.uuid for gpu in self.gpus)

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """In the driver's order."""
        return tuple(sorted((known.gpu for known in self._known.values()), key=lambda gpu: int(gpu.index)))

    def descriptions(self) -> dict[str, Description]:
        """By UUID."""
        return {uuid: known.description for uuid, known in self._known.items()}

    def by_index(self, selection: tuple[int, ...] | None) -> dict[str, str]:
        """UUIDs by the index of those GPUs that a selection asks for."""
        return {gpu.index: gpu.uuid for gpu in self.gpus if selection is None or int(gpu.index) in selection}

    def forget(self) -> None:
        """There are none."""
        self._known = {}

    def identify(self, log: Log, selection: tuple[int, ...] | None) -> dict[str, Card]:
        """Take in a log that was asked for a selection, and return its cards by UUID.

        Who is not in it is gone, unless it was not asked for. A UUID that comes twice counts once.
        """
        indices = range(len(log.cards)) if selection is None else selection
        by_bus = {k.description.pci_bus_id: uuid for uuid, k in self._known.items()}
        found: dict[str, Card] = {}
        known: dict[str, Known] = {}
        for index, card in zip(indices, log.cards, strict=False):
            uuid = card.word("uuid") or ""
            if uuid.startswith(_UUID) and uuid not in found:
                known[uuid] = self._renewed(uuid, str(index), card)
                found[uuid] = card
            elif (before := by_bus.get(card.bus_id)) is not None and before not in known:
                known[before] = self._known[before]
        if selection is not None:
            left_out = (k for k in self._known.values() if int(k.gpu.index) not in selection)
            known = {**{k.gpu.uuid: k for k in left_out}, **known}
        self._known = known
        return found

    def _renewed(self, uuid: str, index: str, card: Card) -> Known:
        known = self._known.get(uuid)
        if known is None:
            return Known(Gpu(uuid, index), slow.describe(card))
        if card.word("product_name") is not None:  # of a lost GPU the log knows no names
            capability = known.description.compute_capability
            known.description = replace(slow.describe(card), compute_capability=capability)
        known.gpu = Gpu(uuid, index)
        return known


def says_who_it_is(uuid: str) -> bool:
    """Whether a cell holds a UUID, and not why there is none."""
    return uuid.startswith(_UUID)
