"""Statements against the analytic truth, asked of a real Prometheus; and the arithmetic of them by itself."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from gputally.config.chargeback import Chargeback
from gputally.config.rentals import Rental
from gputally.model.account import Charge
from gputally.model.budget import Budget, Entry, period_at, period_named
from gputally.report.charging import HOUSE, Booked, Posting, Records, Terms, charge, contributions
from gputally.report.machines import Measured, divided, measure
from gputally.report.ranges import Range
from gputally.report.sheet import Amounts
from gputally.report.statement import Ledgers, Used, rounded_together, state
from tests.report.inquiring import inquiry
from tests.report.scraped import series
from tests.report.serving import Served, make_blocks
from tests.report.truth import CARDS, CURRENCY, HOUR, JOBS

EXACT = 0.0005
OWN = {"NVIDIA H100": Decimal("1.5"), "NVIDIA A100": Decimal("0.75")}
N1, N2 = ("", "n1:9836"), ("", "n2:9836")
TEAMS = sorted({job.team for job in JOBS})
NOW = date(2026, 11, 29)


def amounts(kwh: str, cost: str, hours: str) -> Amounts:
    found = Amounts()
    found.add("kwh", Decimal(kwh))
    found.add("gpu_hours", Decimal(hours))
    found.add("cost", Decimal(cost), "EUR")
    return found


def nobodys(kwh: str, cost: str) -> Amounts:
    found = Amounts()
    found.add("unused_kwh", Decimal(kwh))
    found.add("unused_cost", Decimal(cost), "EUR")
    return found


def shared() -> Measured:
    """Two machines: on one nlp held twice as long as vision, on the other nobody held anything."""
    return Measured(
        teams={
            (N1, "nlp", "ada"): amounts("10", "3", "20"),
            (N1, "vision", "bob"): amounts("7", "2.1", "10"),
        },
        nobodys={N1: nobodys("3", "0.9"), N2: nobodys("1", "0.3")},
        waiting={N1: {"H100": Decimal(18)}, N2: {"H100": Decimal(48)}},
        kinds={N1: {"H100": 2}, N2: {"H100": 2}},
    )


def terms(idle: str = "none", *, capital: bool = True, **more: object) -> Terms:
    policy = Chargeback(idle, capital, rented=more.pop("rented", ()))  # type: ignore[arg-type]
    return Terms("EUR", policy, {"H100": Decimal(2)}, **more)  # type: ignore[arg-type]


def total(postings: list[Posting], *kinds: str, team: str | None = None) -> Decimal:
    return sum(
        (one.amount for one in postings if (not kinds or one.kind in kinds) and team in (None, one.team)),
        Decimal(0),
    )


def charged(measured: Measured, what: Terms, **records: object) -> list[Posting]:
    return charge(measured, Records(86_400, **records), what)[0]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def yesterday(scene) -> tuple[int, int, Measured]:
    asked = inquiry(scene, "yesterday")
    return asked.range.from_s, asked.range.until_s, measure(asked)


def test_hours_of_every_team_on_every_kind_of_card_are_those_that_it_held(scene, yesterday):
    start, end, measured = yesterday
    for machine, uuids in ((N1, ("GPU-a", "GPU-b")), (N2, ("GPU-c",))):
        found = measured.hours(machine)
        for team in TEAMS:
            truth = 0.0
            for job in (job for job in JOBS if job.team == team):
                for uuid in set(uuids) & set(job.cards):
                    low = max(start, scene.world.before_end(job.from_h))
                    high = min(end, scene.world.before_end(job.until(uuid)))
                    truth += max(0, high - low) / HOUR
            name = CARDS[uuids[0]].name
            assert float(found.get(team, {}).get(name, 0)) == pytest.approx(truth, abs=24 * EXACT), team


@pytest.mark.parametrize("idle", ["none", "proportional", "equal"])
def test_postings_of_a_day_are_all_that_the_machines_have_cost(scene, yesterday, idle):
    start, end, measured = yesterday
    postings = charged(measured, Terms(CURRENCY, Chargeback(idle, capital=True), OWN))
    energy = sum(meter.between("cost", start, end) for meter in scene.world.cards.values())
    assert float(total(postings, "energy", "idle energy")) == pytest.approx(energy, rel=EXACT)
    capital = 24 * sum(float(OWN[card.name]) for card in CARDS.values())
    assert float(total(postings, "capital", "idle capital")) == pytest.approx(capital, rel=EXACT)
    for team in TEAMS:
        truth = scene.world.of(start, end, "cost", team=team)
        assert float(total(postings, "energy", team=team)) == pytest.approx(truth, rel=EXACT, abs=0.001)
    house = total(postings, team=HOUSE)
    assert (house > 0) == (idle == "none")


def test_what_nobody_held_stays_with_the_house_or_goes_to_who_had_something_of_the_machine():
    kinds = ("idle energy", "idle capital")
    none = charged(shared(), terms("none"))
    assert (total(none, *kinds, team="nlp"), total(none, *kinds, team=HOUSE)) == (0, Decimal("133.2"))
    by_use = charged(shared(), terms("proportional"))
    assert total(by_use, *kinds, team="nlp") == Decimal("24.6")  # 2/3 of 0.9 + 36
    assert total(by_use, *kinds, team="vision") == Decimal("12.3")
    assert total(by_use, *kinds, team=HOUSE) == Decimal("96.3")  # nobody was on the other machine
    alike = charged(shared(), terms("equal"))
    assert total(alike, *kinds, team="nlp") == total(alike, *kinds, team="vision") == Decimal("18.45")
    assert total(none) == total(by_use) == total(alike)


def test_a_share_counts_gpus_by_their_speed_where_all_data_sheets_are_known():
    mixed = shared()
    mixed.kinds[N1] = {"H100": 1, "L40S": 1}
    mixed.mixed[N1] = {"nlp": {"L40S": Decimal(1)}, "vision": {"H100": Decimal(1)}}
    speed = {"H100": Decimal(900), "L40S": Decimal(300)}
    assert contributions(mixed, [N1], speed) == {"nlp": Decimal(6000), "vision": Decimal(9000)}
    assert contributions(mixed, [N1], {"H100": Decimal(900)}) == {"nlp": Decimal(20), "vision": Decimal(10)}


def test_a_rented_machine_costs_its_rent_and_neither_capital_nor_energy():
    rental = Rental("box", "lambda", "h100", 2, Decimal("1.5"))
    postings = charged(shared(), terms("proportional", rentals=(rental,), rented=(("n1", "box"),)))
    assert {one.machine for one in postings if one.kind != "rental"} == {N2}
    assert total(postings, "rental") == 72
    assert [one.currency for one in postings if one.kind == "rental"] == ["USD", "USD"]
    assert total(postings, "rental", team="nlp") == 48  # by what each of them had of it
    own = charged(shared(), terms(rentals=(Rental("box", "lambda", "h100", 2, Decimal(1), team="vision"),)))
    assert (total(own, "rental", team="vision"), total(own, "capital", team="vision")) == (48, 20)


def test_a_bill_of_the_provider_stands_instead_of_what_was_declared_of_its_rental():
    rental = Rental("box", "Lambda", "h100", 2, Decimal("1.5"), team="nlp")
    bill = Charge(NOW, "lambda", "a", "h100", "nlp", "USD", Decimal("70.55"), Decimal(48))
    postings, notes = charge(shared(), Records(86_400, charges=[bill]), terms(rentals=(rental,)))
    assert (total(postings, "rental"), total(postings, "bill")) == (0, Decimal("70.55"))
    assert notes == ["Rental box is left out: there is a bill of Lambda for this time."]


@pytest.mark.fault("statement-rounding")
def test_parts_of_a_total_are_the_total_to_the_last_digit():
    chance = random.Random(3)  # noqa: S311 - for tests
    for _ in range(200):
        weights = {str(n): Decimal(chance.randint(0, 1000)) / 7 for n in range(chance.randint(1, 9))}
        whole = Decimal(chance.randint(-(10**12), 10**12)) / 10**9
        parts = divided(whole, weights)
        assert not parts or sum(parts.values()) == whole
    assert divided(Decimal(1), {}) == {}


@pytest.mark.fault("statement-rounding")
def test_lines_are_rounded_to_the_cent_and_still_are_the_rounded_sum():
    chance = random.Random(5)  # noqa: S311 - for tests
    for _ in range(500):
        exact = [Decimal(chance.randint(-(10**13), 10**13)) / 10**9 for _ in range(chance.randint(0, 40))]
        lines, balance = rounded_together(exact)
        assert sum(lines, Decimal(0)) == balance
        assert abs(balance - sum(exact, Decimal(0))) <= Decimal("0.005")
        assert all(abs(line - amount) < Decimal("0.01") for line, amount in zip(lines, exact, strict=True))
    third = Decimal(1) / 3
    assert rounded_together([third] * 3) == ([Decimal("0.34"), Decimal("0.33"), Decimal("0.33")], 1)
    assert rounded_together([Decimal("0.005")] * 2)[0] == [Decimal("0.01"), Decimal("0.00")]


def ledgers(postings: list[Posting], period: str = "2026-11", until: date = NOW, **rates: str) -> Ledgers:
    usd = {currency: Decimal(rate) for currency, rate in rates.items()}
    return Ledgers(period_named(period), until, postings, usd, "EUR")


def posting(kind: str, amount: str, currency: str = "EUR", team: str = "nlp") -> Posting:
    return Posting(kind, team, "x", Decimal(amount), currency, Decimal(1), "kWh")


BUDGET = Budget(
    "nlp",
    "month",
    Decimal(1000),
    "EUR",
    carry_over=True,
    carried={"2026-11": Decimal("-12.34")},
    deposits=(
        Entry(date(2026, 11, 10), Decimal(500), "grant"),
        Entry(date(2026, 11, 30), Decimal(7), "tomorrow"),
        Entry(date(2026, 10, 31), Decimal(9), "long ago"),
    ),
    corrections=(Entry(date(2026, 11, 12), Decimal("-20.005"), "our mistake"),),
)


@pytest.mark.fault("statement-rounding")
def test_the_sum_of_all_transactions_is_the_balance():
    postings = [posting("energy", "99.995"), posting("capital", "12.3456"), posting("bill", "-3")]
    found = state(ledgers(postings), "nlp", BUDGET)
    (account,) = found.accounts
    assert [(line.kind, str(line.amount)) for line in account.lines] == [
        ("budget", "1000.00"),
        ("carried over", "-12.34"),
        ("deposit", "500.00"),
        ("correction", "-20.00"),
        ("energy", "-100.00"),
        ("capital", "-12.35"),
        ("bill", "3.00"),
    ]
    assert account.balance == sum(line.amount for line in account.lines) == Decimal("1358.31")
    assert "To carry over: declare 1358.31 for the next period, under carried." in found.notes


@pytest.mark.fault("statement-currency")
def test_a_currency_without_a_declared_rate_is_an_account_of_its_own():
    postings = [posting("energy", "10"), posting("bill", "12", "USD"), posting("bill", "5", "SEK")]
    apart = state(ledgers(postings), "nlp", BUDGET)
    assert [(one.currency, one.balance) for one in apart.accounts][1:] == [("USD", -12), ("SEK", -5)]
    assert "No rate to EUR is declared for USD, SEK (market.rates): shown apart." in apart.notes
    together = state(ledgers(postings, EUR="1.2"), "nlp", BUDGET)
    assert [one.currency for one in together.accounts] == ["EUR", "SEK"]
    (line,) = (line for line in together.accounts[0].lines if line.kind == "bill")
    assert (line.amount, line.text) == (Decimal("-10.00"), "x (12.00 USD at 0.833333)")


def test_a_team_without_a_budget_is_told_what_it_has_cost():
    found = state(ledgers([posting("energy", "10", team="vision")]), "vision", None)
    (account,) = found.accounts
    assert account.balance == -10
    assert found.notes == ("No budget is declared for this team: the balance is what it has cost.",)


def test_what_the_budget_does_not_pay_is_said_and_not_counted():
    narrow = Budget("nlp", "month", Decimal(5), "EUR", include=("energy",))
    found = state(
        ledgers([posting("energy", "7"), posting("idle capital", "3"), posting("rental", "1")]), "nlp", narrow
    )
    assert found.accounts[0].balance == -2
    assert found.notes == (
        "Overspent by 2.00 EUR. Nobody is stopped by it.",
        "Not paid by this budget: capital, 4.00 EUR.",
    )


def test_a_month_is_no_balance_of_a_budget_by_the_quarter():
    quarter = Budget("nlp", "quarter", Decimal(5), "EUR")
    assert "by the quarter" in state(ledgers([]), "nlp", quarter).notes[0]
    whole = state(ledgers([], "2026-Q4"), "nlp", quarter)
    assert (whole.accounts[0].balance, whole.notes) == (5, ())


@pytest.mark.fault("statement-clocks")
@pytest.mark.parametrize(
    ("name", "first", "end", "hours"),
    [
        ("2026-10", date(2026, 10, 1), date(2026, 11, 1), 31 * 24 + 1),
        ("2026-03", date(2026, 3, 1), date(2026, 4, 1), 31 * 24 - 1),
        ("2026-Q4", date(2026, 10, 1), date(2027, 1, 1), 92 * 24 + 1),
        ("2026-W43", date(2026, 10, 19), date(2026, 10, 26), 7 * 24 + 1),
        ("2026-W53", date(2026, 12, 28), date(2027, 1, 4), 7 * 24),
        ("2026", date(2026, 1, 1), date(2027, 1, 1), 365 * 24),
    ],
)
def test_periods_are_whole_days_of_23_24_and_25_hours(name, first, end, hours):
    period = period_named(name)
    assert (period.first, period.end, period.name) == (first, end, name)
    start_ns, end_ns = period.instants_ns(ZoneInfo("Europe/Berlin"))
    assert (end_ns - start_ns) // 3_600_000_000_000 == hours
    assert (
        period_at(period.kind, first)
        == period_at(period.kind, date.fromordinal(end.toordinal() - 1))
        == period
    )


@pytest.mark.parametrize("name", ["2026-13", "2026-Q5", "2026-W54", "26-01", "november", "", "0000"])
def test_what_is_no_period_is_refused(name):
    with pytest.raises(ValueError, match=r".+"):
        period_named(name)


def test_bookings_are_charged_with_their_hours():
    booked = [Booked("cvpr", "nlp", Decimal(48), Decimal("57.6"), "EUR")]
    (one,) = (one for one in charged(Measured(), terms(), booked=booked) if one.kind == "reservation")
    assert (one.team, one.text, one.quantity, one.amount) == ("nlp", "cvpr", 48, Decimal("57.6"))


def mixed_machine(end: int) -> list[str]:
    """One machine, an H100 and an L40S: nlp held the fast one for ten hours, vision the other for five."""
    times = [end - 10 * HOUR + 3.2 + 15 * n for n in range(10 * 240)]
    found: list[str] = []
    for gpu, uuid, name in (("0", "GPU-h", "H100"), ("1", "GPU-l", "L40S")):
        labels = {"instance": "m:9836", "gpu": gpu, "uuid": uuid}
        found += series("gpu_info", labels | {"name": name}, times[::4], [1.0] * len(times))
        free = [max(0.0, at - times[0] - 5 * HOUR) if gpu == "1" else 0.0 for at in times]
        found += series("gpu_unattributed_gpu_seconds_total", labels, times, free)
    for job, team, uuid, hours in (("1", "nlp", "GPU-h", 10), ("2", "vision", "GPU-l", 5)):
        shown = [at for at in times if at <= times[0] + hours * HOUR + 300]
        held = [min(at - times[0], hours * HOUR) for at in times]
        labels = {"instance": "m:9836", "job_id": job}
        found += series("gpu_job_info", labels | {"team": team}, shown[::4], [1.0] * len(shown))
        found += series("gpu_job_gpu_seconds_total", labels, shown, held)
        found += series("gpu_job_energy_joules_total", labels | {"uuid": uuid}, shown, held)
        names = {"instance": "m:9836", "team": team, "user": team, "model": ""}
        found += series("gpu_team_gpu_seconds_total", names, times, held)
        found += series("gpu_team_cost_total", names | {"currency": "EUR"}, times, held)
        found += series("gpu_team_energy_joules_total", names, times, held)
    return [*found, "# EOF"]


def test_hours_on_a_machine_of_two_kinds_go_to_the_kind_that_each_job_was_on(blocks, tmp_path):
    world, _ = blocks
    served = Served(make_blocks(mixed_machine(world.end), tmp_path))
    try:
        asked = inquiry(type("Scene", (), {"world": world, "served": served}), "10h")
        asked.range = Range(asked.range.from_s, asked.range.until_s, asked.range.zone)
        hours = measure(asked).hours(("", "m:9836"))
    finally:
        served.stop()
    assert set(hours["nlp"]) == {"H100"}
    assert set(hours["vision"]) == {"L40S"}
    assert float(hours["nlp"]["H100"]) == pytest.approx(10, abs=0.02)
    assert float(hours["vision"]["L40S"]) == pytest.approx(5, abs=0.02)


def test_owners_see_what_others_had_of_their_machines():
    used = {(N1, "nlp"): Used(Decimal(20), Decimal(10)), (N2, "nlp"): Used(Decimal(1), Decimal(1))}
    postings = charged(shared(), terms("proportional"))
    mine = replace(ledgers(postings), owned={"vision": [N1]}, used=used)
    (other,) = state(mine, "vision", None).others
    assert (other.host, other.team, other.gpu_hours, other.kwh) == ("n1:9836", "nlp", 20, 10)
    assert other.costs == {"EUR": Decimal(43)}  # energy and capital, not its part of what nobody held
    assert state(mine, "nlp", None).others == []
