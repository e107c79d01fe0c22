"""The recipes of docs/rules.md, as they stand there, on a real Prometheus with the scrapes of a month."""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus.tests.conftest import PROMETHEUS, RULES, Rule
from prometheus.tests.monthdata import BY_BAND, END_S, Month
from prometheus.tests.promql import metrics
from prometheus.tests.server import Server

RECIPES = PROMETHEUS.parent / "docs" / "rules.md"
TILES = [rule for rule in RULES if rule.name.endswith(":increase1h")]
PRICES = {"day": 0.2512, "night": 0.1734}  # as in the recipe
PUE = 1.3
SIX_HOURS = 6 * 3600


def shell(command: str) -> str:
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def recipe(*words: str) -> str:
    """The one command of the manual that has all of these words in it."""
    blocks = re.findall(r"```sh\n(.*?)```", RECIPES.read_text(), re.DOTALL)
    (found,) = (block for block in blocks if all(word in block for word in words))
    return found


def backfill(server: Server, **changed: str) -> str:
    command = recipe("create-blocks-from rules")
    for old, new in {
        "http://127.0.0.1:9090": server.url,
        "/var/lib/prometheus/metrics2": str(server.data),
        "/etc/prometheus/rules": str(PROMETHEUS / "rules"),
    }.items():
        assert old in command
        command = command.replace(old, new)
    for flag, value in changed.items():
        command, count = re.subn(rf"--{flag}=\S+", f"--{flag}={value}", command)
        assert count == 1
    return shell(command)


@pytest.fixture(scope="module")
def month() -> Month:
    return Month()


@pytest.fixture(scope="module")
def server(month: Month, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Scrapes alone at first; then the tiles of the month by the recipe, those of its end a second time."""
    folder = tmp_path_factory.mktemp("month")
    server = Server(folder)
    raw = folder / "raw"
    month.write(raw, {name for tile in TILES for name in metrics(tile.expr)})
    # In one block of two months, which is much quicker than in 370 of two hours.
    shell(f"promtool tsdb create-blocks-from openmetrics --max-block-duration=1500h {raw} {server.data}")
    raw.unlink()
    try:
        server.start()
        assert server.query("count({__name__=~'.+:.+'})", END_S) == {}
        backfill(server)
        backfill(server, start=str(END_S - SIX_HOURS))
        server.stop()
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def last_tile_s(server: Server) -> float:
    return max(server.instants("cluster:gpu_energy_kwh:increase1h", END_S, "2h"))


def gained(tile: Rule, hours: int) -> str:
    """What the tile's rule says of so many hours at once, without the scaling."""
    text = " ".join(tile.expr.split())
    assert text.count("[3615s]") == text.count("* 3600 / 3615") == 1
    return text.replace("[3615s]", f"[{hours}h]").replace("* 3600 / 3615", "* 1")


@pytest.mark.parametrize("tile", TILES, ids=lambda tile: tile.name)
def test_backfilled_tiles_of_a_day_are_what_the_counters_gained(
    server: Server, last_tile_s: float, tile: Rule
) -> None:
    wanted = server.query(gained(tile, 24), last_tile_s)
    found = server.query(f"sum_over_time({tile.name}[23h30m])", last_tile_s)
    assert found.keys() == wanted.keys()
    assert wanted
    assert found == pytest.approx(wanted, rel=0.001)


def test_tiles_that_the_recipe_makes_twice_count_once(server: Server, last_tile_s: float) -> None:
    # Several blocks over the same hours.
    assert len(list((server.data).glob("*/meta.json"))) > len(set(PRICES))
    counts = server.query("count_over_time(team_user_model:gpu_energy_kwh:increase1h[23h30m])", last_tile_s)
    assert set(counts.values()) == {24}


def repriced(server: Server, *words: str) -> dict[str, float]:
    """The answer of a command of the manual, by team."""
    command = recipe("promtool query instant", *words).replace("http://127.0.0.1:9090", server.url)
    lines = re.findall(r'\{cluster="c", team="(\w+)"\} => (\S+) @', shell(command))
    return {team: float(value) for team, value in lines}


@pytest.mark.parametrize(
    ("counted_by", "tolerance"),
    [("team_user_model:gpu_energy_by_tariff_kwh:increase1h", 0.003), (BY_BAND, 0.0001)],
)
def test_a_past_month_is_priced_anew(server: Server, month: Month, counted_by: str, tolerance: float) -> None:
    truth = {
        team: sum(month.used_kwh[team, band] * price for band, price in PRICES.items()) * PUE
        for team in ("nlp", "vision")
    }
    assert repriced(server, counted_by) == pytest.approx(truth, rel=tolerance)


def test_backfilled_tiles_and_recorded_ones_follow_each_other(tmp_path: Path) -> None:
    """At the same instants of the interval, to a millisecond. Ten seconds stand in for the hour."""
    rules = tmp_path / "rules.yml"
    rules.write_text("groups: [{name: g, interval: 10s, rules: [{record: 'a:b:c', expr: vector(1)}]}]\n")
    server = Server(tmp_path, rules)
    server.start()
    try:
        deadline = time.monotonic() + 60
        while not (recorded := server.instants("a:b:c", time.time(), "1m")):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        start = int(time.time()) - 5 * 3600
        shell(
            f"promtool tsdb create-blocks-from rules --url={server.url} --start={start} --end={start + 60}"
            f" --output-dir={server.data} {rules}"
        )
        server.stop()
        server.start()
        backfilled = server.instants("a:b:c", start + 60, "1m")
    finally:
        server.stop()
    assert len(backfilled) >= 5
    # From middle to middle of the ten seconds, so that 9.999 and 0 are neighbours.
    assert {abs((at - recorded[0] + 5) % 10 - 5) < 0.0015 for at in backfilled} == {True}
