"""Plays the simulated machine and the site through hours that are over: what scrapes would have shown.

It is the agents' own code on a clock that is moved by hand. The machine was booted when the real one was, so
that the live agent goes on as after any restart; what lies before that was another boot.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gputally.cli.own import OwnFigures
from gputally.collect.exposition import FamilySamples, Format
from gputally.collect.page import Page, families
from gputally.collect.sites import site_families
from gputally.config.settings import NodeSettings, SiteSettings
from gputally.model import Instant, Snapshot, WebReport
from gputally.model.clock import NS_PER_SECOND
from gputally.model.site import SiteSnapshot
from gputally.node.build import build_sampler
from gputally.node.sampler import Sampler
from gputally.site.figures import Declared
from gputally.site.publisher import Publisher
from gputally.site.reservations.calendar import Calendar

EARLIER_BOOT = "00000000-0000-4000-8000-000000000000"
BOOTING_NS = 60 * NS_PER_SECOND  # from the boot to the first sample


@dataclass
class Hands:
    """A clock that stands until it is moved."""

    wall_ns: int
    booted_ns: int  # wall clock at the boot

    def __call__(self) -> Instant:
        """Read it as the machine's clocks are read."""
        return Instant(self.wall_ns - self.booted_ns, self.wall_ns)


@dataclass(frozen=True)
class Target:
    """What Prometheus puts on the series of one target."""

    job: str
    instance: str
    cluster: str = "default"

    @property
    def labels(self) -> str:
        """As they stand between the braces."""
        return f'cluster="{self.cluster}",instance="{self.instance}",job="{self.job}"'


class Player:
    """One machine, of which only the `wanted` families are shown, and one site; `folder` is for its state."""

    def __init__(  # noqa: PLR0913 - two agents, their targets, and when it was
        self,
        node: tuple[NodeSettings, Target],
        site: tuple[SiteSettings, Target],
        *,
        folder: Path,
        begin_ns: int,
        now: Instant,
        boot_id: str,
    ) -> None:
        self._settings, self._folder, self._boot_id = node[0], folder, boot_id
        self.wanted: frozenset[str] = frozenset()
        self._booted_ns = now.wall_ns - now.boot_ns
        self._clock = Hands(begin_ns, min(self._booted_ns, begin_ns - BOOTING_NS))
        self._sampler = self._booted(boot_id if self._booted_ns < begin_ns else EARLIER_BOOT)
        declared = Declared(site[0].site, site[0].owned_gpus, site[0].thresholds)
        self._publisher = Publisher(declared, self._clock)
        if (booked := site[0].reservations) is not None:
            self._publisher.calendar = Calendar(booked.book, site[0].teams)
        self._pages = (
            (Page[Snapshot](lambda: self._sampler.latest, self._some), Scrape(node[1])),
            (Page[SiteSnapshot](lambda: self._publisher.latest, site_families), Scrape(site[1])),
        )

    def play(self, until_ns: int, step_ns: Callable[[int], int]) -> Iterator[list[str]]:
        """The lines of every scrape before an instant; `step_ns` says how long after each the next one is."""
        while (now_ns := self._clock.wall_ns) < until_ns:
            if self._clock.booted_ns < self._booted_ns <= now_ns:
                self._reboot()
                continue
            self._sampler.pace(step_ns(now_ns))
            self._sampler.tick()
            self._publisher.publish()
            at = f"{now_ns / NS_PER_SECOND:.3f}"
            yield [
                line
                for page, scrape in self._pages
                for line in scrape.lines(page.render(Format.TEXT).decode(), at)
            ]
            self._clock.wall_ns += step_ns(now_ns)

    def finish(self) -> None:
        """Leave the state as an agent does that is stopped."""
        self._sampler.stop()

    def _some(self, snapshot: Snapshot) -> Iterator[FamilySamples]:
        return (one for one in families(snapshot) if one[0].name in self.wanted)

    def _reboot(self) -> None:
        self.finish()
        self._clock.booted_ns = self._booted_ns
        self._clock.wall_ns = max(self._clock.wall_ns, self._booted_ns + BOOTING_NS)
        self._sampler = self._booted(self._boot_id)

    def _booted(self, boot_id: str) -> Sampler:
        """A sampler that sees no process of this machine, and no other boot than that."""
        proc = self._folder / "proc"
        random = proc / "sys" / "kernel" / "random"
        random.mkdir(parents=True, exist_ok=True)
        (random / "boot_id").write_text(f"{boot_id}\n")
        settings = replace(
            self._settings,
            source="simulated",
            state_dir=self._folder / "state",
            collector_host=False,
            simulated_visitors_dir=None,
            jobs_runs_dir=proc / "runs",
            jobs_slurm_dir=proc / "slurm",
            jobs_kubelet_socket=None,
            path_procfs=proc,
        )
        return build_sampler(settings, self._clock, WebReport, OwnFigures())


class Scrape:
    """Pages of one target as OpenMetrics with times."""

    def __init__(self, target: Target) -> None:
        self._labels = target.labels
        self._heads: dict[str, str] = {}

    def lines(self, text: str, at: str) -> Iterator[str]:
        """Every sample with the target's labels and an instant."""
        yield f"up{{{self._labels}}} 1 {at}\n"
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            head, _, value = line.rpartition(" ")
            full = self._heads.get(head) or self._heads.setdefault(head, self._labelled(head))
            yield f"{full} {value} {at}\n"

    def _labelled(self, head: str) -> str:
        name, brace, rest = head.partition("{")
        return f"{name}{{{self._labels},{rest}" if brace else f"{name}{{{self._labels}}}"
