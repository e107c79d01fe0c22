"""Whatever is booked: what overlaps is refused, and nothing else. Against a table of hours and GPUs."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputally.config.overlaps import conflicts, over_limit
from gputally.model.reservation import Book, Policy
from tests.reservations.booking import HOUR_NS, T0_NS, reservation
from tests.reservations.fitting import INVENTORY, bookings, fits


@pytest.mark.fault("bookings-clash")
@settings(max_examples=1500, deadline=None)
@given(bookings())
def test_no_overlap_is_accepted_and_nothing_else_is_refused(reservations):
    found = conflicts(Book(reservations, inventory=INVENTORY))
    assert (not found) == fits(reservations)
    for one in found:
        assert one.first.host == one.second.host
        assert one.first.id != one.second.id
        assert one.first.start_ns <= one.second.start_ns
        assert max(one.first.start_ns, one.second.start_ns) <= one.from_ns < one.until_ns
        assert one.until_ns <= min(one.first.until_ns, one.second.until_ns)


@settings(max_examples=500, deadline=None)
@given(bookings(named_only=True))
def test_named_gpus_need_no_inventory(reservations):
    assert (not conflicts(Book(reservations))) == fits(reservations)


@settings(max_examples=500, deadline=None)
@given(bookings(), st.integers(1, 8), st.data())
def test_a_team_holds_no_more_than_it_may_over_all_hosts(reservations, most, data):
    teams = [replace(one, team=data.draw(st.sampled_from(["vision", "nlp"]))) for one in reservations]
    found = over_limit(Book(tuple(teams), Policy(max_gpus_per_team=most)))
    highest = Counter()
    for half in range(20):
        at_ns = T0_NS + half * HOUR_NS // 2
        held = Counter()
        for one in teams:
            if one.start_ns <= at_ns < one.until_ns:
                held[one.team] += one.count
        highest |= held
    assert (found is None) == all(number <= most for number in highest.values())
    if found is not None:
        one, held_then, at_ns = found
        assert one.start_ns == at_ns
        assert most < held_then <= highest[one.team]


def test_a_touch_of_a_nanosecond_is_an_overlap():
    first, second = reservation("a", 0, 1), reservation("b", 1, 2)
    assert conflicts(Book((first, second))) == ()
    late = replace(first, end_ns=first.end_ns + 1)
    (found,) = conflicts(Book((late, second)))
    assert found.until_ns - found.from_ns == 1
