"""Money in a saved book: what an earlier version wrote is gone on from, garbage is refused as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from gputally.node.attribution.bookjson import MOST_UNITS
from gputally.node.attribution.parties import Split
from gputally.tariff import Priced
from tests.node.attribution.bills import DAY, NIGHT
from tests.node.attribution.bookrig import INDEX, Rig, closed, opened, round_trip, series, share, sighting
from tests.node.attribution.garbage import NONSENSE, changed, meters_on, paths, without

BILL_OF_A_JOB, BILL_OF_A_TEAM = 6, 6  # places in their rows


def priced_book() -> Rig:
    """Two jobs of two teams and what is nobody's, charged in two bands."""
    rig = Rig()
    rig.book.reprice("EUR", ("day", "night"))
    for job_id, team in (("1", "nlp"), ("2", "vision")):
        rig.book.saw(sighting(job_id, team=team), rig.now)
    shares = (share("1", 100, 20), share("2", 50, 7), share(None, 3))
    rig.book.take(
        "GPU-a", Split(shares, "equal"), rig.now, [Priced(80, DAY), Priced(100, NIGHT)], busy_known=True
    )
    rig.book.absent(rig.now, rig.end_of)
    return rig


def restored(data: object) -> tuple[Rig, list[str]]:
    rig = Rig()
    lines = rig.restore(data, clean=True, same_boot=True)
    rig.book.reprice("EUR", ("day", "night"))
    rig.ledger = rig.book.ledger(INDEX)
    return rig, lines


def earlier(data: Any) -> Any:
    """The same book as it was saved before there was money."""
    old = opened(data)
    old["schema"] = 1
    old["jobs"] = [row[:BILL_OF_A_JOB] for row in old["jobs"]]
    old["teams"] = [row[:BILL_OF_A_TEAM] for row in old["teams"]]
    del old["nobodys_cost"]
    return closed(old)


def test_a_restart_takes_nothing_from_a_bill() -> None:
    rig = priced_book()
    before = rig.book.ledger({"GPU-a": "0"})
    again, lines = restored(round_trip(rig.book))
    assert "not usable" not in lines[0]
    after = again.book.ledger({"GPU-a": "0"})
    assert [row.spent for row in after.jobs] == [row.spent for row in before.jobs]
    assert [row.spent for row in after.teams] == [row.spent for row in before.teams]
    assert after.unattributed.cost == before.unattributed.cost
    assert any(after.unattributed.cost.values())


def test_a_book_from_before_there_was_money_goes_on_and_is_charged_from_now_on() -> None:
    rig = priced_book()
    again, lines = restored(earlier(round_trip(rig.book)))
    assert "not usable" not in lines[0]
    assert again.joules("1") == sum(rig.book.ledger({}).jobs[0].energy_joules.values())
    for row in again.ledger.teams:
        assert dict(row.spent.cost) == {"EUR": 0.0}
        assert row.spent.energy_by_tariff_joules == {"day": 0.0, "night": 0.0}
    assert {key[3]: value for key, value in again.ledger.unattributed.cost.items()} == {"EUR": 0.0}
    again.book.take("GPU-a", Split((share("1", 10),), "sole"), again.now, [Priced(10, DAY)], busy_known=True)
    spent = next(row.spent for row in again.book.ledger({}).jobs if row.job.job_id == "1")
    assert spent.cost["EUR"] > 0


def test_what_it_writes_is_of_the_present_schema() -> None:
    again, _ = restored(earlier(round_trip(priced_book().book)))
    data = round_trip(again.book)
    assert data["schema"] == 2
    assert all(len(row) == BILL_OF_A_JOB + 1 for row in opened(data)["jobs"])


def money_paths(data: Any) -> list[tuple[Any, ...]]:
    """Every place of money in a book whose rows are lists."""
    return [
        path
        for path in paths(data)
        if path[0] == "nobodys_cost" or (path[0] in ("jobs", "teams") and len(path) > 3 and path[2] == 6)
    ]


def test_every_place_of_money_with_every_kind_of_nonsense() -> None:
    whole = opened(round_trip(priced_book().book))
    places, refused, taken = money_paths(whole), 0, []
    assert len(places) > 40
    for path in places:
        for nonsense in NONSENSE:
            rig, lines = restored(closed(changed(whole, path, nonsense)))
            meters_on(rig)
            if "not usable" in lines[0]:
                refused += 1
                assert not rig.teams() or all(row.energy_joules < 0.01 for row in rig.ledger.teams)
            else:
                taken.append((path, nonsense))
    # Labels may be any text, mappings and lists may be empty, and a number may be any that is possible.
    possible = ("", "x", {}, 1 << 62)
    odd = [one for one in taken if one[1] not in possible and one != (("nobodys_cost",), [])]
    assert not odd
    assert refused > len(places) * len(NONSENSE) / 2


def test_a_place_of_money_that_is_missing_is_refused() -> None:
    whole = opened(round_trip(priced_book().book))
    for path in money_paths(whole):
        if isinstance(path[-1], int) and path[:1] != ("nobodys_cost",):
            rig, lines = restored(closed(without(whole, path)))
            assert "not usable" in lines[0], path
            meters_on(rig)


@pytest.mark.parametrize("units", [MOST_UNITS, MOST_UNITS * 10, 10**400])
def test_money_that_nobody_has_is_refused(units: int) -> None:
    whole = opened(round_trip(priced_book().book))
    for path in (("jobs", 0, 6, 0, "EUR"), ("teams", 0, 6, 2), ("nobodys_cost", 0, 3)):
        _, lines = restored(closed(changed(whole, path, units)))
        assert "not usable" in lines[0], path


def test_the_most_that_is_accepted_can_be_published() -> None:
    """Below the bound every sum becomes a float, and metering goes on."""
    whole = opened(round_trip(priced_book().book))
    rig, lines = restored(closed(changed(whole, ("jobs", 0, 6, 0, "EUR"), MOST_UNITS - 1)))
    assert "not usable" not in lines[0]
    assert rig.job("1").spent.cost["EUR"] > 10**9
    meters_on(rig)
    assert min(series(rig.ledger).values()) >= 0


@pytest.mark.parametrize("bill", [[], [[]], [[{}, {}, 0, 0]], [[{}, {}, 0, 0, {}, 0]], [[{}], [{}]], ["x"]])
def test_a_bill_of_another_length_is_refused(bill: list[Any]) -> None:
    whole = opened(round_trip(priced_book().book))
    row = whole["jobs"][0][:BILL_OF_A_JOB] + bill
    _, lines = restored(closed({**whole, "jobs": [row, *whole["jobs"][1:]]}))
    assert ("not usable" in lines[0]) is bool(bill)
