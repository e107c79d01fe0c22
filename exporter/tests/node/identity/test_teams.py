"""Which team a job belongs to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.config.teams import TeamRule
from gputally.node.identity.teams import Belonging, decide, team

NLP = TeamRule("nlp", ("nlp", "nlp-*"), ("nlp-*",), ("nlp-*.service", "team-nlp.slice"), ("ada", "grace"))
VISION = TeamRule("vision", ("v?",), ("vision",), ("team-vision.slice",), ("grace", "[k-m]*"))
RULES = (NLP, VISION)
EVERYTHING = Belonging("v1", "nlp-prod", ("x.service", "team-vision.slice"), "ada")


@pytest.mark.parametrize(
    ("whose", "name"),
    [
        (Belonging(account="nlp"), "nlp"),
        (Belonging(account="nlp-x"), "nlp"),
        (Belonging(account="NLP"), None),
        (Belonging(account="v1"), "vision"),
        (Belonging(account="v12"), None),
        (Belonging(namespace="nlp-prod"), "nlp"),
        (Belonging(namespace="vision"), "vision"),
        (Belonging(units=("a.service", "team-vision.slice", "team.slice")), "vision"),
        (Belonging(units=("nlp-a.service", "team-vision.slice")), "nlp"),  # the first of the file
        (Belonging(user="grace"), "nlp"),
        (Belonging(user="linus"), "vision"),
        (Belonging(user="zoe"), None),
        (Belonging(), None),
        (EVERYTHING, "vision"),  # the account
        (Belonging("unknown", "nlp-prod", ("team-vision.slice",), "linus"), "nlp"),  # the namespace
        (Belonging("unknown", "unknown", ("team-vision.slice",), "ada"), "vision"),  # the unit
    ],
)
def test_account_before_namespace_before_unit_before_user(whose, name):
    assert decide(RULES, whose)[0] == name


def test_without_rules_everybody_is_unassigned_and_may_claim_what_they_like():
    assert team((), EVERYTHING) == ("unassigned", False)
    assert team((), EVERYTHING, "moon") == ("moon", False)
    assert team((), EVERYTHING, "other") == ("unassigned", True)


def test_who_is_listed_in_two_teams_may_say_which():
    grace = Belonging(user="grace")
    assert team(RULES, grace) == ("nlp", False)
    assert team(RULES, grace, "vision") == ("vision", False)
    assert team(RULES, Belonging(user="ada"), "vision") == ("nlp", True)


@pytest.mark.parametrize(
    "level", [{"account": "nlp"}, {"namespace": "nlp-x"}, {"units": ("team-nlp.slice",)}]
)
def test_no_claim_overrides_what_an_account_a_namespace_or_a_unit_says(level):
    assert team(RULES, Belonging(user="grace", **level), "vision") == ("nlp", True)


texts = st.text(max_size=8)


@given(st.builds(Belonging, texts, texts, st.tuples(texts), texts), texts)
def test_a_declared_team_is_only_for_those_it_lists(whose, claimed):
    rules = (TeamRule("gold", users=("midas",)), TeamRule("rest", users=("a*", "midas")))
    found, _ = team(rules, whose, claimed)
    assert found != "gold" or whose.user == "midas"


@given(
    st.builds(Belonging, texts, texts, st.tuples(texts), texts),
    st.lists(st.builds(TeamRule, st.text(min_size=1), users=st.tuples(texts))),
    texts,
)
def test_any_rule_and_any_text_give_a_team(whose, rules, claimed):
    found, refused = team(rules, whose, claimed)
    assert found in {"unassigned", claimed, *(rule.name for rule in rules)}
    assert not (refused and found == claimed)
