"""What vmagent scrapes in the tests: a page that counts how often it was served."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.report.answering import Answer, Seen, speaking


class Page:
    """One counter. Each value is served once: the store must have every whole number up to the last."""

    def __init__(self, model: str) -> None:
        """`model` tells one page's series from another's."""
        self.series = f'gpu_team_energy_joules_total{{team="nlp",user="ada",model="{model}"}}'
        self.served, self.paused, self.target = 0, False, ""
        self._lock = threading.Lock()

    @contextmanager
    def running(self) -> Iterator["Page"]:
        """Serve it."""
        with speaking(self._answer) as speaker:
            self.target = speaker.url.removeprefix("http://")
            yield self

    def next(self) -> str | None:
        """The page, or None while it is paused."""
        with self._lock:
            if self.paused:
                return None
            self.served += 1
            return f"{self.series} {self.served}\n"

    def _answer(self, _seen: Seen) -> Answer:
        text = self.next()
        headers = {"Content-Type": "text/plain; version=0.0.4"}
        return Answer(503 if text is None else 200, (text or "").encode(), headers)
