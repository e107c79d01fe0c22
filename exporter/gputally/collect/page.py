"""The page that a scrape gets: rendered at most once per snapshot, and the same bytes for everyone."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from gputally.catalogue import BY_NAME, Family
from gputally.collect.devices import device_families
from gputally.collect.exposition import FamilySamples, Format, Sample, body, render
from gputally.collect.jobs import job_families
from gputally.collect.machine import machine_families
from gputally.model import Snapshot

logger = logging.getLogger(__name__)
S = TypeVar("S")
_LEFT_OUT = BY_NAME["gputally_left_out_families"]


def families(snapshot: Snapshot) -> Iterator[FamilySamples]:
    """All families of a node's snapshot, in the order of the catalogue."""
    yield from device_families(snapshot)
    yield from job_families(snapshot)
    yield from machine_families(snapshot)


class Page(Generic[S]):
    """Text of the latest snapshot. Not thread safe: the web server's one thread is its only caller."""

    def __init__(
        self,
        latest: Callable[[], S],
        families_of: Callable[[S], Iterator[FamilySamples]] = families,  # type: ignore[assignment]  # a node's
    ) -> None:
        self._latest, self._families_of = latest, families_of
        self._snapshot: S | None = None
        self._version = 0
        self._bodies: list[tuple[Family, str]] = []
        self._rendered: dict[Format, bytes] = {}
        self._broken: set[str] = set()
        self._texts: dict[Callable[[], Sequence[Sample]], str] = {}  # of the latest snapshot

    @property
    def version(self) -> int:
        """Changes with every published snapshot, never between."""
        self._refresh()
        return self._version

    def render(self, fmt: str) -> bytes:
        """The scrape of the latest snapshot, in one of the words of `Format`."""
        fmt = Format(fmt)
        self._refresh()
        if not self._bodies and self._snapshot is not None:
            self._bodies = self._compose(self._snapshot)
        if fmt not in self._rendered:
            self._rendered[fmt] = render(self._bodies, fmt)
        return self._rendered[fmt]

    def _refresh(self) -> None:
        snapshot = self._latest()
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._version += 1
            self._bodies = []
            self._rendered = {}

    def _compose(self, snapshot: S) -> list[tuple[Family, str]]:
        bodies: list[tuple[Family, str]] = []
        broken: set[str] = set()
        texts: dict[Callable[[], Sequence[Sample]], str] = {}
        for family, samples_of in self._families_of(snapshot):
            try:
                # Whoever is asked by the very same object as before has the same to say.
                text = self._texts[samples_of] if samples_of in self._texts else body(family, samples_of())
            except Exception:  # one bad value costs its family, never the scrape
                broken.add(family.name)
                if family.name not in self._broken:  # said once, until it heals
                    logger.exception("family left out of the scrape: %s", family.name)
                continue
            texts[samples_of] = text
            if text:
                bodies.append((family, text))
        self._broken, self._texts = broken, texts
        bodies.append((_LEFT_OUT, body(_LEFT_OUT, [("", len(broken))])))
        return bodies
