"""Counters that the driver keeps are followed over restarts, resets and garbage."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gputally.node.follow import FROM_START, Followed, each_from_zero, each_rebooted, follow_all

SECOND = 1_000_000_000


def test_the_first_reading_is_a_base_and_counts_nothing() -> None:
    assert Followed().follow(10**15, 5) == Followed(0, 10**15, 5)


def test_with_first_from_start_what_the_driver_counted_before_counts_too() -> None:
    family = follow_all({}, [("corrected", 7)], 5, first=FROM_START)
    assert family["corrected"].acc == 7


def test_differences_add_up() -> None:
    followed = Followed().follow(100, 0).follow(130, 1).follow(130, 2).follow(150, 3)
    assert followed.acc == 50


def test_a_counter_that_fell_was_restarted_and_all_it_shows_is_new() -> None:
    assert Followed(acc=500, hw=1000, at_ns=0).follow(40, 1).acc == 540


def test_after_a_reboot_all_it_shows_is_new_even_if_it_shows_more() -> None:
    assert Followed(acc=500, hw=1000, at_ns=9).rebooted().follow(1500, 1).acc == 2000


def test_a_reboot_before_the_first_reading_changes_nothing() -> None:
    assert Followed(acc=3).rebooted() == Followed(acc=3)


def test_nothing_read_changes_nothing() -> None:
    followed = Followed(acc=500, hw=1000, at_ns=9)
    assert followed.follow(None, 10) is followed
    assert followed.follow(-1, 10) is followed


def test_an_impossible_difference_counts_for_what_physics_allows() -> None:
    spiked = Followed(acc=0, hw=100, at_ns=0).follow(2**63, SECOND, most_per_s=50)
    assert spiked.acc == 100  # one second and one of patience
    assert spiked.follow(150, 2 * SECOND, most_per_s=50).acc == 200  # and the way back no more


def test_what_was_measured_otherwise_is_not_counted_again() -> None:
    followed = Followed(acc=10, hw=100, at_ns=0).add(5)
    assert followed.follow(120, 1).acc == 15
    assert followed.follow(120, 1).follow(125, 2).acc == 20


def test_labels_that_are_not_read_keep_their_count() -> None:
    family = follow_all({"a": Followed(5, 1, 0)}, [("b", 4), ("c", None)], 9)
    assert family == {"a": Followed(5, 1, 0), "b": Followed(0, 4, 9)}


def test_a_family_is_rebooted_and_zeroed_as_a_whole() -> None:
    family = {"a": Followed(5, 9, 3), "b": Followed(6, 8, 3)}
    assert each_rebooted(family) == {"a": Followed(5, 0, 0), "b": Followed(6, 0, 0)}
    assert each_from_zero(family) == {"a": Followed(0, 9, 3), "b": Followed(0, 8, 3)}


@settings(deadline=None, derandomize=True, database=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["read", "none", "reboot"]), st.integers(-5, 2**64)),
        min_size=1,
        max_size=30,
    )
)
def test_the_count_never_falls(steps: list[tuple[str, int]]) -> None:
    """Whatever the driver says, in whatever order."""
    followed, before = Followed(), 0
    for n, (what, hw) in enumerate(steps):
        if what == "reboot":
            followed = followed.rebooted()
        followed = followed.follow(None if what == "none" else hw, n * SECOND, most_per_s=10**12)
        assert followed.acc >= before
        assert followed.acc - before <= 10**12 * (n + 2)
        before = followed.acc
