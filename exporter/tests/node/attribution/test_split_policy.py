"""Who pays the baseline under each policy, and who held the GPU while nothing ran: figures by hand."""

import pytest

from gputally.node.attribution.parties import (
    IDLE,
    NO_ACTIVITY,
    NO_PROCESS,
    UNRESOLVED,
    Booking,
    Occupancy,
    Share,
    Tenant,
)
from gputally.node.attribution.split import split

SECOND = 1_000_000_000
TICK = Booking(300_000, SECOND, SECOND, 800_000_000, 60.0)  # 60 J idle, 240 J active, 0.8 s busy

WORKING = (Tenant("a", 0.6, scheduled=True), Tenant("b", 0.2), Tenant("c", 0.0, scheduled=True))
RESTING = (Tenant("a", 0.0), Tenant("b", 0.0), Tenant(None, 0.0))
CASES = {
    "an empty GPU": (Occupancy(()), {IDLE: 60}, {IDLE: 60}),
    "an empty GPU with an owner": (Occupancy((), ("o",)), {"o": 60}, {"o": 60}),
    "no list, an owner": (Occupancy(None, ("o",)), {"o": 60}, {"o": 60}),
    "one job without a scheduler": (Occupancy((Tenant("a"),)), {IDLE: 60}, {"a": 60}),
    "one job with a scheduler": (Occupancy((Tenant("a", scheduled=True),)), {"a": 60}, {"a": 60}),
    "several jobs": (Occupancy(WORKING), {"a": 30, "c": 30}, {"a": 45, "b": 15}),
    "several jobs and owners": (Occupancy(WORKING, ("o", "p")), {"o": 30, "p": 30}, {"a": 45, "b": 15}),
    "several that rest": (Occupancy(RESTING), {IDLE: 60}, {"a": 20, "b": 20, UNRESOLVED: 20}),
    "several that rest at an owner's": (Occupancy(RESTING, ("o",)), {"o": 60}, {"o": 60}),
    "nobody's process": (Occupancy((Tenant(None, 0.5, scheduled=True),)), {IDLE: 60}, {UNRESOLVED: 60}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_baseline_goes_by_policy_and_nothing_else_does(case):
    occupancy, allocated, weighted = CASES[case]
    rest = []
    for policy, expected in (("allocated", allocated), ("used", {IDLE: 60}), ("weighted", weighted)):
        shares = split(TICK, occupancy, policy).shares
        paid = {share.job_id or share.reason: share.idle_mj // 1000 for share in shares if share.idle_mj}
        assert paid == expected, policy
        everything_else = ((s.job_id, s.reason, s.active_mj, s.held_ns, s.busy_ns) for s in shares)
        rest.append({part for part in everything_else if any(part[2:])})
    assert rest[0] == rest[1] == rest[2]


def test_a_job_that_has_the_gpu_for_itself_pays_everything():
    occupancy = Occupancy((Tenant("a", 0.7, scheduled=True),), ("a",))
    assert split(TICK, occupancy, "allocated").shares == (
        Share("a", "", 240_000, 60_000, SECOND, 800_000_000),
    )


class TestTime:
    """Time goes with activity while kernels run, and else to those who held the GPU."""

    def held(self, occupancy: Occupancy, booking: Booking = TICK) -> dict[str, tuple[int, int]]:
        """Milliseconds held, and of these busy, by job or reason."""
        shares = split(booking, occupancy, "used").shares
        return {s.job_id or s.reason: (s.held_ns // 10**6, s.busy_ns // 10**6) for s in shares if s.held_ns}

    def test_one_job_holds_it_all(self):
        assert self.held(Occupancy((Tenant("a", 0.2),))) == {"a": (1000, 800)}

    def test_several_hold_the_rest_equally(self):
        here = Occupancy(
            (Tenant("a", 0.6), Tenant("b", 0.2), Tenant("b", None), Tenant(None, 0.0), Tenant("c"))
        )
        assert self.held(here) == {"a": (650, 600), "b": (250, 200), UNRESOLVED: (50, 0), "c": (50, 0)}

    def test_an_owner_holds_it_while_others_rest(self):
        assert self.held(Occupancy((Tenant("intruder", 0.5),), ("o",))) == {
            "intruder": (800, 800),
            "o": (200, 0),
        }
        assert self.held(Occupancy((), ("o", "p"))) == {"o": (500, 400), "p": (500, 400)}

    def test_an_empty_gpu_is_held_by_nobody(self):
        assert self.held(Occupancy(())) == {NO_PROCESS: (800, 800), IDLE: (200, 0)}

    def test_nobodys_process_holds_it_for_nobody(self):
        assert self.held(Occupancy((Tenant(None),))) == {UNRESOLVED: (1000, 800)}

    def test_those_who_rest_hold_it_while_it_works_for_nobody(self):
        assert self.held(Occupancy((Tenant("a", 0.0), Tenant("b", 0.0)))) == {
            NO_ACTIVITY: (800, 800),
            "a": (100, 0),
            "b": (100, 0),
        }

    def test_it_is_held_without_any_energy(self):
        still = Booking(0, 0, SECOND, 0)
        assert self.held(Occupancy((Tenant("a"), Tenant("b"))), still) == {"a": (500, 0), "b": (500, 0)}

    def test_nobody_is_busy_for_longer_than_the_tick(self):
        late = Booking(300_000, SECOND, SECOND, 3 * SECOND)
        assert self.held(Occupancy((Tenant("a", 0.3), Tenant("b", 0.1))), late) == {
            "a": (750, 750),
            "b": (250, 250),
        }
