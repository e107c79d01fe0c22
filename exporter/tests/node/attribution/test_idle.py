"""The baseline of a GPU: learnt while nobody is there, and from nothing else."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.node.attribution.idle import Baseline, idle_w, observe

SECOND = 1_000_000_000


class Card:
    """A GPU that draws what it is told, tick by tick."""

    def __init__(self) -> None:
        self.state = Baseline()

    def quiet(self, seconds: float, watts: float, *, tick: float = 1.0, mig: bool = False) -> "Card":
        for _ in range(round(seconds / tick)):
            self.take(round(watts * tick * 1000), tick, mig=mig)
        return self

    def take(
        self, energy_mj: int, seconds: float = 1.0, *, occupied: bool = False, mig: bool = False
    ) -> "Card":
        covers_ns = round(seconds * SECOND)
        self.state = observe(self.state, energy_mj=energy_mj, covers_ns=covers_ns, occupied=occupied, mig=mig)
        return self

    def disturbed(self, *, mig: bool = False) -> "Card":
        return self.take(300_000, occupied=True, mig=mig)

    def watts(self, *, mig: bool = False) -> float:
        return idle_w(self.state, mig=mig, configured=None)


@pytest.mark.parametrize("tick", [0.25, 1.0, 10.0])
def test_it_is_known_after_a_quiet_minute_and_what_it_takes_to_settle(tick):
    card = Card()
    assert card.quiet(70 - tick, 71.5, tick=tick).watts() == 0
    assert card.quiet(tick, 71.5, tick=tick).watts() == 71.5


def test_what_it_draws_while_it_settles_does_not_count():
    card = Card().quiet(10, 200.0).quiet(60, 70.0)
    assert card.watts() == 70


def test_it_is_a_mean_and_not_the_lowest_reading():
    card = Card().quiet(10, 50.0)
    for _ in range(30):
        card.take(60_000).take(80_000)
    assert card.watts() == 70


def test_energy_that_comes_late_is_seen_over_the_time_in_which_it_was_used():
    card = Card().quiet(10, 70.0)
    for _ in range(12):
        for _ in range(4):
            card.take(0, 0.0)
        card.take(350_000, 5.0)
    assert card.watts() == 70


@pytest.mark.parametrize("at", [5, 11, 40, 69])
def test_a_process_a_gap_or_an_allocation_begins_it_anew(at):
    card = Card().quiet(at, 70.0).disturbed().quiet(69, 70.0)
    assert card.watts() == 0
    assert card.quiet(1, 70.0).watts() == 70


def test_a_gpu_that_is_never_left_alone_has_none():
    card = Card()
    for _ in range(20):
        card.quiet(50, 70.0).disturbed()
    assert card.watts() == 0


def test_a_change_of_mode_begins_it_anew_and_modes_are_kept_apart():
    card = Card().quiet(69, 70.0).quiet(69, 90.0, mig=True)
    assert (card.watts(), card.watts(mig=True)) == (0, 0)
    card.quiet(2, 90.0, mig=True)
    assert (card.watts(), card.watts(mig=True)) == (0, 90)
    card.quiet(71, 70.0)
    assert (card.watts(), card.watts(mig=True)) == (70, 90)
    assert card.disturbed(mig=True).watts() == 70


def test_a_board_that_was_always_in_mig_mode_is_learnt_as_well():
    assert Card().disturbed(mig=True).quiet(70, 90.0, mig=True).watts(mig=True) == 90
    assert Card().quiet(71, 90.0, mig=True).watts(mig=True) == 90  # the first tick tells of the mode


def test_it_takes_two_windows_to_lower_it():
    """What is learnt too low would stay: one window from a stuck counter must not count."""
    card = Card().quiet(70 + 60, 70.0)
    assert card.quiet(60, 20.0).watts() == 70
    assert card.quiet(60, 70.0).watts() == 70
    assert card.disturbed().quiet(70, 40.0).watts() == 40


def test_a_first_window_that_was_too_low_is_put_right_by_the_second():
    card = Card().quiet(70, 20.0)
    assert card.watts() == 20
    assert card.quiet(60, 70.0).watts() == 70
    assert card.quiet(6000, 90.0).watts() == 70


@pytest.mark.parametrize("watts", [0.0, 0.999, 2001.0])
def test_what_no_card_draws_was_not_measured(watts):
    assert Card().quiet(600, watts).watts() == 0
    assert Card().quiet(130, 70.0).quiet(600, watts).watts() == 70


def test_the_lowest_that_a_card_draws_counts():
    assert Card().quiet(130, 1.0).watts() == 1


def test_what_is_configured_goes_before_what_was_learnt():
    state = Card().quiet(130, 70.0).state
    assert idle_w(state, mig=False, configured=55.5) == 55.5
    assert idle_w(state, mig=False, configured=0.0) == 0
    assert idle_w(Baseline(), mig=True, configured=55.5) == 55.5


def test_a_busy_gpu_costs_no_new_state():
    state = Card().disturbed(mig=True).state
    assert observe(state, energy_mj=1, covers_ns=SECOND, occupied=True, mig=True) is state


@given(
    st.lists(st.tuples(st.integers(1, 400), st.integers(1, 200), st.booleans(), st.booleans()), max_size=60)
)
def test_from_the_second_window_on_it_never_rises(phases):
    card, seen = Card(), []
    for seconds, watts, mig, disturbed in phases:
        if disturbed:
            card.disturbed(mig=mig)
        else:
            card.quiet(seconds, float(watts), tick=20.0, mig=mig)
        if len(card.state.off_mw) == 2:
            seen.append(card.watts())
    assert all(later <= earlier for earlier, later in pairwise(seen))


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 200), st.booleans()), max_size=20))
def test_it_outlives_a_restart_but_an_open_window_does_not(phases):
    card = Card()
    for seconds, watts, mig in phases:
        card.quiet(seconds, float(watts), tick=10.0, mig=mig)
    again = Baseline.from_json(json.loads(json.dumps(card.state.to_json())))
    for mig in (False, True):
        assert idle_w(again, mig=mig, configured=None) == card.watts(mig=mig)
    assert again == Baseline(card.state.off_mw, card.state.on_mw)


def test_what_is_kept_is_small():
    assert Baseline().to_json() == {}
    assert Card().quiet(190, 70.0).state.to_json() == {"off": [70_000, 70_000]}


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "off",
        {"off": 70_000},
        {"off": [1, 2]},
        {"off": [70_000.0]},
        {"off": [True]},
        {"off": ["70000"]},
        {"off": [70_000, 60_000]},
        {"off": [60_000, 70_000, 80_000]},
        {"on": [2_000_001]},
        {"on": [-70_000]},
        {"on": None},
        {"off": [70_000], "mig": [70_000]},
        {1: [70_000]},
    ],
)
def test_what_it_cannot_have_written_is_refused(data):
    with pytest.raises(ValueError, match=r"not a baseline|lowest windows"):
        Baseline.from_json(data)
