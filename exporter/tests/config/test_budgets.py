"""Budgets and chargeback as they are read, and what is refused, in the one line that says where and why."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from gputally.config import strict
from gputally.config.budgets import read_budgets
from gputally.config.chargeback import Chargeback, Owner, is_host, read_chargeback
from gputally.config.strict import ConfigError
from gputally.model.budget import Budget, Entry, credit, period_at, rate_between

_NEEDED = "team: nlp, amount: 10, currency: EUR"
OWNED = "owned_gpus: []\n"


def budget(text: str) -> Budget:
    root = strict.parse(f"budgets: [{{{text}}}]".encode(), "g.yml")
    (found,) = read_budgets(root)
    root.finish()
    return found


def chargeback(text: str) -> Chargeback:
    root = strict.parse(f"{OWNED}chargeback: {{{text}}}".encode(), "g.yml")
    return read_chargeback(root, {"box"})


def test_all_that_a_budget_can_say():
    found = budget(
        "team: Ada & friends, period: quarter, amount: 4000.10, currency: USD, carry_over: true, "
        "carried: {2026-Q4: -3.5}, include: [bills, energy], thresholds: [1.0, 0.25], "
        "deposits: [{date: 2026-11-10, amount: 500, note: grant}], "
        "corrections: [{date: 2026-11-12, amount: -20}]"
    )
    assert found == Budget(
        "Ada & friends",
        "quarter",
        Decimal("4000.10"),
        "USD",
        True,
        ("energy", "bills"),
        (Decimal("0.25"), Decimal(1)),
        (Entry(date(2026, 11, 10), Decimal(500), "grant"),),
        (Entry(date(2026, 11, 12), Decimal(-20)),),
        {"2026-Q4": Decimal("-3.5")},
    )


def test_what_a_budget_is_where_nothing_else_is_said():
    found = budget(_NEEDED)
    assert (found.period, found.include) == ("month", ("energy", "capital", "reservations", "bills"))
    assert found.thresholds == (Decimal("0.5"), Decimal("0.8"), Decimal(1))
    assert budget(f"{_NEEDED}, thresholds: []").thresholds == ()


BAD = {
    "team: nlp, amount: 10": "budgets[0]: expected at least team, amount and currency",
    f"{_NEEDED}, period: day": 'period: expected one of week, month, quarter, year, found "day"',
    "team: nlp, amount: -1, currency: EUR": (
        'amount: expected a decimal number from 0 to 100000000000, found "-1"'
    ),
    "team: nlp, amount: 1, currency: euro": (
        'currency: expected a currency by its three capital letters, such as EUR, found "euro"'
    ),
    f"{_NEEDED}, include: []": "include: expected some of energy, capital, reservations, bills, each once",
    f"{_NEEDED}, include: [energy, energy]": "each once",
    f"{_NEEDED}, include: [rent]": 'expected one of energy, capital, reservations, bills, found "rent"',
    f"{_NEEDED}, thresholds: [0.5, 0.50]": "thresholds: expected at most 8, each once",
    f"{_NEEDED}, thresholds: [80]": 'expected a decimal number from 0.01 to 10, found "80"',
    f"{_NEEDED}, carried: {{2026-11: 1}}": (
        "carried: beside carry_over: false, which says that nothing is carried over"
    ),
    f"{_NEEDED}, carry_over: true, carried: {{2026-Q4: 1}}": "a quarter, and this budget is by the month",
    f"{_NEEDED}, carry_over: true, carried: {{2026-13: 1}}": "month must be in 1..12",
    f"{_NEEDED}, deposits: [{{date: 2026-11-31, amount: 1}}]": "expected a date such as 2026-12-25",
    f"{_NEEDED}, deposits: [{{date: 2026-11-30, amount: -1}}]": "expected a decimal number from 0 to",
    f"{_NEEDED}, deposits: [{{date: 2026-11-30}}]": "expected date and amount",
    f"{_NEEDED}, deposit: []": "budgets[0].deposit: unknown key, did you mean deposits?",
}


@pytest.mark.fault("config-accounts")
@pytest.mark.parametrize("text", BAD)
def test_what_is_no_budget_is_refused(text):
    with pytest.raises(ConfigError) as caught:
        budget(text)
    assert BAD[text] in str(caught.value)
    assert str(caught.value).startswith("g.yml:1:")


def test_a_team_has_one_budget():
    root = strict.parse(f"budgets: [{{{_NEEDED}}}, {{{_NEEDED}}}]".encode(), "g.yml")
    with pytest.raises(ConfigError, match="team nlp has a budget already"):
        read_budgets(root)


def test_all_that_chargeback_can_say():
    found = chargeback(
        "idle: equal, capital: true, owners: [{team: nlp, host: n1}], "
        "rented: [{rental: box, hosts: [n2, n3]}]"
    )
    assert found == Chargeback("equal", True, (Owner("nlp", "n1"),), (("n2", "box"), ("n3", "box")))
    assert chargeback("") == Chargeback()


@pytest.mark.fault("config-accounts")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("idle: all", 'expected one of none, proportional, equal, found "all"'),
        ("owners: [{team: nlp}]", "expected team and host"),
        ("owners: [{team: nlp, host: n1}, {team: nlp, host: n1}]", "an owner is there twice"),
        ("rented: [{rental: cube, hosts: [n1]}]", "'cube' is none of the rentals"),
        ("rented: [{rental: box, hosts: []}]", "expected rental and hosts"),
        ("rented: [{rental: box, hosts: [n1, n1]}]", "n1 is there twice"),
        ("idel: none", "did you mean idle?"),
    ],
)
def test_what_is_no_chargeback_is_refused(text, why):
    with pytest.raises(ConfigError) as caught:
        chargeback(text)
    assert why in str(caught.value)


def test_capital_of_nothing_is_refused():
    root = strict.parse(b"chargeback: {capital: true}", "g.yml")
    with pytest.raises(ConfigError, match="of which GPUs"):
        read_chargeback(root, ())


def test_hosts_are_machines_with_and_without_their_port():
    assert is_host("gpu01:9836", "gpu01")
    assert is_host("gpu01:9836", "gpu01:9836")
    assert not is_host("gpu011:9836", "gpu01")


def test_credit_is_what_has_come_by_a_day():
    found = budget(
        f"{_NEEDED}, carry_over: true, carried: {{2026-11: 2, 2026-12: 3}}, "
        "deposits: [{date: 2026-11-01, amount: 5}, {date: 2026-11-30, amount: 7}, "
        "{date: 2026-12-01, amount: 9}], "
        "corrections: [{date: 2026-11-15, amount: -1}]"
    )
    november, december = (period_at("month", date(2026, month, 5)) for month in (11, 12))

    def sums(period, until):
        return tuple(int(amount) for amount in credit(found, period, until).values())

    assert sums(november, date(2026, 11, 1)) == (10, 2, 5, 0)
    assert sums(november, date(2026, 11, 15)) == (10, 2, 5, -1)
    assert sums(november, date(2027, 5, 1)) == (10, 2, 12, -1)
    assert sums(december, date(2026, 12, 31)) == (10, 3, 9, 0)


def test_only_declared_rates_exchange():
    rates = {"EUR": Decimal("1.2"), "SEK": Decimal("0.1")}
    assert rate_between("SEK", "SEK", {}) == 1
    assert rate_between("EUR", "USD", rates) == Decimal("1.2")
    assert rate_between("EUR", "SEK", rates) == 12
    assert rate_between("NOK", "USD", rates) is None
    assert rate_between("USD", "EUR", {}) is None
