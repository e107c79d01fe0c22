"""Money in the state file: what was saved before there was any is read, garbage costs that file alone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gputally.node import counters, gpustate
from gputally.node.money import Day, Money
from gputally.node.statejson import from_json, to_json
from gputally.tariff import Schedule
from tests.node.attribution.garbage import NONSENSE, changed, paths, without
from tests.node.card import Rig
from tests.node.statefolder import PRICE, UUID, file, framed, paid, reopened, save, ticked

if TYPE_CHECKING:
    from gputally.node.gpustate import GpuState
    from gputally.node.state import StateFile

__all__ = ["file"]
MONEY = Money(
    {"EUR": 5, "USD": 1 << 80}, {"EUR": 7}, {"day": 11, "night": 13}, 17, {"2025-10-26": Day(24, {"EUR": 5})}
)


def stored(state: GpuState) -> Any:
    return json.loads(json.dumps(to_json(state)))


def test_it_comes_back_as_it_was() -> None:
    state = paid()
    assert from_json(stored(state)).money == state.money


def test_whole_units_of_any_size_come_back() -> None:
    """A hundred years of a thousand watts are more than a float or 64 bits can count."""
    state = replace(paid(), money=MONEY)
    assert from_json(stored(state)).money == MONEY


def test_a_state_from_before_there_was_money_begins_with_none() -> None:
    data = stored(paid())
    del data["money"]
    state = from_json(data)
    assert state.money == Money()
    rig = Rig(state)
    rig.ctx = counters.Context("boot-a", 10**9, 700.0, schedule=PRICE.schedule)
    shown = counters.publish(rig.state, rig.now, PRICE.schedule)
    assert shown.energy_joules is not None
    assert shown.money is not None
    assert shown.money.cost == {"EUR": 0.0}
    assert shown.money.by_tariff_joules == {"day": 0.0, "night": 0.0}


def test_a_gpu_that_nobody_has_paid_for_takes_no_room() -> None:
    assert "money" not in stored(gpustate.fresh())


def test_every_place_of_money_with_every_kind_of_nonsense() -> None:
    whole = {"money": stored(paid())["money"]}
    rest = stored(paid())
    places, refused, taken = list(paths(whole)), 0, []
    assert len(places) > 15
    for path in places:
        for nonsense in NONSENSE:
            data = {**rest, **changed(whole, path, nonsense)}
            try:
                state = from_json(data)
            except ValueError:
                refused += 1
            else:
                taken.append((path, nonsense))
                counters.publish(state, Rig().now, Schedule(PRICE.schedule.tariff))
    possible = [{}, 1 << 62]
    assert not [one for one in taken if one[1] not in possible]
    assert refused > len(places) * len(NONSENSE) / 2


def test_a_place_of_money_that_is_missing_is_refused() -> None:
    rest = stored(paid())
    whole = {"money": rest["money"]}
    for path in paths(whole):
        if isinstance(path[-1], int):
            with pytest.raises(ValueError, match=r"."):
                from_json({**rest, **without(whole, path)})


@pytest.mark.parametrize("day", ["", "2025-13-01", "2025-02-30", "today", "2025-10-26T00"])
def test_what_is_no_day_is_refused(day: str) -> None:
    data = stored(paid())
    data["money"][4] = {day: [1, {}]}
    with pytest.raises(ValueError, match=r"."):
        from_json(data)


def test_a_file_with_garbage_in_its_money_is_put_aside_and_the_one_before_is_gone_on_from(
    file: StateFile,
) -> None:
    older = ticked(ticks=5)
    save(file, older)
    newer = ticked(Rig(older.state, older.now, older.ctx))
    save(file, newer)
    newest = file.folder / "counters.json"
    document = json.loads(newest.read_bytes()[9:])
    document["gpus"][UUID]["money"][3] = -1
    newest.write_bytes(framed(document))
    again = reopened(file)
    loaded = again.load(boot_id="boot-a")
    assert (loaded.reason, loaded.recovered, loaded.newest) == ("invalid", True, False)
    money = loaded.states[UUID].money
    assert not any((*money.cost.values(), *money.by_tariff_mj.values())), (
        "an older one may be less: from zero"
    )
    assert money.days == older.state.money.days
    save(again, newer)
    assert (file.folder / "counters.json.invalid").exists()
