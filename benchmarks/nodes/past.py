"""An hour of every machine before the scrapes begin, so that rules find as much to read as they will.

One machine and the site are played through it with the agents' own code; the block that a Prometheus would
have made of that has the machine's series under the name of every machine.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from scripts.stack.history import settings_of
from scripts.stack.playing import Player, Target

from gputally.catalogue import BY_NAME
from gputally.cli.options import node_flags, site_flags
from gputally.config.settings import NodeSettings, SiteSettings
from gputally.model.clock import NS_PER_SECOND, system_clock
from gputally.node.build import read_boot_id
from month.tsdb import Block, Encoder, Line
from nodes.names import instance, labels, on

STEP_S = 15
CLUSTER = "bench"
SITE = "site:9837"
NODE_JOB, SITE_JOB = "gputally-node", "gputally-site"
Seen = dict[str, dict[int, float]]  # series -> number of the scrape -> value


def played(folder: Path, flags: Sequence[str], length_s: int) -> tuple[Seen, int]:
    """What scrapes of so many seconds before now would have shown, and when the first was, in milliseconds.

    Leaves the state of the machine's agent in `folder / "state"`.
    """
    now = system_clock()
    begin_ns = now.wall_ns - length_s * NS_PER_SECOND
    node = settings_of(node_flags, NodeSettings, list(flags))
    site = settings_of(
        site_flags, SiteSettings, [flag for flag in flags if flag.startswith("--config.file=")]
    )
    player = Player(
        (node, Target(NODE_JOB, instance(0), CLUSTER)),
        (site, Target(SITE_JOB, SITE, CLUSTER)),
        folder=folder,
        begin_ns=begin_ns,
        now=now,
        boot_id=read_boot_id(node.path_procfs),
    )
    player.wanted = frozenset(BY_NAME)
    seen: Seen = {}
    for number, scrape in enumerate(player.play(now.wall_ns, lambda _: STEP_S * NS_PER_SECOND)):
        take(seen, number, scrape)
    player.finish()
    return seen, begin_ns // 1_000_000


def take(seen: Seen, number: int, scrape: Iterable[str]) -> None:
    """Put one scrape's lines to those before it."""
    for line in scrape:
        head, value, _ = line.rsplit(" ", 2)
        seen.setdefault(head, {})[number] = float(value)


def standing(values: Mapping[int, float]) -> "array[float]":
    """One value a scrape from the first to the last; while a series was away, it stood still."""
    first, last = min(values), max(values)
    found = array("d", [values[first]])
    for number in range(first + 1, last + 1):
        found.append(values.get(number, found[-1]))
    return found


def lines(seen: Seen, begin_ms: int, nodes: int) -> Iterator[Line]:
    """The series of all machines and of the site."""
    step_ms = STEP_S * 1000
    for head, values in seen.items():
        named = labels(head)
        slots, first_ms = standing(values), begin_ms + min(values) * step_ms
        for node in range(nodes if named["job"] == NODE_JOB else 1):
            own = on(node, named) if named["job"] == NODE_JOB else tuple(sorted(named.items()))
            yield Line(own, first_ms, step_ms, slots, step_ms)


def write(folder: Path, seen: Seen, begin_ms: int, nodes: int) -> int:
    """Write the block into Prometheus' folder; how many samples it has."""
    data = folder / "data"
    data.mkdir()
    end_ms = begin_ms + (1 + max(max(values) for values in seen.values())) * STEP_S * 1000
    block = Block(Encoder(folder), data, begin_ms, end_ms)
    for line in lines(seen, begin_ms, nodes):
        block.add(line)
    block.close()
    return block.samples
