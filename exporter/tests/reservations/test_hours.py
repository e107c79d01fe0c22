"""What bookings come to: nothing is lost where a range is cut, and money is rounded once."""

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gputally.site.reservations.hours import charged
from tests.reservations.booking import HOUR_NS, NS, T0_NS, book, reservation

SECONDS = st.integers(0, 10_000)
EUR = {"price_per_gpu_hour": Decimal("1.20"), "currency": "EUR"}


def test_the_whole_of_a_booking_is_its_hours_times_its_gpus_times_its_price():
    rush, sweep, by_uuid = charged(book().reservations, 0, 2**62)
    assert (rush.reservation, rush.team, rush.gpu_hours) == ("cvpr-rush", "vision", 114)
    assert (rush.amount, rush.currency) == (Decimal("136.8"), "EUR")
    assert (sweep.gpu_hours, sweep.amount) == (48, Decimal(24))
    assert (by_uuid.gpu_hours, by_uuid.amount) == (1, Decimal("1.2"))  # cancelled after an hour of eight


def test_what_lies_outside_of_the_range_or_was_cancelled_before_its_start_is_not_there():
    gone = reservation("gone", 1, 2, cancelled_ns=T0_NS)
    assert charged([gone, reservation("late", 5, 6)], 0, T0_NS + 5 * HOUR_NS) == ()


def test_a_booking_without_a_price_has_hours_and_no_amount():
    (one,) = charged([reservation()], 0, 2**62)
    assert (one.gpu_hours, one.amount) == (1, None)


def test_a_third_of_a_cent_is_rounded_to_the_nano():
    (one,) = charged([reservation(start=0, end=1 / 3600, **EUR)], 0, 2**62)
    assert one.gpu_hours == Fraction(1, 3600)
    assert one.amount == Decimal("0.000333333")


@given(st.lists(st.tuples(SECONDS, SECONDS, st.integers(1, 8), SECONDS), max_size=6), st.lists(SECONDS))
def test_the_parts_of_a_cut_range_add_up_to_the_whole(rows, cuts):
    found = [
        reservation(
            f"r{number}",
            **EUR,
            count=count,
            start_ns=T0_NS + min(a, b) * NS,
            end_ns=T0_NS + (max(a, b) + 1) * NS,
            cancelled_ns=T0_NS + cancelled * NS if cancelled % 2 else None,
        )
        for number, (a, b, count, cancelled) in enumerate(rows)
    ]
    edges = [T0_NS, *sorted(T0_NS + cut * NS for cut in cuts), T0_NS + 10_001 * NS]
    whole = charged(found, edges[0], edges[-1])
    parts = [part for first, end in pairwise(edges) for part in charged(found, first, end)]
    assert sum(part.gpu_hours for part in parts) == sum(one.gpu_hours for one in whole)
    off = sum((part.amount for part in parts), Decimal(0)) - sum((one.amount for one in whole), Decimal(0))
    assert abs(off) <= (len(parts) + len(whole)) * Decimal("0.5e-9")
    held = sum((one.until_ns - one.start_ns) * one.count for one in found)
    assert sum(one.gpu_hours for one in whole) == Fraction(held, HOUR_NS)
