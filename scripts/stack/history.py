"""Gives a demonstration its past: the simulated machine is played through the hours before now.

A program of its own, which `make run` starts before the agents; what follows `--` are the node agent's flags.
It leaves the folder of Prometheus and the state of the agent, or nothing of both. promtool makes a block of
each rule, for the hours of the scrapes, too: Prometheus says so in its log, and joins them after a minute.
"""

import argparse
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import click

from gputally.cli.options import node_flags, settle, site_flags
from gputally.config.durations import parse_ns
from gputally.config.settings import NodeSettings, SiteSettings
from gputally.model import Instant
from gputally.model.clock import NS_PER_SECOND, system_clock
from gputally.node.build import read_boot_id
from scripts.stack.backfill import STOP, Scrapes, Server, dashboards, make_rules, rule_words
from scripts.stack.playing import Player, Target
from scripts.stack.processes import find

COARSE_NS = 150 * NS_PER_SECOND  # two of them in the five minutes over which rates are taken
FINE_NS = 30 * NS_PER_SECOND
LAST_NS = 10 * NS_PER_SECOND  # of the last quarter of an hour, which the live page shows
LAST_OF_NS = 900 * NS_PER_SECOND
STEPS = 240  # the age of a scrape in steps of its time, between fine and coarse
ALL_OF_NS = 6 * 3600 * NS_PER_SECOND  # before that, only what rules read
UNDER_WAY = "past-"
MEMORY = Path("/dev/shm")  # noqa: S108 - where a state that is written at every tick costs no disk's patience
S = TypeVar("S", NodeSettings, SiteSettings)


def settings_of(flags: Callable[[Any], Any], agent: type[S], argv: list[str]) -> S:
    """What an agent would be told by its flags, the environment and a file."""

    @click.command()
    @flags
    @click.pass_context
    def command(context: click.Context, /, **_flags: object) -> S:
        return settle(context, agent)[0]

    told: S = command.main(argv, standalone_mode=False)
    return told


def words(text: str) -> frozenset[str]:
    """Names that stand in a text, and much else."""
    return frozenset(re.findall(r"\w+", text))


def step_ns(age_ns: int) -> int:
    """Time between the scrapes of an age.

    It shrinks slowly: where steps get shorter at once, the first of an hour's samples comes later than the
    others lead increase() to expect, which takes the series to begin there, and most of a step is lost.
    """
    return LAST_NS if age_ns < LAST_OF_NS else min(COARSE_NS, max(FINE_NS, age_ns // STEPS))


def play(player: Player, now: Instant, scrapes: Scrapes) -> None:
    """From the beginning to now: the longer ago, the coarser."""
    rules = words(rule_words())
    for before_ns, wanted in ((ALL_OF_NS, rules), (0, rules | words(dashboards()))):
        player.wanted = wanted
        for lines in player.play(now.wall_ns - before_ns, lambda at_ns: step_ns(now.wall_ns - at_ns)):
            scrapes.take(lines)
    scrapes.finish()


def catch_up(player: Player, scrapes: Scrapes) -> None:
    """What has passed since the playing began; then the agent may go on."""
    for lines in player.play(system_clock().wall_ns, lambda _: LAST_NS):
        scrapes.take(lines)
    player.finish()
    scrapes.finish()


def make(arguments: argparse.Namespace, staging: Path, memory: Path) -> Path:
    """Play, record, catch up; the folder of blocks."""
    now, data = system_clock(), staging / "data"
    promtool, prometheus = (find(name) or name for name in ("promtool", "prometheus"))
    node = settings_of(node_flags, NodeSettings, arguments.flags)
    declared = [flag for flag in arguments.flags if flag.startswith("--config.file=")]  # of both agents
    player = Player(
        (node, Target("gputally-node", arguments.node)),
        (settings_of(site_flags, SiteSettings, declared), Target("gputally-site", arguments.site)),
        folder=memory,
        begin_ns=now.wall_ns - arguments.past,
        now=now,
        boot_id=read_boot_id(node.path_procfs),
    )
    scrapes, server = Scrapes(promtool, staging, data), Server(prometheus, staging, data)
    try:
        play(player, now, scrapes)
        server.start()
        server.wait_until_ready()
        begin_s = (now.wall_ns - arguments.past) // NS_PER_SECOND
        make_rules(promtool, server.url, staging, (begin_s, now.wall_ns // NS_PER_SECOND))
        server.stop()
        for block in (staging / "made").glob("*/"):
            block.rename(data / block.name)
        catch_up(player, scrapes)
    finally:
        server.stop()
        scrapes.stop()
    return data


def main() -> int:
    """Exit status 0 when the past is there."""
    parser = argparse.ArgumentParser(prog="history", description=__doc__)
    parser.add_argument("--past", type=parse_ns, required=True)
    parser.add_argument(
        "--folder", type=Path, required=True, help="for what is under way; on Prometheus' disk"
    )
    parser.add_argument("--prometheus", type=Path, required=True, help="folder of its data, to be made")
    parser.add_argument("--state", type=Path, required=True, help="the agent's --state.dir, to be made")
    parser.add_argument("--node", required=True, help="instance of the node agent")
    parser.add_argument("--site", required=True, help="instance of the site agent")
    parser.add_argument("flags", nargs="*", help="of the node agent")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: STOP.set())
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for abandoned in arguments.folder.glob(f"{UNDER_WAY}*/"):  # by one that was killed
        shutil.rmtree(abandoned)
    with (
        TemporaryDirectory(dir=arguments.folder, prefix=UNDER_WAY) as staging,
        TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, prefix=UNDER_WAY) as memory,
    ):
        data = make(arguments, Path(staging), Path(memory))
        shutil.copytree(Path(memory) / "state", arguments.state)
        data.rename(arguments.prometheus)
    return 0


if __name__ == "__main__":
    sys.exit(main())
