"""Reports on a real Prometheus against the analytic truth of two bursty days."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
import yaml

from gputally.report.jobs import jobs
from gputally.report.today import today
from gputally.report.usage import by_gpu, by_team
from gputally.report.waste import waste
from tests.report.conftest import RULES
from tests.report.inquiring import assert_sums, found, inquiry, number
from tests.report.truth import CARDS, CURRENCY, DEAD, HOUR, JOBS, SHORT_JOBS, UNEVEN, World

PER_KWH, PER_HOUR = 3.6e6, 3600.0
EXACT = 0.0005
EDGES_KWH = 2 * 15 * 450 / PER_KWH  # a scrape at either end, of a burst where the mean was assumed
TEAM = {  # column: quantity, its unit
    "kwh": ("energy", PER_KWH),
    "cost": ("cost", 1.0),
    "gpu_hours": ("held", PER_HOUR),
    "busy_hours": ("busy", PER_HOUR),
    "unused_kwh": ("unused_energy", PER_KWH),
    "unused_cost": ("unused_cost", 1.0),
}


def yesterday(world: World) -> tuple[int, int]:
    day = world.days[-1] - timedelta(days=1)
    return world.midnight(day), world.midnight(day + timedelta(days=1))


def test_a_calendar_day_of_every_card_is_exact_to_half_a_thousandth(scene):
    start, end = yesterday(scene.world)
    sheet = by_gpu(inquiry(scene, "yesterday"), ("gpu",), {})
    assert (sheet.range.from_s, sheet.range.until_s) == (start, end)
    rows = found(sheet, "uuid")
    assert set(rows) == {(uuid,) for uuid in CARDS}
    for uuid, card in CARDS.items():
        row, meter = rows[uuid,], scene.world.cards[uuid]
        for column, quantity, unit in (
            ("kwh", "energy", PER_KWH),
            ("cost", "cost", 1),
            ("busy_hours", "busy", PER_HOUR),
        ):
            truth = meter.between(quantity, start, end)
            assert abs(number(row, column) * unit - truth) < allowed(scene.world, quantity), (uuid, column)
        assert number(row, "gpu_hours") == 24
        assert number(row, "utilization") == pytest.approx(number(row, "busy_hours") / 24)
        assert (row["instance"], row["gpu"], row["name"]) == (card.instance, card.gpu, card.name)
        assert (row["state"], row["currency"]) == ("up", CURRENCY)
    assert_sums(sheet, ("kwh", "cost", "busy_hours", "gpu_hours"))


def test_a_calendar_day_of_every_team_is_exact(scene):
    start, end = yesterday(scene.world)
    sheet = by_team(inquiry(scene, "yesterday"), "teams", ("team", "user", "model"), {})
    rows = found(sheet, "team", "user", "model")
    groups = {(job.team, job.user, job.model) for job in JOBS}
    used = {key for key in groups if scene.world.of(start, end, "energy", **names(key)) > 0}
    assert set(rows) == used
    for key in used:
        for column, (quantity, unit) in TEAM.items():
            truth = scene.world.of(start, end, quantity, **names(key))
            assert abs(number(rows[key], column) * unit - truth) < allowed(scene.world, quantity, 2), key
    assert_sums(sheet, (*TEAM, "unused_hours", "jobs"))
    for column, (quantity, unit) in TEAM.items():
        truth = scene.world.of(start, end, quantity)
        total = number(sheet.totals[0], column) * unit
        assert abs(total - truth) < allowed(scene.world, quantity, 3), column


def allowed(world: World, quantity: str, cards: int = 1) -> float:
    """Half a thousandth of what so many cards have in a day; of time, of the day itself.

    An edge of a range costs what happens in one scrape interval, whether much or little lies behind it.
    """
    start, end = yesterday(world)
    day = (
        world.cards["GPU-a"].between(quantity, start, end)
        if quantity not in ("held", "busy")
        else 24.0 * HOUR
    )
    return EXACT * cards * day


def names(key: tuple[str, str, str]) -> dict[str, str]:
    return dict(zip(("team", "user", "model"), key, strict=True))


@pytest.mark.parametrize("since", ["yesterday", "today"])
def test_days_one_by_one_are_the_same_days(scene, since):
    sheet = by_gpu(inquiry(scene, since), ("day",), {})
    (row,) = sheet.rows
    assert row["day"] == scene.world.days[-2 if since == "yesterday" else -1].isoformat()
    start, end = sheet.range.from_s, sheet.range.until_s
    truth = sum(meter.between("energy", start, end) for meter in scene.world.cards.values())
    assert abs(number(row, "kwh") * PER_KWH - truth) < allowed(scene.world, "energy", 3)
    assert row["gpus"] == 3


def test_a_rolling_day_by_day_is_cut_at_midnight(scene):
    sheet = by_gpu(inquiry(scene, "24h"), ("day",), {})
    midnight = scene.world.midnight(scene.world.days[-1])
    edges = [scene.world.end - 24 * HOUR, midnight, scene.world.end]
    assert [row["day"] for row in sheet.rows] == [day.isoformat() for day in scene.world.days[-2:]]
    for row, (start, end) in zip(sheet.rows, pairwise(edges), strict=True):
        truth = sum(meter.between("energy", start, end) for meter in scene.world.cards.values()) / PER_KWH
        assert number(row, "kwh") == pytest.approx(truth, abs=3 * 15 * 700 / PER_KWH)


def test_two_days_by_day_and_team_have_days_first_and_jobs_on_every_day_of_theirs(scene):
    sheet = by_team(inquiry(scene, "yesterday", "today"), "teams", ("day", "team"), {})
    days = [row["day"] for row in sheet.rows]
    assert days == sorted(days)
    assert {str(day) for day in days} == {day.isoformat() for day in scene.world.days[-2:]}
    assert_sums(sheet, TEAM)
    total = sheet.totals[0]["jobs"]
    assert total == len(JOBS) - sum(scene.world.before_end(job.until_h) <= sheet.range.from_s for job in JOBS)
    counted = sum(Decimal(str(row["jobs"])) for row in sheet.rows)
    assert counted >= total
    midnight = scene.world.midnight(scene.world.days[-1])
    over = [
        job
        for job in JOBS
        if scene.world.before_end(job.from_h) < midnight < scene.world.before_end(job.until_h)
    ]
    assert counted == total + len(over)


@pytest.mark.parametrize("hours", [1, 6])
def test_a_few_hours_are_asked_of_the_counters(scene, hours):
    sheet = by_gpu(inquiry(scene, f"{hours}h"), ("gpu",), {})
    start, end = scene.world.end - hours * HOUR, scene.world.end
    for uuid in ("GPU-a", "GPU-b"):
        truth = scene.world.cards[uuid].between("energy", start, end) / PER_KWH
        assert number(found(sheet, "uuid")[uuid,], "kwh") == pytest.approx(truth, abs=EDGES_KWH)
    assert number(found(sheet, "uuid")["GPU-a",], "gpu_hours") == pytest.approx(hours, abs=0.04)


def last_tile(scene) -> float:
    """The instant of the latest tile."""
    asked = "max(max_over_time(timestamp(cluster:gpu_energy_kwh:increase1h)[2h:1m]))"
    return float(scene.served.query(asked, scene.world.end)[0]["value"])


def test_a_rolling_day_is_the_sum_of_tiles_and_exact_for_the_hours_that_they_cover(scene):
    sheet = by_team(inquiry(scene, "24h"), "teams", ("team",), {})
    end = last_tile(scene)
    assert scene.world.end - HOUR < end <= scene.world.end
    for column, (quantity, unit) in TEAM.items():
        truth = scene.world.of(end - 24 * HOUR, end, quantity)
        total = number(sheet.totals[0], column) * unit
        assert abs(total - truth) < allowed(scene.world, quantity, 3), column
    assert_sums(sheet, TEAM)
    asked = {
        "kwh": "sum by (team) (sum_over_time(team_user_model:gpu_energy_kwh:increase1h[24h]))",
        "cost": "sum by (team, currency) (sum_over_time(team_user_model:gpu_cost:increase1h[24h]))",
        "unused_kwh": "sum by (team) (sum_over_time(team_user_model:gpu_unused_kwh:increase1h[24h]))",
    }
    for column, expression in asked.items():
        shown = {
            (one["team"],): Decimal(one["value"]) for one in scene.served.query(expression, scene.world.end)
        }
        assert shown == {key: row[column] for key, row in found(sheet, "team").items()}


def test_rolling_days_of_cards_are_the_sum_of_tiles(scene):
    sheet = by_gpu(inquiry(scene, "2d"), ("gpu",), {})
    for column, rule in (
        ("kwh", "uuid:gpu_energy_kwh:increase1h"),
        ("busy_hours", "uuid:gpu_busy_hours:increase1h"),
    ):
        asked = scene.served.query(f"sum by (uuid) (sum_over_time({rule}[2d]))", scene.world.end)
        assert {one["uuid"]: Decimal(one["value"]) for one in asked} == {
            row["uuid"]: row[column] for row in sheet.rows
        }
    dead = found(sheet, "uuid")["GPU-c",]
    assert (dead["instance"], dead["state"], dead["name"]) == (DEAD, "gone", "NVIDIA A100")
    assert number(dead, "gpu_hours") == pytest.approx(45, abs=0.2)


def test_every_job_has_what_it_used_to_the_last_joule(scene):
    sheet = jobs(inquiry(scene, "24h"), (), {})
    rows = found(sheet, "job_id")
    assert set(rows) == {(job.job_id,) for job in JOBS if job.until_h < 24}
    for job in JOBS:
        if (job.job_id,) not in rows:
            continue
        row = rows[job.job_id,]
        ended = job.state not in ("running", "vanished")
        for column, (quantity, unit) in TEAM.items():
            if column == "unused_kwh":
                continue
            truth = scene.world.all_of(job.job_id, quantity) / unit
            # Of one that runs, or whose machine died, the last scrape is known: at most 15 s are missing.
            slack = 1e-9 if ended else 15 / ((job.from_h - job.until_h) * HOUR) * 3
            assert number(row, column) == pytest.approx(truth, rel=slack, abs=1e-12), (job.job_id, column)
        assert (row["state"], row["team"], row["user"]) == (job.state, job.team, job.user)
        assert (row["job_name"], row["model"], row["scheduler"]) == (job.name, job.model, "slurm")
        assert row["start"].timestamp() == scene.world.before_end(job.from_h)
        assert (row["end"].timestamp() if ended else row["end"]) == (
            scene.world.before_end(job.until_h) if ended else None
        )
    assert_sums(sheet, ("kwh", "cost", "gpu_hours", "busy_hours", "unused_hours", "unused_cost"))


def test_a_job_on_two_machines_is_one_row_with_both_also_if_it_left_one_of_them_earlier(scene):
    rows = found(jobs(inquiry(scene, "24h"), (), {}), "job_id")
    assert number(rows["4711",], "gpu_hours") == pytest.approx(40)
    assert number(rows[UNEVEN,], "gpu_hours") == pytest.approx(2.3 + 1.0)
    recorded = scene.served.query(
        f'max_over_time(job_id:gpu_job_gpu_hours:max{{job_id="{UNEVEN}"}}[24h])', scene.world.end
    )
    assert float(recorded[0]["value"]) < 3.2  # why the rule alone would not do


def test_jobs_of_a_past_range_are_those_that_ran_in_it_as_far_as_they_were(scene):
    end = scene.world.before_end(9.8)
    text = sheet_time(scene, end)
    sheet = jobs(inquiry(scene, sheet_time(scene, scene.world.before_end(12)), text), (), {})
    rows = found(sheet, "job_id")
    assert set(rows) == {("4711",), ("4713",)}
    assert rows["4711",]["state"] == "completed"
    running = rows["4713",]
    assert (running["state"], running["end"]) == ("running", None)
    job = next(job for job in JOBS if job.job_id == "4713")
    truth = scene.world.held(job, "energy", scene.world.start, end) / PER_KWH
    assert truth - EDGES_KWH < number(running, "kwh") <= truth


def sheet_time(scene, second: int) -> str:
    return inquiry(scene).range.moment(second).isoformat()


def test_a_job_that_ended_seconds_before_the_end_of_the_range_is_complete(scene):
    job = next(job for job in JOBS if job.job_id == "s5")
    end = scene.world.before_end(job.until_h)
    sheet = jobs(inquiry(scene, sheet_time(scene, end - 600), sheet_time(scene, end + 1)), (), {})
    row = found(sheet, "job_id")["s5",]
    assert row["state"] == "completed"
    assert number(row, "kwh") == pytest.approx(scene.world.all_of("s5", "energy") / PER_KWH, rel=1e-9)


def test_a_job_that_ended_before_the_range_is_not_in_it_although_its_series_are(scene):
    job = next(job for job in JOBS if job.job_id == "s5")
    begin = scene.world.before_end(job.until_h) + 30
    shown = scene.served.query('gpu_job_info{job_id="s5"}', begin + 60)
    assert shown
    sheet = jobs(inquiry(scene, sheet_time(scene, begin), sheet_time(scene, begin + 120)), (), {})
    assert ("s5",) not in found(sheet, "job_id")


def test_jobs_can_be_counted_by_how_they_ended(scene):
    sheet = jobs(inquiry(scene, "24h"), ("state",), {})
    counted = {key[0]: int(row["jobs"]) for key, row in found(sheet, "state").items()}
    assert counted == {"completed": SHORT_JOBS + 2, "running": 1, "vanished": 1, "timeout": 1}
    assert_sums(sheet, ("kwh", "cost", "jobs"))


def test_today_and_yesterday_are_the_days_of_the_site_to_the_last_scrape(scene):
    sheet = today(inquiry(scene, "yesterday", "today"), ("gpu",))
    rows = found(sheet, "uuid")
    world = scene.world
    midnight = world.midnight(world.days[-1])
    start, end = yesterday(world)
    for uuid, meter in world.cards.items():
        for column, quantity, unit in (("kwh", "energy", PER_KWH), ("cost", "cost", 1.0)):
            assert number(rows[uuid,], f"{column}_yesterday") == pytest.approx(
                meter.between(quantity, start, end) / unit, rel=1e-9
            )
            truth = meter.between(quantity, midnight, world.end) / unit
            known = number(rows[uuid,], f"{column}_today") if f"{column}_today" in rows[uuid,] else 0.0
            assert known == pytest.approx(truth, abs=100 * 700 / PER_KWH)  # the rule is up to 75 s late
    assert_sums(sheet, ("kwh_today", "cost_today", "kwh_yesterday", "cost_yesterday"))
    assert rows["GPU-c",]["state"] == "gone"


def test_cards_that_are_gone_since_yesterday_stand_in_the_report_of_today(scene):
    world = scene.world
    later = world.end + 20 * HOUR
    sheet = today(inquiry(scene, "yesterday", "today", at=later), ("gpu",))
    midnight = world.midnight(world.days[-1])
    for row in sheet.rows:
        truth = world.cards[str(row["uuid"])].between("energy", midnight, world.end) / PER_KWH
        assert number(row, "kwh_yesterday") == pytest.approx(truth, abs=100 * 700 / PER_KWH)
        assert (row["state"], row.get("kwh_today")) == ("gone", None)
    assert {row["uuid"] for row in sheet.rows} == set(CARDS)
    ours = sheet.range.moment(later).date()
    clock = f"No site agent says which day it is; by this machine's clock it is {ours} in {world.zone}."
    assert sheet.notes == (clock,)


def test_today_is_what_the_dashboard_says(scene):
    sheet = today(inquiry(scene, "yesterday", "today"), ("cluster",))
    rules = yaml.safe_load((RULES / "today.yml").read_text())["groups"][0]["rules"]
    expression = "cluster:gpu_cost_today:sum"
    for rule in reversed(rules):  # promtool fills in no rule that is made of others
        if not rule["record"].startswith("instance_uuid:"):
            expression = expression.replace(rule["record"], f"({rule['expr']})")
    asked = scene.served.query(expression, scene.world.end)
    assert float(asked[0]["value"]) == pytest.approx(number(sheet.totals[0], "cost_today"), rel=1e-9)


def test_waste_is_what_was_held_and_idle_and_what_nobody_had(scene):
    start, end = yesterday(scene.world)
    sheet = waste(inquiry(scene, "yesterday"), ("team", "user"), {})
    rows = found(sheet, "team", "user", "reason")
    world = scene.world
    whole = sum(meter.between("energy", start, end) for meter in world.cards.values())
    idle = whole - world.of(start, end, "energy")
    shown = number(rows["", "", "idle"], "unused_kwh") * PER_KWH
    assert abs(shown - idle) < allowed(world, "energy", 3)
    assert ("", "", "gap") not in rows  # nothing is no waste
    hours = (24 * HOUR * 3 - world.of(start, end, "held")) / PER_HOUR
    assert number(rows["", "", "not_allocated"], "unused_hours") == pytest.approx(hours, rel=EXACT)
    held = rows["nlp", "ada", "allocated"]
    truth = world.of(start, end, "unused_energy", team="nlp")
    assert abs(number(held, "unused_kwh") * PER_KWH - truth) < allowed(world, "unused_energy", 2)
    busy, all_hours = (world.of(start, end, quantity, team="nlp") / PER_HOUR for quantity in ("busy", "held"))
    slack = allowed(world, "held", 2) / PER_HOUR
    assert number(held, "unused_hours") == pytest.approx(all_hours - busy, abs=slack)
    costs = [row["unused_cost"] for row in sheet.rows if "unused_cost" in row]
    assert costs == sorted(costs, reverse=True)
    assert_sums(sheet, ("unused_kwh", "unused_cost", "unused_hours"))


def test_the_waste_of_one_team_has_nothing_that_is_nobodys(scene):
    sheet = waste(inquiry(scene, "24h"), ("team", "user"), {"team": ("nlp",)})
    assert {row["reason"] for row in sheet.rows} == {"allocated"}
    assert {row["team"] for row in sheet.rows} == {"nlp"}


def test_teams_and_nobody_are_the_cards(scene):
    asked = inquiry(scene, "yesterday")
    teams = by_team(asked, "teams", ("team",), {}).totals[0]
    cards = by_gpu(inquiry(scene, "yesterday"), ("gpu",), {}).totals[0]
    nobody = found(waste(inquiry(scene, "yesterday"), (), {}), "reason")
    for column in ("kwh", "cost"):
        both = number(teams, column) + number(nobody["idle",], f"unused_{column}")
        assert both == pytest.approx(number(cards, column), rel=2 * EXACT)
