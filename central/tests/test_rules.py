"""Every rule gives the same answer in VictoriaMetrics as in Prometheus, but for what a window's edge does.

Prometheus reckons from the first to the last sample within a window and extends that to its edges;
VictoriaMetrics takes the last sample before the window as well, and extends nothing.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from central.tests.pair import Answer, Pair
from central.tests.samples import END_S, START_S, openmetrics
from prometheus.tests.conftest import ALERTS, RULES, Rule

EXACT = 1e-9
SHORT = 0.06  # rate() and increase() over less than an hour, with one scrape in fifty lost
HOUR = 0.02  # over an hour and more
INSTANTS_S = (5, 400, 901, 1803, 3333)  # before the end of the samples
GONE = '"uuid": "GPU-a-1"'  # a card that left ten minutes before the end
GONE_S = END_S - 600


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pair = Pair(tmp_path_factory.mktemp("pair"))
    try:
        pair.fill(openmetrics())
        yield pair
    finally:
        pair.stop()


def tolerance(rule: Rule) -> float:
    """By what the rule's windows do."""
    if "[315s:15s]" in rule.expr:  # steps of a sub-query lie elsewhere; these prices change at every scrape
        return SHORT
    if not re.search(r"\b(rate|increase)\(", rule.expr):
        return EXACT
    hours = re.findall(r"\[(?:3615s|\d+[hd])", rule.expr)
    return HOUR if hours else SHORT


def without_the_gone(answer: Answer) -> Answer:
    return {labels: value for labels, value in answer.items() if GONE not in labels}


def pairs(pair: Pair, rule: Rule) -> Iterator[tuple[Answer, Answer]]:
    """Both answers at every instant; what is told of a card that has left is a test of its own."""
    for back_s in INSTANTS_S:
        theirs, ours = pair.ask(rule.expr, END_S - back_s)
        if tolerance(rule) == SHORT and END_S - back_s > GONE_S:
            theirs, ours = without_the_gone(theirs), without_the_gone(ours)
        yield theirs, ours


@pytest.mark.parametrize("rule", RULES + ALERTS, ids=lambda rule: rule.name)
def test_both_give_the_same_answer(pair: Pair, rule: Rule) -> None:
    for theirs, ours in pairs(pair, rule):
        assert ours.keys() == theirs.keys()
        assert ours == pytest.approx(theirs, rel=tolerance(rule))


def test_the_samples_make_the_rules_speak(pair: Pair) -> None:
    """Of rules that never answer nothing would be known."""
    assert pair.recorded == {rule.name for rule in RULES}
    # What compares with hours or days ago would need samples of then.
    able = [rule for rule in ALERTS if not re.search(r"offset (6h|\d+d)", rule.expr)]
    speaking = [rule.name for rule in able if any(theirs for theirs, _ in pairs(pair, rule))]
    assert len(speaking) >= len(able) / 2


def test_a_card_that_left_has_its_last_rate_in_one_and_a_sinking_one_in_the_other(pair: Pair) -> None:
    """For as long as the window reaches back to it: 43 W stay 43 W, or fall within five minutes."""
    seen = []
    for after_s in (30, 120, 240):
        answers = pair.ask('rate(gpu_energy_joules_total{uuid="GPU-a-1"}[5m])', GONE_S + after_s)
        seen.append(tuple(value for answer in answers for value in answer.values()))
    theirs, ours = zip(*seen, strict=True)
    assert max(ours) == pytest.approx(min(ours))
    assert all(later < earlier * 0.8 for earlier, later in pairwise(theirs))


def test_a_counter_that_begins_at_zero_is_counted_whole_by_both(pair: Pair) -> None:
    """A card that came half an hour after the samples begin; counters of ours begin at zero."""
    born_s = START_S + 1800
    for answer in pair.ask('increase(gpu_energy_joules_total{uuid="GPU-b-1"}[1h])', born_s + 1500):
        (value,) = answer.values()
        (last,) = pair.ask('gpu_energy_joules_total{uuid="GPU-b-1"}', born_s + 1500)[0].values()
        assert value == pytest.approx(last, rel=HOUR)
