"""The money of a book: families that begin with zero, caps, and sums that are exact over any history."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.node.attribution.book import Book, Caps
from gputally.node.attribution.parties import Share, Split
from gputally.tariff import MONEY_UNITS, Priced, Rate
from tests.node.attribution.bills import DAY, RATES, all_zero, share
from tests.node.attribution.bookrig import NOW, Rig, round_trip, sighting

if TYPE_CHECKING:
    from gputally.model import Ledger


class TestFamilies:
    """What a new team, job or GPU is published with, before it has been charged anything."""

    def test_a_new_team_is_announced_with_zero_in_everything(self) -> None:
        """increase() does not see what a series begins with."""
        rig = Rig(announce_seconds=60)
        rig.book.reprice("EUR", ("day", "night"))
        one = sighting("1")
        self.charge(rig, one)
        (team,) = rig.book.ledger({}).teams
        assert all_zero(team.spent)
        assert team.spent.energy_by_tariff_joules.keys() == {"day", "night"}
        assert team.spent.cost.keys() == team.spent.unused_cost.keys() == {"EUR"}
        for _ in range(61):
            rig.tick(one)
        self.charge(rig, one)
        (team,) = rig.book.ledger({}).teams
        assert team.spent.cost["EUR"] == 2 * 100 * DAY.cost_units / MONEY_UNITS
        assert team.spent.unused_joules > 0
        assert team.spent.emissions_grams > 0

    def test_a_change_of_prices_begins_their_series_with_zero(self) -> None:
        """Of all teams and of what is nobody's; what was there goes on."""
        rig = Rig()
        rig.book.reprice("EUR", ("day", "night"))
        self.charge(rig, sighting("1"))
        rig.book.show("GPU-b")
        rig.book.reprice("USD", ("low",))
        ledger = rig.book.ledger({})
        (team,) = ledger.teams
        assert team.spent.cost == {"EUR": pytest.approx(100 * DAY.cost_units / MONEY_UNITS), "USD": 0}
        assert team.spent.energy_by_tariff_joules == {"day": 0.1, "night": 0, "low": 0}
        assert {key[3] for key in ledger.unattributed.cost if key[1] == "GPU-b"} == {"EUR", "USD"}
        assert {key[2] for key in ledger.unattributed.cost} == {
            key[2] for key in ledger.unattributed.energy_joules
        }

    def test_a_book_that_prices_nothing_shows_no_money(self) -> None:
        rig = Rig()
        rig.book.show("GPU-a")
        rig.tick(sighting("1"), shares={"GPU-a": [share("1", 5, 5), share(None, 3)]})
        (team,) = rig.ledger.teams
        assert (dict(team.spent.cost), rig.ledger.unattributed.cost) == ({}, {})

    def charge(self, rig: Rig, one: object) -> None:
        rig.book.saw(one, rig.now)  # type: ignore[arg-type]
        parts = [Priced(100, DAY)]
        split = Split((share("1", 90, 10, busy=0.0),), "sole")
        rig.book.take("GPU-a", split, rig.now, parts, busy_known=True)
        rig.book.absent(rig.now, rig.end_of)


class TestCaps:
    """Jobs that find no room are one account, money included."""

    def test_folded_jobs_bring_their_money_into_other(self) -> None:
        rig = Rig(Caps(jobs=1))
        rig.book.reprice("EUR", ("day",))
        for job_id in ("1", "2", "3"):
            rig.book.saw(sighting(job_id), NOW)
        shares = tuple(share(job_id, 100 + at, 10, busy=0.5) for at, job_id in enumerate(("1", "2", "3")))
        total = sum(one.active_mj + one.idle_mj for one in shares)
        rig.book.take("GPU-a", Split(shares, "equal"), NOW, [Priced(total, DAY)], busy_known=True)
        rows = {row.job.job_id: row.spent for row in rig.book.ledger({}).jobs}
        assert rows.keys() == {"1", "other"}
        assert rows["1"].cost["EUR"] == 110 * DAY.cost_units / MONEY_UNITS
        assert rows["other"].cost["EUR"] == 223 * DAY.cost_units / MONEY_UNITS
        assert rows["other"].unused_joules == 0.010
        assert rows["other"].energy_by_tariff_joules == {"day": 0.223}
        teams = rig.book.ledger({}).teams
        assert sum(row.spent.cost["EUR"] for row in teams) == total * DAY.cost_units / MONEY_UNITS
        again = Rig(Caps(jobs=1))
        again.restore(round_trip(rig.book), clean=True, same_boot=True)
        assert {row.job.job_id: row.spent for row in again.ledger.jobs} == rows


def units_of(book: Book) -> Counter[str]:
    """Everything that a book has charged, in whole units by currency."""
    has, total = book._has, Counter[str]()
    bills = [one.bill for one in (*has.accounts.values(), *([has.other] if has.other else []))]
    for bill in bills:
        total.update(bill.cost)
    for (_, _, currency), units in has.nobodys.cost.items():
        total[currency] += units
    return +total


SHARES = st.lists(
    st.builds(
        share,
        st.sampled_from((None, "1", "2", "3", "4")),
        st.integers(0, 10**6),
        st.integers(0, 10**6),
        st.floats(0, 1),
    ),
    min_size=1,
    max_size=6,
)


@given(st.lists(st.tuples(SHARES, st.lists(st.sampled_from(RATES), min_size=1, max_size=4), st.booleans())))
def test_bills_and_what_is_nobodys_are_the_gpus_cost_exactly(
    ticks: list[tuple[list[Share], list[Rate], bool]],
) -> None:
    """Over any shares, any pieces, any restarts; and teams are the jobs."""
    rig, paid, by_tariff = Rig(Caps(jobs=2)), Counter[str](), Counter[str]()
    rig.book.reprice("EUR", ("day", "night"))
    for shares, rates, restarts in ticks:
        for job_id in ("1", "2", "3"):
            rig.book.saw(sighting(job_id), rig.now)
        total = sum(one.active_mj + one.idle_mj for one in shares)
        sizes = [total // len(rates)] * (len(rates) - 1)
        pieces = [Priced(mj, rate) for mj, rate in zip([*sizes, total - sum(sizes)], rates, strict=True)]
        rig.book.take("GPU-a", Split(tuple(shares), "equal"), rig.now, pieces, busy_known=True)
        for piece in pieces:
            paid[piece.rate.currency] += piece.energy_mj * piece.rate.cost_units
        for one in shares:
            by_tariff["known"] += (one.active_mj + one.idle_mj) * (one.job_id in ("1", "2", "3"))
        rig.book.absent(rig.now, rig.end_of)
        if restarts:
            rig.restart()
        assert units_of(rig.book) == +paid
        assert_teams_are_the_jobs(rig.book, rig.book.ledger({}))
        assert (
            sum(sum(tally.bill.by_tariff_mj.values()) for tally in rig.book._has.teams) == by_tariff["known"]
        )


def assert_teams_are_the_jobs(book: Book, ledger: Ledger) -> None:
    has = book._has
    bills = [one.bill for one in (*has.accounts.values(), *([has.other] if has.other else []))]
    teams = [tally.bill for tally in has.teams]
    for name in ("cost", "by_tariff_mj", "unused_cost"):
        of_jobs, of_teams = Counter[str](), Counter[str]()
        for bill in bills:
            of_jobs.update(getattr(bill, name))
        for bill in teams:
            of_teams.update(getattr(bill, name))
        assert +of_jobs == +of_teams, name
    assert sum(bill.emissions for bill in bills) == sum(bill.emissions for bill in teams)
    assert sum(bill.unused_mj for bill in bills) == sum(bill.unused_mj for bill in teams)
    assert all(row.spent.unused_joules <= row.energy_joules for row in ledger.teams)
