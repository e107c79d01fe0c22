"""Who gets the energy above the baseline of one GPU, and by what right: figures by hand."""

import math

import pytest

from gputally.node.attribution.parties import (
    EXPORTER_DOWN,
    GAP,
    IDLE,
    NO_ACTIVITY,
    NO_PROCESS,
    NO_PROCESS_DATA,
    UNRESOLVED,
    Booking,
    Occupancy,
    Share,
    Split,
    Tenant,
)
from gputally.node.attribution.split import split

SECOND = 1_000_000_000
# 300 J in a second, 60 W of them baseline: 240 J are above it. Kernels ran for 0.8 s.
TICK = Booking(300_000, SECOND, SECOND, 800_000_000, 60.0)
QUIET = Booking(60_000, SECOND, SECOND, 0, 60.0)


def active(occupancy: Occupancy, booking: Booking = TICK) -> tuple[dict[str, int], str]:
    """Joules above the baseline by job or reason, and the method."""
    made = split(booking, occupancy, "used")
    joules = {
        share.job_id or share.reason: share.active_mj // 1000 for share in made.shares if share.active_mj
    }
    return joules, made.method


def on_gpu(*tenants: tuple[str | None, float | None], allocated: tuple[str, ...] = ()) -> Occupancy:
    return Occupancy(tuple(Tenant(job_id, sm_ratio) for job_id, sm_ratio in tenants), allocated)


@pytest.mark.parametrize("sm_ratio", [None, 0.0, 0.01, 1.0])
def test_who_is_alone_pays_all_whatever_the_driver_says_of_him(sm_ratio):
    assert active(on_gpu(("a", sm_ratio), ("a", None))) == ({"a": 240}, "sole")


def test_several_jobs_pay_by_the_sm_time_of_all_their_processes():
    assert active(on_gpu(("a", 0.1), ("b", 0.6), ("a", 0.1))) == ({"a": 60, "b": 180}, "sm_share")


def test_who_is_missing_where_others_are_measured_did_nothing():
    assert active(on_gpu(("a", 0.2), ("b", None), ("c", 0.0))) == ({"a": 240}, "sm_share")


def test_without_measurement_jobs_pay_the_same_each_however_many_processes_they_have():
    tenants = [("many", None)] * 5 + [("one", None)]
    assert active(on_gpu(*tenants)) == ({"many": 120, "one": 120}, "equal")


def test_several_that_do_nothing_pay_nothing():
    assert active(on_gpu(("a", 0.0), ("b", 0.0))) == ({NO_ACTIVITY: 240}, "none")
    assert active(on_gpu(("a", 0.0), ("b", None))) == ({NO_ACTIVITY: 240}, "none")


def test_several_that_do_nothing_on_a_gpu_that_has_an_owner():
    here = on_gpu(("a", 0.0), ("b", 0.0), allocated=("b", "c"))
    assert active(here) == ({"b": 120, "c": 120}, "allocation")


def test_activity_goes_before_ownership():
    """An intruder on an allocated GPU pays for what he does."""
    assert active(on_gpu(("a", 0.3), ("intruder", 0.1), allocated=("a",))) == (
        {"a": 180, "intruder": 60},
        "sm_share",
    )
    assert active(on_gpu(("intruder", None), allocated=("a",))) == ({"intruder": 240}, "sole")


def test_on_an_empty_gpu_the_owner_pays_and_else_nobody():
    assert active(on_gpu(allocated=("a",))) == ({"a": 240}, "allocation")
    assert active(on_gpu(allocated=("a", "b", "c"))) == ({"a": 80, "b": 80, "c": 80}, "allocation")
    assert active(on_gpu()) == ({NO_PROCESS: 240}, "none")


def test_where_the_driver_lists_no_processes_the_owner_pays_and_else_nobody():
    assert active(Occupancy(None, ("a",))) == ({"a": 240}, "allocation")
    assert split(TICK, Occupancy(None), "allocated") == Split(
        (Share(None, NO_PROCESS_DATA, 240_000, 60_000, SECOND, 800_000_000),), "none"
    )


class TestNobodysProcesses:
    """Processes that cannot be resolved: a dead or foreign PID still draws power, and nobody else's."""

    def test_they_keep_their_measured_part(self):
        here = on_gpu(("a", 0.2), (None, 0.1), ("b", 0.2), (None, 0.3))
        assert active(here) == ({"a": 60, "b": 60, UNRESOLVED: 120}, "sm_share")

    def test_one_job_beside_them_is_not_alone(self):
        assert active(on_gpu(("a", 0.0), (None, 0.4))) == ({UNRESOLVED: 240}, "sm_share")

    def test_unmeasured_they_are_one_party(self):
        assert active(on_gpu((None, None), ("a", None), (None, None))) == (
            {UNRESOLVED: 120, "a": 120},
            "equal",
        )

    def test_alone_they_leave_the_owner_only_the_baseline(self):
        here = on_gpu((None, None), (None, 0.2), allocated=("a",))
        assert active(here) == ({UNRESOLVED: 240}, "none")
        shares = {share.job_id: share for share in split(TICK, here, "allocated").shares}
        assert shares["a"] == Share("a", "", 0, 60_000, 200_000_000, 0)


@pytest.mark.parametrize(
    ("sm_ratio", "joules"),
    [
        (1.3, {"a": 192, "b": 48}),  # 1 and 0.25: nobody can be busier than always
        (4294967295.0, {"a": 192, "b": 48}),
        (math.nan, {"b": 240}),
        (-0.5, {"b": 240}),
        (1e-9, {"b": 240}),
    ],
)
def test_a_garbled_share_does_bounded_harm(sm_ratio, joules):
    assert active(on_gpu(("a", sm_ratio), ("b", 0.25))) == (joules, "sm_share")


@pytest.mark.parametrize("cause", [EXPORTER_DOWN, GAP])
@pytest.mark.parametrize("policy", ["allocated", "used", "weighted"])
def test_what_was_not_watched_is_nobodys(cause, policy):
    hour = Booking(10**9, 3600 * SECOND, 3600 * SECOND, SECOND, 60.0, cause)
    made = split(hour, on_gpu(("a", 0.5), allocated=("a",)), policy)
    assert made == Split((Share(None, cause, 10**9, 0, 3600 * SECOND, SECOND),), "none")


class TestBaseline:
    """How much of a tick is idle."""

    def idle_mj(self, **changed: float) -> int:
        booking = Booking(
            **{"energy_mj": 100_000, "covers_ns": SECOND, "dt_ns": SECOND, "busy_ns": 0} | changed
        )
        return sum(share.idle_mj for share in split(booking, on_gpu(("a", None)), "used").shares)

    def test_it_is_taken_for_the_time_in_which_the_energy_was_used(self):
        assert self.idle_mj(idle_w=60.0) == 60_000
        assert self.idle_mj(idle_w=60.0, covers_ns=SECOND // 4) == 15_000
        assert self.idle_mj(idle_w=60.0006) == 60_001

    def test_it_is_never_more_than_was_used(self):
        assert self.idle_mj(idle_w=100.0001) == 100_000
        assert self.idle_mj(idle_w=99.9999) == 100_000
        assert self.idle_mj(idle_w=60.0, energy_mj=3) == 3
        assert self.idle_mj(idle_w=math.inf) == 100_000

    def test_unknown_it_is_nothing(self):
        assert self.idle_mj() == 0
        assert self.idle_mj(idle_w=-3.0) == 0
        assert self.idle_mj(idle_w=math.nan) == 0
        assert self.idle_mj(idle_w=60.0, covers_ns=0) == 0
        assert self.idle_mj(idle_w=math.inf, covers_ns=0) == 0


def test_a_quiet_gpu_is_one_share():
    assert split(QUIET, on_gpu(), "allocated") == Split((Share(None, IDLE, 0, 60_000, SECOND, 0),), "none")


def test_nothing_is_no_share():
    assert split(Booking(0, 0, 0, 0), on_gpu(("a", 0.5), ("b", 0.5)), "allocated").shares == ()


@pytest.mark.parametrize(
    ("booking", "policy"),
    [
        (TICK, "fair"),
        (TICK, ""),
        (Booking(1, 1, 1, 0, 0.0, "resumed"), "used"),
        (Booking(-1, 1, 1, 0), "used"),
        (Booking(1, 1, -1, 0), "used"),
        (Booking(1, 1, 1, -1), "used"),
    ],
)
def test_a_tick_that_makes_no_sense_is_refused(booking, policy):
    with pytest.raises(ValueError, match=r"no such policy|less than nothing"):
        split(booking, on_gpu(("a", None)), policy)
