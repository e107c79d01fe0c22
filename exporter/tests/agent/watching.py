"""What scrapes of an agent say: one, and many in a row."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.agent.running import RunningAgent

Series = tuple[str, frozenset[tuple[str, str]]]  # name, labels


@dataclass(frozen=True)
class Scrape:
    """One answer of /metrics; parsed when somebody looks into it."""

    status: int
    body: str
    seconds: float  # from connect to the last byte
    at: float  # time.monotonic() when the last byte was there

    @cached_property
    def samples(self) -> dict[Series, float]:
        """Every sample by its series. Fails on a series that stands twice, or on text that is not valid."""
        samples: dict[Series, float] = {}
        for family in text_string_to_metric_families(self.body):
            for sample in family.samples:
                series = (sample.name, frozenset(sample.labels.items()))
                assert series not in samples, f"twice in one scrape: {series}"
                samples[series] = sample.value
        return samples

    def series(self, name: str, **labels: str) -> dict[frozenset[tuple[str, str]], float]:
        """Values of a family by all their labels; `labels` narrow them down."""
        wanted = labels.items()
        return {has: v for (n, has), v in self.samples.items() if n == name and wanted <= has}

    def value(self, name: str, **labels: str) -> float | None:
        """The one value that `labels` select; None if there is none. Fails if there are several."""
        found = self.series(name, **labels)
        assert len(found) <= 1, f"{name}{labels} is not one series: {found}"
        return next(iter(found.values()), None)

    def label(self, name: str, label: str, **labels: str) -> str | None:
        """One label of the one series that `labels` select, such as the reason of an info series."""
        found = self.series(name, **labels)
        assert len(found) <= 1, f"{name}{labels} is not one series: {found}"
        return dict(next(iter(found)))[label] if found else None

    def families(self, **labels: str) -> set[str]:
        """Names of everything that has these labels."""
        return {name for name, has in self.samples if labels.items() <= has}


class Watch:
    """Scrapes in a thread until the block ends, and what they say together."""

    def __init__(self, agent: RunningAgent, pace: float) -> None:
        self.scrapes: list[Scrape] = []
        self.failures: list[tuple[float, OSError]] = []  # (time.monotonic(), why)
        self._agent, self._pace = agent, pace
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")

    def __enter__(self) -> Self:
        """Begin to scrape."""
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        """End."""
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(self._pace):
            try:
                self.scrapes.append(self._agent.scrape())
            except OSError as error:
                self.failures.append((time.monotonic(), error))

    def assert_served(self, within: float = 0.1) -> None:
        """Every scrape was answered, with 200, and in time.

        One in ten may be late by what a loaded machine takes; none by what a driver call would take.
        """
        assert self.scrapes, "nothing was scraped"
        assert not self.failures, self.failures[:3]
        assert {s.status for s in self.scrapes} == {200}
        took = sorted(s.seconds for s in self.scrapes)
        assert took[len(took) * 9 // 10 - (len(took) < 10)] < within, took[-10:]
        assert took[-1] < 2.0, took[-10:]

    def assert_no_decrease(self) -> None:
        """No counter went back from one scrape to the next, whatever index its GPU had."""
        latest: dict[Series, float] = {}
        for scrape in self.scrapes:
            for (name, labels), value in scrape.samples.items():
                if not name.endswith("_total") or name.startswith("process_"):
                    continue
                has_uuid = any(label == "uuid" for label, _ in labels)
                series = (name, frozenset(p for p in labels if p[0] != "gpu" or not has_uuid))
                before = latest.get(series, value)
                assert value >= before, f"{name} {dict(labels)} fell from {before!r} to {value!r}"
                latest[series] = value

    def values(self, name: str, **labels: str) -> Iterator[tuple[float, float | None]]:
        """(seconds since the first scrape, value) of one series."""
        for scrape in self.scrapes:
            yield scrape.at - self.scrapes[0].at, scrape.value(name, **labels)
