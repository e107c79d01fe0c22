"""What is shown of bookings: from the very instant at which it holds, and no more than there is room for."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.config.settings import SiteSettings
from gputally.config.teams import TeamRule
from gputally.model.reservation import Book
from gputally.site.reservations.calendar import MOST_SHOWN, NEVER_NS, Calendar
from tests.reservations.booking import HOUR_NS, T0, T0_NS, book, reservation
from tests.site.declaring import StoppedClock, publisher

TEAMS = (TeamRule("vision", users=("carol", "v-*")), TeamRule("nlp", users=("dora",)))
DAY_NS = 24 * HOUR_NS


def shown(calendar, at_ns, family):
    return dict(calendar.at(at_ns)[0].families.get(f"gpu_reservation_{family}", {}))


def test_what_holds_at_an_instant():
    one = Calendar(book(), TEAMS)
    at_ns = T0_NS + 5 * HOUR_NS
    assert shown(one, at_ns, "active") == {
        ("cvpr-rush", "gpu01", "0", "vision"): 1,
        ("cvpr-rush", "gpu01", "1", "vision"): 1,
        ("sweep", "gpu01", "any", "nlp"): 2,
    }
    assert shown(one, at_ns, "allowed") == {
        **dict.fromkeys((("cvpr-rush", "gpu01", user) for user in ("alice", "bob", "carol")), 1),
        ("sweep", "gpu01", "dora"): 1,
    }
    assert shown(one, at_ns, "state") == {
        ("cvpr-rush", "gpu01", "vision", "active"): 1,
        ("sweep", "gpu01", "nlp", "active"): 1,
        ("by-uuid", "gpu02", "nlp", "pending"): 1,
    }
    assert shown(one, at_ns, "cost_per_hour") == {
        ("cvpr-rush", "vision", "EUR"): 2.4,
        ("sweep", "nlp", "EUR"): 1.0,
    }
    assert shown(one, at_ns, "cost") == {
        ("cvpr-rush", "vision", "EUR"): 136.8,
        ("sweep", "nlp", "EUR"): 24.0,
        ("by-uuid", "nlp", "EUR"): 1.2,
    }
    assert shown(one, at_ns, "gpus")["sweep", "gpu01", "nlp"] == 2
    assert (
        shown(one, at_ns, "end_timestamp_seconds")["by-uuid", "gpu02", "nlp"] == (T0_NS + 8 * HOUR_NS) / 1e9
    )
    assert shown(one, at_ns, "conflicts") == {(): 0}


def test_start_end_and_cancellation_hold_from_their_nanosecond_on():
    one = Calendar(book())
    for hours, family, labels in (
        (0, "active", ("cvpr-rush", "gpu01", "0", "vision")),
        (7, "active", ("by-uuid", "gpu02", "GPU-b", "nlp")),
        (8, "state", ("by-uuid", "gpu02", "nlp", "cancelled")),
        (57, "state", ("cvpr-rush", "gpu01", "vision", "completed")),
    ):
        at_ns = T0_NS + hours * HOUR_NS
        assert labels not in shown(one, at_ns - 1, family)
        assert one.at(at_ns - 1)[1] == at_ns
        assert labels in shown(one, at_ns, family)
    assert ("by-uuid", "gpu02", "GPU-b", "nlp") not in shown(one, T0_NS + 8 * HOUR_NS, "active")


def test_figures_are_the_same_object_until_something_changes_and_after_a_step_back():
    one = Calendar(book())
    first, until_ns = one.at(T0_NS)
    assert one.at(until_ns - 1)[0] is first
    assert one.at(until_ns)[0] is not first
    again, _ = one.at(T0_NS)
    assert again.families == first.families
    assert one.at(T0_NS + 365 * DAY_NS)[1] == NEVER_NS


def test_what_is_over_is_shown_for_seven_days():
    one = Calendar(Book((reservation("a", 0, 1), reservation("b", 30, 40, cancelled_ns=T0_NS))))
    names = lambda at_ns: {labels[0] for labels in shown(one, at_ns, "state")}  # noqa: E731 - three uses
    assert names(T0_NS + 7 * DAY_NS - 1) == {"a", "b"}
    assert names(T0_NS + 7 * DAY_NS) == {"a"}  # cancelled at T0
    assert names(T0_NS + 7 * DAY_NS + HOUR_NS) == set()


def test_of_too_many_those_that_hold_and_those_that_come_next_are_shown_and_all_that_hold_are_active():
    many = [reservation(f"now{n}", 0, 2, host=f"h{n}") for n in range(MOST_SHOWN - 50)]
    many += [reservation(f"next{n}", 10 + n, 11 + n) for n in range(100)]
    many += [reservation(f"past{n}", -9 - n, -8 - n) for n in range(100)]
    one = Calendar(Book(tuple(many)))
    names = {labels[0] for labels in shown(one, T0_NS, "state")}
    assert len(names) == MOST_SHOWN
    assert names == {f"now{n}" for n in range(MOST_SHOWN - 50)} | {f"next{n}" for n in range(50)}
    assert shown(one, T0_NS, "dropped") == {(): 150}
    crowd = Calendar(Book(tuple(reservation(f"r{n}", 0, 2, host=f"h{n}") for n in range(MOST_SHOWN + 7))))
    assert len(shown(crowd, T0_NS, "active")) == MOST_SHOWN + 7
    assert (len(shown(crowd, T0_NS, "state")), shown(crowd, T0_NS, "dropped")) == (MOST_SHOWN, {(): 7})


@given(
    st.lists(st.tuples(st.integers(-40, 40), st.integers(1, 20), st.integers(-60, 60)), max_size=6), st.data()
)
def test_until_the_next_change_nothing_changes(rows, data):
    found = tuple(
        reservation(
            f"r{n}",
            start,
            start + hours,
            host=f"h{n}",
            cancelled_ns=T0_NS + cancelled * HOUR_NS if cancelled < start + hours else None,
        )
        for n, (start, hours, cancelled) in enumerate(rows)
    )
    one = Calendar(Book(found))
    at_ns = T0_NS + data.draw(st.integers(-100, 400)) * HOUR_NS
    figures, until_ns = one.at(at_ns)
    inside_ns = data.draw(st.integers(at_ns, min(until_ns, at_ns + 400 * HOUR_NS) - 1))
    assert Calendar(Book(found)).at(inside_ns)[0].families == figures.families
    assert Calendar(Book(found)).at(inside_ns)[1] == until_ns


@pytest.mark.fault("bookings-clocks")
def test_a_publication_is_due_again_at_the_very_instant():
    clock = StoppedClock()
    one = publisher(SiteSettings(), clock)
    one.calendar = Calendar(book())
    clock.set(T0, early_ns=250_000_000)
    assert one.publish() == 0.25
    assert one.latest.reservations.families.get("gpu_reservation_active", {}) == {}
    clock.set(T0)
    assert one.publish() == 1.0
    assert len(one.latest.reservations.families["gpu_reservation_active"]) == 2
    before = one.latest.reservations
    clock.set(T0 + timedelta(seconds=1))
    one.publish()
    assert one.latest.reservations is before
    one.calendar = None
    one.publish()
    assert one.latest.reservations is None
