"""The questions against the shipped rules and the catalogue: what is asked exists and means the same."""

from __future__ import annotations

import re

import promql_parser
import pytest
import yaml

from gputally.catalogue import BY_NAME
from gputally.report import questions
from gputally.report.questions import Measure
from tests.report.conftest import RULES

RECORDED = {
    rule["record"]: rule["expr"]
    for path in RULES.glob("*.yml")
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
}
HOURLY = [
    *questions.TEAM.values(),
    *questions.GPU.values(),
    *questions.NOBODY.values(),
    questions.NOT_HELD,
    questions.TEAM_BANDS,
]
DAILY = list(questions.DAY.values())
MEASURES = [*HOURLY, *questions.JOB.values(), questions.GPU_BANDS, *DAILY]


def name(measure: Measure) -> str:
    return measure.rule or measure.counter


def normal(expression: str) -> str:
    """One way of writing it: no blanks, labels in order."""
    text = re.sub(r"\s+", "", expression)
    return re.sub(r"by\(([^)]*)\)", lambda found: f"by({','.join(sorted(found[1].split(',')))})", text)


@pytest.mark.parametrize("measure", MEASURES, ids=name)
def test_every_rule_and_every_counter_that_is_asked_for_exists(measure):
    assert measure.counter in BY_NAME
    assert not measure.rule or measure.rule in RECORDED
    assert measure.money == ("currency" in BY_NAME[measure.counter].labels)


@pytest.mark.parametrize("measure", HOURLY, ids=name)
def test_a_tile_and_an_increase_are_the_same_amount_in_the_same_unit(measure):
    labels = re.search(r"sum by \(([^)]*)\)", RECORDED[measure.rule])[1].split(", ")
    tile = questions.increase(measure, [one for one in labels if one != "currency"], "3615s")
    factor = measure.per.replace(" ", "")
    rule = normal(RECORDED[measure.rule])
    assert rule == normal(tile).removesuffix(factor) + "*3600/3615" + factor


@pytest.mark.parametrize("measure", questions.JOB.values(), ids=name)
def test_what_runs_is_read_as_the_rule_reads_it(measure):
    assert normal(questions.live(measure)) == normal(RECORDED[measure.rule])


EXPRESSIONS = [
    ask(measure)
    for measure in MEASURES
    for ask in (
        lambda one: questions.tiles(one, ("team",), "7d", 'team="a"') if one.rule else "up",
        lambda one: questions.increase(one, (), "604800s", 'team="a"'),
        lambda one: questions.finals(one, "1d") if one.rule else "up",
        questions.live,
        lambda one: questions.by_machine(one, ("a", "b|c"), "1h"),
        lambda one: questions.of_day(one, "2026-10-25", "25h", 'cluster="x"') if one.rule else "up",
        lambda one: questions.hours_with_tiles(one, "30d") if one.rule else "up",
        lambda one: questions.hours_with_counters(one, "30d"),
    )
] + [
    questions.seen("gpu_job_info", ("job_id",), "6d"),
    questions.seen_now_and_then("gpu_info", ("uuid",), "6d", "5m"),
    questions.first("gpu_job_start_time_seconds", ("job_id",), "5m"),
    questions.hours_up(("uuid",), "86399s", 300, 'cluster="x"'),
]


@pytest.mark.parametrize("expression", sorted(set(EXPRESSIONS)))
def test_every_question_is_promql(expression):
    promql_parser.parse(expression)


def test_sums_keep_currencies_apart_and_nothing_else():
    assert questions.tiles(questions.TEAM["cost"], ("team",), "$__range", "x=1") == (
        "sum by (team, currency) (sum_over_time(team_user_model:gpu_cost:increase1h{x=1}[$__range]))"
    )
    assert questions.increase(questions.TEAM["kwh"], ("team", "user"), "6h") == (
        "sum by (team, user) (increase(gpu_team_energy_joules_total[6h])) / 3.6e6"
    )


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((), ""),
        (("nlp",), 'team="nlp"'),
        (('a"b\\c\nd',), 'team="a\\"b\\\\c\\nd"'),
        (("a.b", "c|d", "é"), r'team=~"a\\.b|c\\|d|é"'),
        (("a b", "x-y"), 'team=~"a b|x-y"'),
    ],
)
def test_names_are_taken_literally(values, text):
    assert questions.matching({"team": values, "user": ()}) == text
    if text:
        promql_parser.parse(f"up{{{text}}}")


def test_several_filters_hold_together():
    assert questions.matching({"user": ("b",), "team": ("a",)}) == 'team="a", user="b"'


def test_what_is_looked_at_now_and_then_is_looked_at_in_the_end_too():
    assert questions.seen_now_and_then("gpu_info", ("uuid", "name"), "7d", "5m") == (
        "max by (uuid, name) (max_over_time(gpu_info[7d:5m]) or gpu_info)"
    )
    assert questions.hours_with_counters(questions.GPU["kwh"], "30d") == (
        "count_over_time(group(gpu_energy_joules_total)[30d:1h]) or group(gpu_energy_joules_total)"
    )
