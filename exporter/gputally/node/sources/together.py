"""A reader for sources that read all GPUs in one run: one worker, one deadline, one failure for all."""

from collections.abc import Mapping
from typing import Protocol

from gputally.model import Description, Reading


class ReadsAll(Protocol):
    """What such a source offers to its reader."""

    @property
    def name(self) -> str:
        """The word for `--source`."""

    def descriptions(self) -> Mapping[str, Description]:
        """By UUID, as of the latest run that told them."""

    def read(self, *, slow: bool) -> Mapping[str, Reading]:
        """One tick. Raises SourceError; who is missing did not answer."""


class TogetherReader:
    """Reads every GPU of a source. Stands for one set of GPUs: with another set comes another reader."""

    def __init__(self, source: ReadsAll, generation: int, uuids: tuple[str, ...]) -> None:
        self.key = f"{source.name}-{generation}"
        self.uuids = uuids
        self.generation = generation
        self._source = source

    def describe(self) -> Mapping[str, Description]:
        """From the latest run."""
        return self._source.descriptions()

    def read(self, *, slow: bool) -> Mapping[str, Reading]:
        """All GPUs that answer. Raises SourceError."""
        return self._source.read(slow=slow)

    def close(self) -> None:
        """Nothing is held between two runs."""


def reader_for(source: ReadsAll, uuids: tuple[str, ...], before: TogetherReader | None) -> TogetherReader:
    """The reader of these GPUs: the one before if they are the same."""
    if before is not None and set(before.uuids) == set(uuids):
        return before
    return TogetherReader(source, 1 if before is None else before.generation + 1, uuids)
