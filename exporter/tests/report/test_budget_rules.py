"""What the rules of budgets make of a bursty world on a real Prometheus, beside what was really spent."""

from __future__ import annotations

from datetime import timedelta

import pytest
import yaml

from gputally.report.access import Access
from gputally.report.prometheus import Prometheus
from tests.report.conftest import RULES
from tests.report.truth import CURRENCY, HOUR, JOBS

TEAMS = sorted({job.team for job in JOBS})
LATEST = "max(max_over_time(timestamp(cluster:gpu_energy_cost:increase1h)[1h:1m]))"
EDGE = "team:gpu_budget_edge_seconds:period"


def rule(name: str) -> str:
    groups = yaml.safe_load((RULES / "budgets.yml").read_text())["groups"]
    (found,) = (one["expr"] for group in groups for one in group["rules"] if one["record"] == name)
    return found


def declared(value: float, **labels: str) -> str:
    """A series of the site agent as an expression."""
    expr = f"vector({value})"
    for label, content in labels.items():
        expr = f'label_replace({expr}, "{label}", "{content}", "", "")'
    return expr


def asked(team: str, edge_s: float, kind: str) -> str:
    """The rule about energy, with what a site agent would have said in the place of its series."""
    expr = rule("team:gpu_budget_energy_cost:period")
    for period, range_ in (("week|month", "6h"), ("quarter|year", "4d")):
        mine = declared(edge_s, team=team) if kind in period else "(vector(0) > 1)"
        expr = expr.replace(f'max_over_time({EDGE}{{period=~"{period}"}}[{range_}] @ end())', mine)
    assert EDGE not in expr
    expr = expr.replace("site_budget_rate", declared(1, team=team, currency=CURRENCY))
    return expr.replace("site_budget_info", declared(1, team=team, currency=CURRENCY))


@pytest.mark.parametrize("back", [0, 1])
@pytest.mark.parametrize("team", TEAMS)
def test_a_period_that_began_at_midnight_is_spent_to_an_hours_unevenness(scene, team, back):
    """Two of the three zones have midnight beside the full hour, and tiles are stamped wherever they are."""
    world, server = scene.world, Prometheus(Access(scene.served.url))
    start = world.midnight(world.days[-1] - timedelta(days=back))
    latest = float(server.query(LATEST, world.end)[0].value)
    edge = start + HOUR - ((latest - 1) % HOUR + 1)
    found = server.query(asked(team, edge, "month"), world.end)
    truth = world.of(start, latest, "cost", team=team)
    spent = float(found[0].value) if found else 0.0
    # An hour of one team's cards, when it was not even; and a scrape at either end of each tile.
    hour = world.of(start - HOUR, start + HOUR, "cost", team=team) / 2
    assert abs(spent - truth) <= 0.12 * hour + 0.002 * truth + 0.0005
    assert (spent > 0) == (truth > 0)


def test_a_year_counts_today_and_the_part_of_its_first_day(scene):
    world, server = scene.world, Prometheus(Access(scene.served.url))
    latest = float(server.query(LATEST, world.end)[0].value)
    stamp = (latest - 1) % HOUR + 1
    start = world.end // 86_400 * 86_400 - 86_400  # midnight of UTC: but for the tile over it, nothing is cut
    edge = start + HOUR - stamp
    found = {team: server.query(asked(team, edge, "year"), world.end) for team in TEAMS}
    total = sum(float(one.value) for some in found.values() for one in some)
    begin, over = start - HOUR + stamp, start + 86_400 - HOUR + stamp  # of the first day's tiles
    first = world.of(begin, over, "cost") * (over - start) / 86_400
    assert total == pytest.approx(first + world.of(over, latest, "cost"), rel=0.005)
