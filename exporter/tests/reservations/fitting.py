"""Bookings in a few hours and on a few GPUs, and a table by which they fit or do not."""

from collections import Counter
from dataclasses import replace

from hypothesis import strategies as st

from tests.reservations.booking import HOUR_NS, T0_NS, reservation

GPUS = 3
INVENTORY = {"gpu01": ("GPU-a", "GPU-b", "GPU-c"), "gpu02": ("0", "1", "2")}


@st.composite
def bookings(draw, *, named_only=False):
    """A few, in few hours, so that they meet often; some cancelled, before or within."""
    found = []
    for number in range(draw(st.integers(0, 7))):
        start = draw(st.integers(0, 8))
        end = draw(st.integers(start + 1, 10))
        host = draw(st.sampled_from(sorted(INVENTORY)))
        named = named_only or draw(st.booleans())
        gpus = draw(st.sets(st.integers(0, GPUS - 1), min_size=1)) if named else ()
        by_uuid = host == "gpu01" and not named_only and draw(st.booleans())
        names = tuple(INVENTORY[host][gpu] if by_uuid else str(gpu) for gpu in sorted(gpus))
        count = len(names) or draw(st.integers(1, GPUS))
        one = reservation(f"r{number}", start, end, host=host, gpus=names, count=count)
        if draw(st.booleans()):
            one = replace(one, cancelled_ns=T0_NS + draw(st.integers(0, end - 1)) * HOUR_NS)
        found.append(one)
    return tuple(draw(st.permutations(found)))


def fits(reservations):
    """By a table: in every half hour no GPU is there twice and no host is more than full."""
    for half in range(20):
        at_ns = T0_NS + half * HOUR_NS // 2
        named, held = Counter(), Counter()
        for one in reservations:
            if one.start_ns <= at_ns < one.until_ns:
                held[one.host] += one.count
                for gpu in one.gpus:
                    index = gpu if gpu.isdecimal() else str(INVENTORY[one.host].index(gpu))
                    named[one.host, index] += 1
        if any(number > 1 for number in named.values()) or any(number > GPUS for number in held.values()):
            return False
    return True
