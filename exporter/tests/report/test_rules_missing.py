"""Without rules, without data, in the first hour: what a report says then."""

from __future__ import annotations

import shutil
from dataclasses import replace
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from gputally.report.asking import Inquiry
from gputally.report.failures import ReportError, WrongQuestion
from gputally.report.jobs import jobs
from gputally.report.site import find_range
from gputally.report.today import today
from gputally.report.usage import by_gpu, by_team
from gputally.report.waste import waste
from tests.report.conftest import RULES, serve
from tests.report.inquiring import Scripted, assert_sums, found, inquiry, number, sample
from tests.report.truth import HOUR

FIX = "load prometheus/rules/ and fill the past as docs/rules.md says, or give --from as a date"


@pytest.mark.fault("rules-missing")
@pytest.mark.parametrize(
    ("ask", "rule"),
    [
        (lambda asked: by_team(asked, "teams", ("team",), {}), "team_user_model:gpu_energy_kwh:increase1h"),
        (lambda asked: by_gpu(asked, ("gpu",), {}), "uuid:gpu_energy_kwh:increase1h"),
        (lambda asked: waste(asked, ("team",), {}), "team_user_model:gpu_unused_kwh:increase1h"),
        (lambda asked: jobs(asked, (), {}), "job_id:gpu_job_energy_kwh:max"),
    ],
)
def test_a_rule_that_nobody_records_is_named(bare, ask, rule):
    with pytest.raises(ReportError) as caught:
        ask(inquiry(bare))
    assert str(caught.value) == f"rule {rule} is not recorded: {FIX}"


def test_a_date_needs_no_rule(bare):
    for ask in (
        lambda asked: by_team(asked, "teams", ("team",), {}),
        lambda asked: by_gpu(asked, ("gpu",), {}),
        lambda asked: waste(asked, ("team",), {}),
    ):
        assert ask(inquiry(bare, "yesterday")).rows


def test_today_needs_no_rule_either(bare):
    sheet = today(inquiry(bare, "yesterday", "today"), ("gpu",))
    world = bare.world
    midnight = world.midnight(world.days[-1])
    asked = [row for row in sheet.rows if "kwh_today" in row]
    assert len(asked) > 1
    for row in asked:
        truth = world.cards[str(row["uuid"])].between("energy", midnight, world.end) / 3.6e6
        assert number(row, "kwh_today") == pytest.approx(truth, abs=15 * 700 / 3.6e6)


@pytest.mark.fault("rules-missing")
def test_in_their_first_hour_rules_have_no_tile_and_the_counters_answer(blocks, tmp_path):
    world, data = blocks
    shutil.copytree(data, tmp_path / "data")
    for young in serve(world, tmp_path / "data", RULES / "*.yml"):
        sheet = by_team(inquiry(young), "teams", ("team",), {})
        truth = world.of(world.end - 24 * HOUR, world.end, "energy") / 3.6e6
        assert number(sheet.totals[0], "kwh") == pytest.approx(truth, rel=2e-3)
        assert sheet.notes == (
            "The hourly rules have not come to their first hour yet: these are the counters' figures.",
        )
        known = found(jobs(inquiry(young), (), {}), "job_id")
        assert "kwh" in known["4713",]  # it runs
        assert "kwh" not in known["4711",]  # it ended before the rules were there
        assert any("jobs have used is not known" in note for note in jobs(inquiry(young), (), {}).notes)


@pytest.mark.fault("rules-missing")
@pytest.mark.parametrize("hours", [20, 28, 29])
def test_hours_without_tiles_are_said(scene, hours):
    early = inquiry(scene, "30h", at=scene.world.end)
    halved = early.server.query

    def without_the_first(expression: str, at_s: int):
        return halved(expression.replace("increase1h[108000s]", f"increase1h[{hours}h]"), at_s)

    early.server.query = without_the_first
    sheet = by_gpu(early, ("gpu",), {})
    # Once, although three rules lack them.
    said = [note for note in sheet.notes if " hours of this range" in note]
    begin = (
        f"uuid:gpu_energy_kwh:increase1h has {hours} of 30 hours of this range, so amounts are too small: "
    )
    assert said == ([begin + FIX + "."] if hours < 29 else [])  # one may not be over yet


@pytest.mark.parametrize(
    "ask", [lambda asked: by_gpu(asked, ("gpu",), {}), lambda asked: jobs(asked, (), {})]
)
def test_a_time_without_any_data_is_an_error(scene, ask):
    with pytest.raises(
        ReportError, match=r"^no data from 2020-01-01 00:00\S+ to 2020-02-01 00:00\S+: no agent"
    ):
        ask(inquiry(scene, "2020-01"))


def test_nobody_of_that_name_is_an_empty_report(scene):
    assert by_team(inquiry(scene), "teams", ("team",), {"team": ("nobody",)}).rows == []
    sheet = jobs(inquiry(scene), (), {"user": ("nobody",)})
    assert (sheet.rows, sheet.totals) == ([], ())
    assert sheet.notes == ("No such job ran in this time.",)


def test_filters_hold_for_every_report_and_together(scene):
    sheet = by_team(inquiry(scene), "teams", ("team", "model"), {"team": ("nlp", "tools"), "user": ("ada",)})
    assert {(row["team"], row["model"]) for row in sheet.rows} == {("nlp", "llama"), ("nlp", "bert")}
    assert sheet.totals[0]["jobs"] == 4
    assert {row["job_id"] for row in jobs(inquiry(scene), (), {"model": ("vit",)}).rows} == {"4713"}
    assert by_gpu(inquiry(scene), ("gpu",), {"cluster": ("elsewhere",)}).rows == []


def test_little_memory_for_a_question_means_more_questions_and_the_same_answer(blocks, tmp_path):
    world, data = blocks
    shutil.copytree(data, tmp_path / "data")
    for small in serve(world, tmp_path / "data", None, "--query.max-samples=6500"):
        with pytest.raises(AssertionError, match="too many samples"):
            small.served.query("increase(gpu_energy_joules_total[49h])", world.end)
        asked = inquiry(small, "2d", str(world.days[-1]))
        sheet = by_gpu(replace(asked, range=replace(asked.range, from_s=world.start + 60)), ("gpu",), {})
        truth = sum(m.between("energy", world.start + 60, world.end) for m in world.cards.values()) / 3.6e6
        assert number(sheet.totals[0], "kwh") == pytest.approx(truth, rel=5e-4)
        assert_sums(sheet, ("kwh", "cost"))


def zones(**families: list[str]) -> Scripted:
    def answer(expression: str, _at: int):
        for family, names in families.items():
            if f"{family}[5m]" in expression:
                return [sample(1, {"timezone": name}) for name in names]
        return []

    return Scripted(answer)


def test_the_days_are_those_of_the_site_agent_then_those_of_the_nodes():
    server = zones(site_info=["Asia/Tokyo"], gputally_tariff_info=["UTC", "Europe/Rome"])
    whole, note = find_range(server, ("today", ""), None, 1_800_000_000)
    assert (str(whole.zone), note) == ("Asia/Tokyo", None)
    whole, _ = find_range(zones(gputally_tariff_info=["Europe/Rome"]), ("today", ""), None, 1_800_000_000)
    assert str(whole.zone) == "Europe/Rome"
    whole, _ = find_range(server, ("today", ""), "America/Lima", 1_800_000_000)
    assert str(whole.zone) == "America/Lima"


def test_several_time_zones_are_an_error_where_it_matters_and_a_note_where_not():
    server = zones(gputally_tariff_info=["UTC", "Europe/Rome"])
    with pytest.raises(
        ReportError, match=r"agents name several time zones \(Europe/Rome, UTC\): say whose days"
    ):
        find_range(server, ("2026-03", ""), None, 1_800_000_000)
    whole, note = find_range(server, ("24h", ""), None, 1_800_000_000)
    assert whole.zone == ZoneInfo("UTC")
    assert note == "Times are UTC: agents name several time zones (Europe/Rome, UTC)."


def test_without_any_time_zone_it_is_utc_and_said():
    _, note = find_range(zones(), ("24h", ""), None, 1_800_000_000)
    assert note == "Times are UTC: no agent names the site's time zone; --timezone does."


def test_a_time_zone_that_nobody_knows_is_refused():
    with pytest.raises(WrongQuestion, match="--timezone 'Mars/Base': unknown"):
        find_range(zones(), ("24h", ""), "Mars/Base", 1_800_000_000)
    with pytest.raises(
        ReportError, match="the site's time zone 'Mars/Base' is not known here; give --timezone"
    ):
        find_range(zones(site_info=["Mars/Base"]), ("24h", ""), None, 1_800_000_000)


def money(source: list[str], *currencies: str) -> Inquiry:
    """A team that has spent in some currencies, at prices from some sources."""

    def answer(expression: str, _at: int):
        if "gputally_tariff_info" in expression:
            return [sample(1, {"source": one}) for one in source]
        if "team_cost_total" in expression:
            return [sample(5, {"team": "nlp", "currency": one}) for one in currencies]
        return [sample(3, {"team": "nlp"})] if "team_energy_joules" in expression else []

    whole, _ = find_range(zones(site_info=["UTC"]), ("6h", ""), None, 1_800_000_000)
    return Inquiry(Scripted(answer), whole, 1_800_000_000)


def test_who_wastes_nothing_is_not_in_the_report_of_waste():
    figures = {"gpu_seconds": {"nlp": 7200, "vision": 7200}, "busy_seconds": {"nlp": 7200, "vision": 3600}}

    def answer(expression: str, _at: int):
        teams = next((of for name, of in figures.items() if f"gpu_team_{name}_total" in expression), {})
        return [sample(value, {"team": team}) for team, value in teams.items()]

    whole, _ = find_range(zones(site_info=["UTC"]), ("6h", ""), None, 1_800_000_000)
    sheet = waste(Inquiry(Scripted(answer), whole, 1_800_000_000), ("team",), {})
    assert [(row["team"], row["reason"], row["unused_hours"]) for row in sheet.rows] == [
        ("vision", "allocated", 3600)
    ]


def test_the_default_price_is_said():
    sheet = by_team(money(["default"], "USD"), "teams", ("team",), {})
    assert sheet.notes == (
        "Cost is at the default price, 0.12 USD per kWh, not at yours: no tariff is configured.",
    )
    sheet = by_team(money(["configured", "default"], "USD"), "teams", ("team",), {})
    assert "no tariff is configured, for part of the time or on some machines." in sheet.notes[0]
    assert by_team(money(["configured"], "USD"), "teams", ("team",), {}).notes == ()


def test_two_currencies_are_never_added():
    sheet = by_team(money(["configured"], "USD", "EUR"), "teams", ("team",), {})
    assert [(row["currency"], row["cost"]) for row in sheet.rows] == [("EUR", 5), ("USD", 5)]
    assert [(row["currency"], row["cost"]) for row in sheet.totals] == [("EUR", 5), ("USD", 5)]
    assert [row.get("kwh") for row in sheet.rows] == [Decimal(3), None]
    assert_sums(sheet, ("kwh", "cost"))


def test_two_minutes_after_the_beginning_there_are_names_and_clear_lines_already(bare):
    at = bare.world.start + 130
    moment = inquiry(bare).range.moment
    sheet = by_gpu(inquiry(bare, moment(bare.world.start).isoformat(), at=at), ("gpu",), {})
    assert {row["name"] for row in sheet.rows} == {"NVIDIA H100", "NVIDIA A100"}
    assert all(number(row, "kwh") > 0 for row in sheet.rows)
    with pytest.raises(ReportError, match="rule uuid:gpu_energy_kwh:increase1h is not recorded"):
        by_gpu(inquiry(bare, "24h", at=at), ("gpu",), {})
