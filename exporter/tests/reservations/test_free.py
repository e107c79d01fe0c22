"""Free slots: what is found can be booked, nothing earlier could, and it is free for as long as is said."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gputally.config.overlaps import conflicts
from gputally.model.reservation import Book, Policy
from gputally.site.reservations.free import slots
from tests.reservations.booking import HOUR_NS, T0_NS, reservation
from tests.reservations.fitting import GPUS, INVENTORY, bookings, fits


def taken(book, slot, start_ns, end_ns):
    """The book with a booking of these GPUs, or of so many, in it."""
    named = reservation(
        "new", host=slot.host, gpus=slot.gpus, count=len(slot.gpus), start_ns=start_ns, end_ns=end_ns
    )
    return Book((*book.reservations, named), inventory=book.inventory)


def bookable(book, host, gpus, start_ns, end_ns):
    """By trying all names."""
    indexes = [str(index) for index in range(GPUS)]
    free = [
        gpu
        for gpu in indexes
        if not conflicts(
            Book(
                (
                    *book.reservations,
                    reservation("one", host=host, gpus=(gpu,), start_ns=start_ns, end_ns=end_ns),
                ),
                inventory=book.inventory,
            )
        )
    ]
    some = tuple(free[:gpus])
    wanted = reservation("new", host=host, gpus=some, count=gpus, start_ns=start_ns, end_ns=end_ns)
    return len(some) == gpus and not conflicts(Book((*book.reservations, wanted), inventory=book.inventory))


@settings(max_examples=400, deadline=None)
@given(bookings().filter(fits), st.integers(1, GPUS), st.integers(1, 4), st.integers(0, 8))
def test_a_slot_can_be_booked_and_nothing_earlier_could(reservations, gpus, hours, now):
    book = Book(reservations, inventory=INVENTORY)
    now_ns, for_ns = T0_NS + now * HOUR_NS, hours * HOUR_NS
    found = slots(book, gpus, for_ns, now_ns)
    assert [one.start_ns for one in found] == sorted(one.start_ns for one in found)
    for one in found:
        assert (one.end_ns - one.start_ns, len(one.gpus)) == (for_ns, gpus)
        assert not conflicts(taken(book, one, one.start_ns, one.end_ns))
        until_ns = one.until_ns if one.until_ns is not None else T0_NS + 99 * HOUR_NS
        assert until_ns >= one.end_ns
        assert bookable(book, one.host, gpus, one.start_ns, until_ns)
        if one.until_ns is not None:
            assert not bookable(book, one.host, gpus, one.start_ns, until_ns + 1)
    for host in INVENTORY:
        first_ns = next(one.start_ns for one in found if one.host == host)  # one day all are free
        tried = range(now_ns, first_ns, HOUR_NS // 2)
        assert not any(bookable(book, host, gpus, at_ns, at_ns + for_ns) for at_ns in tried)


def test_slots_end_at_the_horizon_and_hosts_may_be_chosen():
    busy = reservation("a", 0, 10, gpus=(), count=3)
    book = Book((busy,), inventory=INVENTORY)
    assert [one.host for one in slots(book, 1, HOUR_NS, T0_NS)] == ["gpu02", "gpu01"]
    assert [one.host for one in slots(book, 1, HOUR_NS, T0_NS, ["gpu01"])] == ["gpu01"]
    near = replace(book, policy=Policy(horizon_ns=9 * HOUR_NS))
    assert [one.host for one in slots(near, 1, HOUR_NS, T0_NS)] == ["gpu02"]
    assert slots(Book((busy,)), 1, HOUR_NS, T0_NS) == []
