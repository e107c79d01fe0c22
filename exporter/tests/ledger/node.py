"""The agent of a story: all that `gputally node` is made of, but for its thread, its clock and /proc.

It ticks when it is told to, on the fake driver's clock, and can be ended as a machine does it: in order, or
in the middle of its life.
"""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest import mock

from gputally.collect.page import Page
from gputally.config.settings import NodeSettings, read_file
from gputally.model import WebReport
from gputally.node.build import build_sampler
from gputally.node.crashes import CrashRecord
from gputally.node.identity.assemble import Knowing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gputally.model import Clock
    from gputally.node.identity.protocol import Identities
    from gputally.node.sampler import Sampler

_CALL_S = 10.0  # far more than closing a driver takes


class Node:
    """One machine's agent, over all its lives."""

    def __init__(self, folder: Path, clock: Clock, identities: Identities, *, tick_s: int) -> None:
        self._state, self._file = folder / "state", folder / "gputally.yml"
        self._clock, self._identities, self._tick_s = clock, identities, tick_s
        self._sampler: Sampler | None = None
        self._page: Page | None = None

    @property
    def runs(self) -> bool:
        """Whether there is a process."""
        return self._sampler is not None

    @property
    def sampler(self) -> Sampler:
        """That of the present life."""
        assert self._sampler is not None, "not running"
        return self._sampler

    def settings(self, written: str) -> NodeSettings:
        """What a configuration file of this text says."""
        self._file.write_text(written)
        given = read_file(self._file)
        return NodeSettings(
            **given,  # type: ignore[arg-type]  # the fields' own names
            state_dir=self._state,
            source="nvml",
            sample_interval_ns=self._tick_s * 10**9,
            collector_processes=False,
            collector_host=False,
        )

    def start(self, written: str) -> None:
        """Begin a life, with this configuration."""
        with _assembled(self._identities):
            self._sampler = build_sampler(self.settings(written), self._clock, WebReport, dict)
        sampler = self._sampler
        self._page = Page(lambda: sampler.latest)

    def reload(self, written: str) -> None:
        """As SIGHUP does it."""
        self.sampler.reprice(self.settings(written).site)

    def tick(self) -> None:
        """Sample once."""
        self.sampler.tick()

    def scrape(self) -> str:
        """The page of the latest tick."""
        assert self._page is not None
        return self._page.render("text-0.0.4").decode()

    def stop(self) -> None:
        """SIGTERM."""
        self.sampler._save(self._clock(), final=True)
        CrashRecord(self._state).stopped()
        self._bury()

    def kill(self) -> None:
        """SIGKILL: of a process, its locks go and its files stay."""
        file = self.sampler._persistence._file
        assert file is not None
        file.close()
        self._bury()

    def _bury(self) -> None:
        """End what a process takes with it: threads, and the driver that is open in it."""
        sampler, self._sampler = self.sampler, None
        if sampler.session.close():
            while sampler._outcomes.get(timeout=_CALL_S).worker is not sampler.session.scout:
                pass
        sampler.session.scout.stop()
        for post in sampler._crew:
            post.worker.stop()


@contextmanager
def _assembled(identities: Identities) -> Iterator[None]:
    """Whose processes they are is known without /proc."""
    knowing = Knowing(identities, SimpleNamespace(teams=()), None)  # type: ignore[arg-type]  # no reload of teams
    with mock.patch("gputally.node.build.identities", return_value=knowing):
        yield
