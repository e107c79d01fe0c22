"""Two Alertmanagers that know of each other: told of everything by both Prometheus' rules, they tell it once.

Of two peers the second waits for --cluster.peer-timeout before it sends, and does not if it has heard by then
that the first one has. When that is dead, or cannot be heard, nobody has to notice first: it sends.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from alertmanager.tests.conftest import Config, World, new_world, open_always, routes_of, tell
from alertmanager.tests.losing import kill, lost, silence, silences
from alertmanager.tests.services import await_truth
from scripts.stack.processes import LOOPBACK, Program, free_port

PEER_TIMEOUT_S, INTERVAL_S = (
    3,
    5,
)  # 15 s and 5 min in the manual: whoever waits must have sent before the next round
ALL_HAVE_SENT_S = INTERVAL_S + PEER_TIMEOUT_S + 2
DAY_S = 86_400


def patient(config: Config) -> None:
    """Rounds that are longer than the wait for a peer."""
    open_always(config)
    for route in routes_of(config):
        route["group_interval"] = f"{INTERVAL_S}s"


def flags(port: int, peer: int) -> list[str]:
    """As in the manual, but for waits that fit a test."""
    return [
        f"--cluster.listen-address={LOOPBACK}:{port}",
        f"--cluster.peer={LOOPBACK}:{peer}",
        f"--cluster.peer-timeout={PEER_TIMEOUT_S}s",
        "--cluster.gossip-interval=50ms",
        "--cluster.probe-interval=500ms",
        "--cluster.reconnect-interval=1s",
        "--cluster.settle-timeout=5s",
    ]


def peers(program: Program) -> tuple[str, int]:
    """Whether it is ready or settling, and how many it sees, with itself."""
    cluster = requests.get(f"{program.url}/api/v2/status", timeout=10).json()["cluster"]
    return cluster["status"], len(cluster["peers"])


def in_order(pair: list[Program]) -> list[Program]:
    """Who sends first stands first: peers are numbered by their names, which are drawn by lot."""
    name = {
        p.port: requests.get(f"{p.url}/api/v2/status", timeout=10).json()["cluster"]["name"] for p in pair
    }
    return sorted(pair, key=lambda program: name[program.port])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with new_world(tmp_path) as world:
        yield world


@pytest.fixture
def pair(world: World) -> list[Program]:
    ports = free_port(), free_port()
    made = [world.start(patient, flags(mine, other)) for mine, other in (ports, ports[::-1])]
    await_truth(lambda: [peers(one) for one in made] == [("ready", 2)] * 2, 60)
    return in_order(made)


def told(world: World, place: str) -> list[str]:
    """What the pager was told about a machine."""
    return [one["status"] for one in world.services.hooks("page", place)]


def tell_both(pair: list[Program], place: str, seconds: float = DAY_S) -> None:
    """As Prometheus does: each Alertmanager that is listed is told of every alert, if it answers."""
    for one in pair:
        try:
            tell(one, lost(place), seconds=seconds)
        except requests.ConnectionError:
            assert one.exit_status is not None


@pytest.mark.fault("alertmanager-pair")
def test_what_both_are_told_is_told_once_and_so_is_its_end(world: World, pair: list[Program]) -> None:
    tell_both(pair, "both")
    await_truth(lambda: told(world, "both"))
    time.sleep(ALL_HAVE_SENT_S)
    assert told(world, "both") == ["firing"]
    assert len(world.mail.about("both")) == 1
    tell_both(pair, "both", seconds=0)
    await_truth(lambda: "resolved" in told(world, "both"))
    time.sleep(ALL_HAVE_SENT_S)
    assert told(world, "both") == ["firing", "resolved"]
    assert len(world.mail.about("both")) == 2


@pytest.mark.fault("alertmanager-pair")
@pytest.mark.parametrize("dies", [0, 1], ids=["the first", "the second"])
def test_when_one_dies_nothing_is_lost_and_nothing_told_again(
    world: World, pair: list[Program], dies: int
) -> None:
    tell_both(pair, "before")
    await_truth(lambda: told(world, "before") and world.mail.about("before"))
    quiet = silence(pair[dies], "quiet")
    await_truth(lambda: [silences(one) for one in pair] == [{quiet}] * 2)
    kill(pair[dies])
    tell_both(pair, "after")
    tell_both(pair, "quiet")
    await_truth(lambda: told(world, "after") and world.mail.about("after"), 30)
    time.sleep(ALL_HAVE_SENT_S)
    assert (told(world, "before"), told(world, "after")) == (["firing"], ["firing"])
    assert told(world, "quiet") == []  # a silence that was set at the dead one
    pair[dies].start()
    pair[dies].wait_until_ready()
    await_truth(lambda: [peers(one) for one in pair] == [("ready", 2)] * 2, 60)
    assert silences(pair[dies]) == {quiet}
    for place in ("before", "after", "quiet"):
        tell_both(pair, place)
    time.sleep(ALL_HAVE_SENT_S)
    assert (told(world, "before"), told(world, "after")) == (["firing"], ["firing"])
    assert told(world, "quiet") == []
    assert len(world.mail.about("before")) == len(world.mail.about("after")) == 1


@pytest.mark.fault("alertmanager-parted")
def test_two_that_never_hear_of_each_other_tell_everything_and_perhaps_twice(world: World) -> None:
    """Better twice than never: neither waits for a peer that it cannot see."""
    pair = [world.start(patient, flags(free_port(), free_port())) for _ in range(2)]
    await_truth(lambda: [peers(one) for one in pair] == [("ready", 1)] * 2, 60)
    tell_both(pair, "parted")
    await_truth(lambda: len(told(world, "parted")) == 2)
    tell_both(pair, "parted", seconds=0)
    await_truth(lambda: told(world, "parted").count("resolved") == 2)
    assert sorted(told(world, "parted")) == ["firing", "firing", "resolved", "resolved"]
