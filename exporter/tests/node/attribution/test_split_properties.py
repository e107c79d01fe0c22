"""What is true of every split, whoever is there and however wrong what is said of them: T1 of the design."""

import math
from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gputally.node.attribution.parties import (
    EXPORTER_DOWN,
    GAP,
    POLICIES,
    REASONS,
    UNRESOLVED,
    Booking,
    Occupancy,
    Partition,
    Split,
    Tenant,
)
from gputally.node.attribution.split import split

METHODS = {"sole", "sm_share", "equal", "allocation", "mig_activity", "mig_slices", "none"}
AMOUNT = st.one_of(st.integers(0, 10), st.integers(0, 10**7), st.integers(0, 10**15))
RATIO = st.one_of(
    st.none(),
    st.just(0.0),
    st.floats(0, 1),
    st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 1.3, 5e-324, 1e308]),
)
WATTS = st.one_of(st.just(0.0), st.floats(0, 1000), st.sampled_from([math.nan, math.inf, -5.0, 1e308]))
JOB = st.sampled_from(["a", "b", "c"])
PLACE = st.sampled_from([None, "1", "2", "3", "9"])
TENANT = st.builds(Tenant, st.one_of(st.none(), JOB), RATIO, PLACE, st.booleans())
PARTITION = st.builds(Partition, st.sampled_from(["1", "2", "3", "4"]), st.integers(-2, 9), RATIO)
OCCUPANCY = st.builds(
    Occupancy,
    st.one_of(st.none(), st.lists(TENANT, max_size=8).map(tuple)),
    st.lists(st.sampled_from(["a", "z", "y"]), max_size=3).map(tuple),  # twice the same, too
    st.one_of(st.just(()), st.lists(PARTITION, max_size=5).map(tuple)),
    st.integers(-1, 9),
)
BOOKING = st.builds(
    Booking, AMOUNT, AMOUNT, AMOUNT, AMOUNT, WATTS, st.sampled_from(["", "", "", "", EXPORTER_DOWN, GAP])
)
POLICY = st.sampled_from(POLICIES)


@settings(max_examples=500)
@given(BOOKING, OCCUPANCY, POLICY)
def test_every_split_conserves(booking, occupancy, policy):
    made = split(booking, occupancy, policy)
    shares = made.shares
    assert sum(share.active_mj + share.idle_mj for share in shares) == booking.energy_mj
    assert sum(share.held_ns for share in shares) == booking.dt_ns
    assert sum(share.busy_ns for share in shares) == min(booking.busy_ns, booking.dt_ns)
    for share in shares:
        assert min(share.active_mj, share.idle_mj) >= 0
        assert 0 <= share.busy_ns <= share.held_ns
        assert share.active_mj or share.idle_mj or share.held_ns
    assert made.method in METHODS


@given(BOOKING, OCCUPANCY, POLICY)
def test_the_idle_part_is_the_baseline_and_never_more_than_all(booking, occupancy, policy):
    idle_mj = sum(share.idle_mj for share in split(booking, occupancy, policy).shares)
    assert idle_mj <= booking.energy_mj
    if booking.cause or not booking.idle_w > 0 or not booking.covers_ns:
        assert idle_mj == 0
    elif idle_mj < booking.energy_mj:
        assert abs(idle_mj - booking.idle_w * booking.covers_ns / 1e6) <= 0.5


@given(BOOKING, OCCUPANCY, POLICY)
def test_each_party_has_one_share_and_is_known(booking, occupancy, policy):
    shares = split(booking, occupancy, policy).shares
    parties = Counter((share.job_id, share.reason) for share in shares)
    assert max(parties.values(), default=1) == 1
    known = {tenant.job_id for tenant in occupancy.tenants or ()} | {*occupancy.allocated}
    for job_id, reason in parties:
        if job_id is None:
            assert reason in REASONS
        else:
            assert (job_id in known, reason) == (True, "")


def renamed(made: Split) -> set[tuple[object, ...]]:
    """Energy and time of each, with the unresolved under the name of a job."""
    return {
        ("x" if share.reason == UNRESOLVED else share.job_id or share.reason, *amounts)
        for share in made.shares
        if any(amounts := (share.active_mj, share.idle_mj, share.held_ns, share.busy_ns))
    }


@given(BOOKING, OCCUPANCY, POLICY)
def test_whom_nobody_knows_keeps_exactly_what_a_job_in_his_place_would_pay(booking, occupancy, policy):
    """So it is never dealt to the others, by any of the ways to weigh."""
    tenants = tuple(
        replace(tenant, scheduled=tenant.scheduled and tenant.job_id is not None)
        for tenant in occupancy.tenants or ()
    )
    named = tuple(replace(tenant, job_id=tenant.job_id or "x") for tenant in tenants)
    made = split(booking, replace(occupancy, tenants=tenants), policy)
    assert renamed(made) == renamed(split(booking, replace(occupancy, tenants=named), policy))


@given(BOOKING, OCCUPANCY)
def test_the_policy_moves_the_baseline_and_nothing_else(booking, occupancy):
    without = [
        {
            (share.job_id, share.reason, share.active_mj, share.held_ns, share.busy_ns)
            for share in split(booking, occupancy, policy).shares
            if share.active_mj or share.held_ns
        }
        for policy in POLICIES
    ]
    if not booking.cause:
        assert without[0] == without[1] == without[2]


@given(BOOKING, OCCUPANCY, POLICY, st.integers(1, 5))
def test_more_processes_do_not_make_a_job_pay_more(booking, occupancy, policy, times):
    """Processes that are not measured, or measured to do nothing, beside one of the same job."""
    tenants = occupancy.tenants or ()
    beside = tuple(replace(tenant, sm_ratio=None) for tenant in tenants[:1] * times)
    more = replace(occupancy, tenants=(*tenants, *beside))
    assert split(booking, more, policy) == split(booking, replace(occupancy, tenants=tenants), policy)
