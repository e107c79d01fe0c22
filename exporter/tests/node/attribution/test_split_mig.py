"""A board in MIG partitions: energy by slices and activity, the baseline by slices, figures by hand."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.node.attribution.parties import (
    IDLE,
    NO_PROCESS,
    NO_PROCESS_DATA,
    UNRESOLVED,
    UNUSED_SLICES,
    Booking,
    Occupancy,
    Partition,
    Share,
    Tenant,
)
from gputally.node.attribution.split import split

SECOND = 1_000_000_000
TICK = Booking(350_000, SECOND, SECOND, 300_000_000, 70.0)  # 70 J idle, 280 J active
SMALL, MIDDLE, LARGE = Partition("9", 1), Partition("5", 2), Partition("1", 4)
TENANTS = (Tenant("a", None, "1", scheduled=True), Tenant("b", None, "5"))


def board(*active_ratio: float | None, tenants: tuple[Tenant, ...] | None = TENANTS) -> Occupancy:
    """1g + 2g + 4g; nobody is on 1g."""
    partitions = zip((SMALL, MIDDLE, LARGE), active_ratio, strict=True)
    return Occupancy(tenants, (), tuple(replace(one, active_ratio=ratio) for one, ratio in partitions))


def given_to(job_id: str, occupancy: Occupancy) -> Occupancy:
    """The same, and a scheduler has given the smallest instance to a job."""
    small, *others = occupancy.partitions
    return replace(occupancy, partitions=(replace(small, allocated=(job_id,)), *others))


UNMEASURED = board(None, None, None)
MEASURED = board(0.0, 0.5, 0.25)


def joules(occupancy: Occupancy, policy: str = "used") -> tuple[dict[str, tuple[int, int]], str]:
    """Joules active and idle by job or reason, and the method."""
    made = split(TICK, occupancy, policy)
    assert sum(share.active_mj + share.idle_mj for share in made.shares) == TICK.energy_mj
    return {s.job_id or s.reason: (s.active_mj // 1000, s.idle_mj // 1000) for s in made.shares}, made.method


class TestT4:
    """1g + 2g + 4g, one idle, one whose process cannot be resolved: the sum is the board's."""

    def board(self, *active_ratio: float | None) -> Occupancy:
        return board(*active_ratio, tenants=(Tenant("a", None, "1", scheduled=True), Tenant(None, None, "5")))

    def test_by_activity(self):
        made = split(TICK, self.board(0.0, 0.5, 0.25), "allocated")
        # Above the baseline 4 x 0.25 and 2 x 0.5: half each. Baseline: 4 slices, 2 slices, 1 unused, of 10 J.
        # Of 0.7 s in which nothing ran, each slice is held for 0.1 s.
        assert made.method == "mig_activity"
        assert set(made.shares) == {
            Share("a", "", 140_000, 40_000, 550_000_000, 150_000_000),
            Share(None, UNRESOLVED, 140_000, 0, 350_000_000, 150_000_000),
            Share(None, IDLE, 0, 20_000),
            Share(None, UNUSED_SLICES, 0, 10_000, 100_000_000, 0),
        }

    def test_by_slices(self):
        shares, method = joules(self.board(None, None, None), "weighted")
        assert method == "mig_slices"
        assert shares == {"a": (186, 40), UNRESOLVED: (93, 20), UNUSED_SLICES: (0, 10)}  # 280 x 4/6, 2/6


def test_the_activity_of_a_partition_without_process_is_not_dealt_to_the_others():
    shares, method = joules(board(1.0, 0.5, 0.25))
    # 1 x 1, 2 x 0.5, 4 x 0.25: a third each
    assert shares == {"a": (93, 0), "b": (93, 0), NO_PROCESS: (93, 0), IDLE: (0, 60), UNUSED_SLICES: (0, 10)}
    assert method == "mig_activity"


def test_a_partition_that_rests_pays_nothing_above_the_baseline():
    shares, method = joules(board(0.0, 0.0, 0.25))
    assert (shares["a"], shares["b"], method) == ((280, 0), (0, 0), "mig_activity")


@pytest.mark.parametrize("ratios", [(0.5, None, 0.25), (None, 0.0, 0.0), (0.0, -1.0, 0.5)])
def test_unless_activity_is_known_of_all_that_are_occupied_slices_decide(ratios):
    shares, method = joules(board(*ratios))
    assert (shares["a"][0], shares["b"][0], method) == (186, 93, "mig_slices")


@pytest.mark.parametrize(
    ("policy", "idle"),
    [
        ("allocated", {"a": 40, IDLE: 20, UNUSED_SLICES: 10}),
        ("used", {IDLE: 60, UNUSED_SLICES: 10}),
        ("weighted", {"a": 40, "b": 20, UNUSED_SLICES: 10}),
    ],
)
@pytest.mark.parametrize("occupancy", [UNMEASURED, MEASURED])
def test_the_baseline_goes_by_slices_and_policy(occupancy, policy, idle):
    assert {who: part for who, (_, part) in joules(occupancy, policy)[0].items() if part} == idle


def test_slices_without_partition_are_unused():
    shares, _ = joules(replace(UNMEASURED, partitions=(MIDDLE, LARGE), slices=14), "weighted")
    assert shares == {"a": (186, 20), "b": (93, 10), UNUSED_SLICES: (0, 40)}


def test_partitions_that_claim_more_slices_than_the_board_count_against_each_other():
    shares, _ = joules(replace(UNMEASURED, slices=2), "weighted")
    assert shares == {"a": (186, 40), "b": (93, 20), UNUSED_SLICES: (0, 10)}
    shares, _ = joules(Occupancy(TENANTS, (), (MIDDLE, LARGE), slices=0), "weighted")
    assert shares == {"a": (186, 46), "b": (93, 23)}


def test_a_partition_without_slices_has_one():
    shares, _ = joules(Occupancy(TENANTS, (), (Partition("5", 0), Partition("1", -3)), slices=2), "weighted")
    assert shares == {"a": (140, 35), "b": (140, 35)}


def test_jobs_in_one_partition_share_it_equally():
    tenants = (*TENANTS, Tenant("c", None, "1"), Tenant("c", None, "1"), Tenant(None, None, "1"))
    shares, method = joules(board(0.0, 0.5, 0.25, tenants=tenants), "weighted")
    # half of 280 J to the partition of three parties, half to b; 40 J of baseline by three
    assert shares == {
        "a": (46, 13),
        "b": (140, 20),
        "c": (46, 13),
        UNRESOLVED: (46, 13),
        UNUSED_SLICES: (0, 10),
    }
    assert method == "mig_activity"


def test_a_job_on_two_partitions_is_one_share():
    tenants = (Tenant("a", None, "1"), Tenant("a", None, "5"))
    shares = split(TICK, board(0.0, 0.5, 0.5, tenants=tenants), "weighted").shares
    assert [share for share in shares if share.job_id] == [
        Share("a", "", 280_000, 60_000, 300_000_000 + 600_000_000, 300_000_000)
    ]


@pytest.mark.parametrize("partition", [None, "77"])
def test_a_process_on_no_known_partition_stands_on_one_slice(partition):
    tenants = (Tenant("a", None, "1"), Tenant("x", None, partition))
    shares, method = joules(board(0.0, 0.5, 0.25, tenants=tenants), "weighted")
    # 4 slices and 1 of 280 J; the baseline of 70 J over 7 + 1 slices, of which 3 are unused
    assert shares == {"a": (224, 35), "x": (56, 8), UNUSED_SLICES: (0, 26)}
    assert method == "mig_slices"
    spare = replace(board(0.0, 0.5, 0.25, tenants=tenants), slices=10)
    assert joules(spare, "weighted")[0] == {"a": (224, 28), "x": (56, 7), UNUSED_SLICES: (0, 35)}


def test_a_board_without_any_process_is_one_gpu():
    assert joules(board(0.5, 0.5, 0.5, tenants=())) == ({NO_PROCESS: (280, 0), IDLE: (0, 70)}, "none")
    assert joules(board(None, None, None, tenants=None)) == ({NO_PROCESS_DATA: (280, 70)}, "none")
    owned = replace(board(0.5, 0.5, 0.5, tenants=()), allocated=("o",))
    assert joules(owned, "allocated") == ({"o": (280, 70)}, "allocation")


def test_who_has_the_whole_board_has_its_unused_slices():
    owned = replace(MEASURED, allocated=("a",))
    assert joules(owned, "allocated")[0] == {"a": (140, 70), "b": (140, 0)}
    held = {share.job_id: share.held_ns for share in split(TICK, owned, "used").shares if share.held_ns}
    assert held == {"a": 850_000_000, "b": 150_000_000}
    active = replace(board(1.0, 0.5, 0.25), allocated=("a",))
    assert joules(active, "allocated")[0] == {"a": (186, 70), "b": (93, 0)}


@given(
    st.integers(0, 10**9),
    st.lists(st.tuples(st.integers(1, 8), st.integers(0, 1000)), min_size=1, max_size=7).filter(
        lambda parts: any(permille for _, permille in parts)
    ),
)
def test_each_partition_pays_by_slices_times_activity_to_the_millijoule(energy_mj, parts):
    partitions = tuple(
        Partition(str(n), slices, permille / 1000) for n, (slices, permille) in enumerate(parts)
    )
    tenants = tuple(Tenant(f"job-{n}", None, str(n)) for n in range(len(parts)))
    shares = split(Booking(energy_mj, 1, 1, 0), Occupancy(tenants, (), partitions), "used").shares
    paid = {share.job_id: share.active_mj for share in shares}
    together = sum(slices * permille for slices, permille in parts)
    for n, (slices, permille) in enumerate(parts):
        exact = Fraction(energy_mj * slices * permille, together)
        assert abs(paid.get(f"job-{n}", 0) - exact) <= 1


def test_an_instance_that_a_scheduler_gave_to_a_job_is_not_unused_though_nobody_is_on_it():
    """It pays the baseline of its slice; what is above it is of those who are there."""
    parts, method = joules(given_to("c", UNMEASURED), "allocated")
    assert method == "mig_slices"
    assert parts["c"] == (0, 10)
    assert UNUSED_SLICES not in parts
    assert parts["a"][0] + parts["b"][0] in (279, 280)  # whole joules of each


def test_with_nobody_on_the_board_all_above_the_baseline_is_of_the_jobs_that_have_instances():
    parts, _ = joules(given_to("c", board(None, None, None, tenants=())), "allocated")
    assert parts == {"c": (280, 10), UNUSED_SLICES: (0, 60)}


@given(policy=st.sampled_from(["allocated", "used", "weighted"]), several=st.booleans())
def test_instances_given_to_jobs_conserve(policy, several):
    occupancy = given_to("c", MEASURED if several else board(None, None, None, tenants=None))
    shares = split(TICK, occupancy, policy).shares
    assert sum(share.active_mj + share.idle_mj for share in shares) == TICK.energy_mj
    assert sum(share.held_ns for share in shares) == TICK.dt_ns
