"""Bookings, extensions and cancellations one after the other: each is taken exactly if it can be kept."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputally.config.reservations import parse_reservations
from gputally.model.reservation import Reservation
from gputally.site.reservations import changes
from gputally.site.reservations.changes import RefusedError
from tests.reservations.booking import HOUR_NS, T0_NS, at
from tests.reservations.fitting import INVENTORY, fits

BEGUN = """\
# ours
inventory: {gpu01: [GPU-a, GPU-b, GPU-c], gpu02: 3}   # all there are
reservations: []
"""
HOURS = st.integers(0, 8)
GPUS = st.one_of(st.integers(1, 3), st.sets(st.sampled_from("012"), min_size=1).map(sorted))
STEPS = st.one_of(
    st.tuples(st.just("add"), HOURS, st.integers(1, 4), st.sampled_from(sorted(INVENTORY)), GPUS),
    st.tuples(st.just("extend"), st.integers(0, 9), st.integers(1, 4)),
    st.tuples(st.just("cancel"), st.integers(0, 9), HOURS),
)


def meant(step, known: list[Reservation], now_ns: int) -> list[Reservation] | None:
    """The bookings after a step, if it is one that can be; None where it is not."""
    if step[0] == "add":
        _, start, hours, host, gpus = step
        names = () if isinstance(gpus, int) else tuple(gpus)
        count = gpus if isinstance(gpus, int) else len(gpus)
        start_ns = T0_NS + start * HOUR_NS
        after = [
            *known,
            Reservation(
                *(f"r{len(known)}", "t", (), host, names, count, start_ns, start_ns + hours * HOUR_NS)
            ),
        ]
        return after if start_ns >= now_ns and fits(after) else None
    if not known:
        return None
    number = step[1] % len(known)
    one = known[number]
    if one.state(now_ns) not in ("pending", "active"):
        return None
    if step[0] == "extend":
        changed = replace(one, end_ns=one.end_ns + step[2] * HOUR_NS)
    else:
        changed = replace(one, cancelled_ns=now_ns)
    after = [*known[:number], changed, *known[number + 1 :]]
    return after if fits(after) else None


def carried_out(step, data: bytes, known: list[Reservation], now_ns: int) -> bytes:
    """The file after the step. Raises RefusedError."""
    if step[0] == "add":
        _, start, hours, host, gpus = step
        which = {"count": str(gpus)} if isinstance(gpus, int) else {"gpus": list(gpus)}
        row = {"id": f"r{len(known)}", "team": "t", "host": host, **which}
        return changes.add(data, "r.yml", row | {"start": at(start), "end": at(start + hours)}, now_ns).data
    name = f"r{step[1] % len(known)}" if known else "r0"
    if step[0] == "extend":
        return changes.extend(data, "r.yml", name, lambda end: end + step[2] * HOUR_NS, now_ns).data
    return changes.cancel(data, "r.yml", name, now_ns).data


@pytest.mark.fault("bookings-clash")
@settings(max_examples=120, deadline=None)
@given(st.lists(STEPS, max_size=10), st.sampled_from(["\n", "\r\n"]))
def test_each_step_is_taken_exactly_if_it_can_be_kept(steps, newline):
    data, known, now_ns = BEGUN.replace("\n", newline).encode(), [], T0_NS
    for step in steps:
        if step[0] == "cancel":
            now_ns = max(now_ns, T0_NS + step[2] * HOUR_NS)
        after = meant(step, known, now_ns)
        try:
            data, taken = carried_out(step, data, known, now_ns), True
        except RefusedError:
            taken = False
        assert taken == (after is not None), step
        known = after if after is not None else known
        assert list(parse_reservations(data, "r.yml").reservations) == known
    assert data.startswith(b"# ours")
    assert b"# all there are" in data
