"""Providers that answer from recordings until a test has them say something else, or nothing."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scripts.recorded_market import RecordedMarket

from tests.report.answering import Answer, Seen, Speaker, speaking

if TYPE_CHECKING:
    from collections.abc import Iterator


class Providers:
    """Recordings behind one address, and what is said instead; `held` ones do not answer until the end."""

    def __init__(self) -> None:
        self.recorded = RecordedMarket(clock=lambda: 0.0)
        self.instead: dict[str, Answer] = {}
        self.held: set[str] = set()
        self.over = threading.Event()

    def answer(self, seen: Seen) -> Answer:
        name = seen.path.split("/")[1]
        if name in self.held:
            self.over.wait(60)
        if name in self.instead:
            return self.instead[name]
        status, content = self.recorded.reply(seen.method, seen.path, seen.body)
        return Answer(status, json.dumps(content).encode())


@contextmanager
def providers() -> Iterator[tuple[Providers, Speaker]]:
    found = Providers()
    with speaking(found.answer) as server:
        try:
            yield found, server
        finally:
            found.over.set()
            found.recorded.stop()
