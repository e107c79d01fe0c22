"""What is booked where, and how it is published."""

import json

import pytest

from gputally.model import OTHER, Job, Ledger
from gputally.node.attribution.book import Caps
from gputally.node.identity.protocol import End
from tests.node.attribution.bookrig import NOW, SECOND, Rig, by_gpu, round_trip, share, sighting

ENDED = End(None, "ended")


def test_an_empty_book_publishes_its_policy_and_nothing_else() -> None:
    assert Rig().book.ledger({}) == Ledger(policy="allocated")


def test_a_job_that_was_just_seen_is_published_before_it_has_used_anything() -> None:
    rig = Rig()
    rig.tick(sighting("7"))
    row = rig.job("7")
    assert (row.state, row.end_seconds, row.energy_joules) == ("running", None, {})
    assert (row.gpu_seconds, row.busy_seconds) == (0.0, 0.0)
    assert rig.teams() == {("nlp", "ada", ""): 0.0}


def test_shares_are_counted_by_gpu_and_component() -> None:
    rig = Rig()
    rig.tick(sighting("7"), shares={"GPU-a": [share("7", 1500, 250)], "GPU-b": [share("7", 1)]})
    rig.tick(sighting("7"), shares={"GPU-a": [share("7", 500)]})
    row = rig.job("7")
    assert row.energy_joules == {
        ("0", "GPU-a", "active"): 2.0,
        ("0", "GPU-a", "idle"): 0.25,
        ("1", "GPU-b", "active"): 0.001,
        ("1", "GPU-b", "idle"): 0.0,
    }
    assert row.gpu_seconds == 3.0
    assert row.busy_seconds == pytest.approx(1.0, abs=1e-8)


def test_a_jobs_team_counts_what_the_job_counts() -> None:
    rig = Rig()
    rig.tick(sighting("7"), sighting("8"), shares={"GPU-a": [share("7", 1500, 250), share("8", 250)]})
    (team,) = rig.ledger.teams
    assert (team.team, team.user, team.model) == ("nlp", "ada", "")
    assert (team.energy_joules, team.gpu_seconds) == (2.0, 2.0)
    assert team.busy_seconds == pytest.approx(2 / 3, abs=1e-8)


def test_what_is_nobodys_is_counted_by_gpu_and_reason() -> None:
    rig = Rig()
    rig.tick(shares={"GPU-a": [share(None, 100, 50), share(None, 7, reason="unresolved")]})
    rig.tick(shares={"GPU-a": [share(None, 850)]})
    nobodys = rig.ledger.unattributed
    assert nobodys.energy_joules == {("0", "GPU-a", "idle"): 1.0, ("0", "GPU-a", "unresolved"): 0.007}
    assert nobodys.gpu_seconds == {("0", "GPU-a"): 3.0}
    assert nobodys.busy_seconds == {("0", "GPU-a"): 3 * (SECOND // 3) / SECOND}
    assert rig.teams() == {}


def test_a_share_of_a_job_that_is_not_in_the_book_is_not_resolved() -> None:
    rig = Rig()
    rig.tick(shares={"GPU-a": [share("7", 100)]})
    assert rig.ledger.unattributed.energy_joules == {("0", "GPU-a", "unresolved"): 0.1}


def test_a_gpu_keeps_its_last_index_and_follows_a_new_one() -> None:
    rig = Rig()
    rig.tick(sighting("7"), shares={"GPU-a": [share("7", 1000), share(None, 1)]})
    assert ("0", "GPU-a", "active") in rig.job("7").energy_joules
    rig.ledger = rig.book.ledger({})
    assert ("0", "GPU-a", "active") in rig.job("7").energy_joules
    rig.ledger = rig.book.ledger({"GPU-a": "3"})
    assert rig.job("7").energy_joules == {("3", "GPU-a", "active"): 1.0, ("3", "GPU-a", "idle"): 0.0}
    assert set(rig.ledger.unattributed.gpu_seconds) == {("3", "GPU-a")}
    rig.book.restore(round_trip(rig.book), NOW, clean=True, same_boot=True)
    rig.ledger = rig.book.ledger({})
    assert ("3", "GPU-a", "active") in rig.job("7").energy_joules


def test_a_gpu_that_never_had_an_index_has_an_empty_one() -> None:
    rig = Rig()
    rig.tick(sighting("7"), shares={"GPU-x": [share("7", 1000)]})
    assert ("", "GPU-x", "active") in rig.job("7").energy_joules


class TestCap:
    """A job that finds no room is in `other` for its whole life; its team is not."""

    def rig(self, *, folded: int = 9) -> Rig:
        rig = Rig(Caps(jobs=2, folded=folded))
        rig.tick(
            sighting("1"),
            sighting("2"),
            sighting("3", team="vision"),
            shares={"GPU-a": [share("1", 1), share("2", 2), share("3", 4000)]},
        )
        return rig

    def test_it_is_counted_in_other_and_in_its_team(self) -> None:
        rig = self.rig()
        assert [row.job.job_id for row in rig.ledger.jobs] == ["1", "2", OTHER]
        assert rig.job(OTHER).job == Job(OTHER, OTHER, user=OTHER, team=OTHER, identity=OTHER)
        assert (rig.job(OTHER).state, rig.joules(OTHER)) == ("running", 4.0)
        assert rig.teams() == {("nlp", "ada", ""): 0.003, ("vision", "ada", ""): 4.0}
        assert rig.ledger.folded_jobs == 1

    def test_it_stays_there_when_room_appears(self) -> None:
        rig = self.rig()
        rig.ends |= {"1": ENDED, "2": ENDED}
        for _ in range(302):
            rig.tick(sighting("3"), shares={"GPU-a": [share("3", 1000)]})
        assert [row.job.job_id for row in rig.ledger.jobs] == [OTHER]
        rig.tick(sighting("4"), sighting("3"), shares={"GPU-a": [share("3", 1000), share("4", 8)]})
        assert [row.job.job_id for row in rig.ledger.jobs] == ["4", OTHER]
        assert rig.joules(OTHER) == 4.0 + 303
        assert rig.ledger.folded_jobs == 1

    def test_it_stays_there_over_a_restart(self) -> None:
        rig = self.rig()
        rig.restart()
        rig.tick(sighting("3"), shares={"GPU-a": [share("3", 1000)]})
        assert (rig.row("3"), rig.joules(OTHER)) == (None, 5.0)

    def test_it_is_no_more_counted_as_running_when_it_has_ended(self) -> None:
        rig = self.rig()
        rig.ends["3"] = ENDED
        rig.tick(sighting("1"), sighting("2"), shares={"GPU-a": [share("3", 1000)]})
        assert (rig.ledger.folded_jobs, rig.joules(OTHER)) == (0, 5.0)

    def test_jobs_that_have_ended_keep_their_room_until_they_were_shown_enough(self) -> None:
        rig = self.rig()
        rig.ends |= {"1": ENDED, "2": ENDED}
        rig.tick()
        rig.tick(sighting("4"))
        assert rig.row("4") is None
        assert rig.ledger.folded_jobs == 2

    def test_more_than_can_be_remembered_are_forgotten_when_they_are_absent(self) -> None:
        """Who starts thousands of jobs does not fill the memory; nothing is lost by it."""
        rig = self.rig(folded=3)
        for n in range(10, 60):
            rig.tick(sighting(str(n)), shares={"GPU-a": [share(str(n), 1000)]})
            assert len(rig.book.to_json()["jobs"]) <= 2 + 4
        assert rig.joules(OTHER) == 4.0 + 50
        assert by_gpu(round_trip(rig.book)) == {"GPU-a": 4003 + 50_000}

    def test_a_job_that_is_called_other_is_no_second_other(self) -> None:
        rig = Rig()
        rig.tick(sighting(OTHER), shares={"GPU-a": [share(OTHER, 1000)]})
        assert rig.joules(OTHER) == 1.0
        assert rig.teams() == {("nlp", "ada", ""): 1.0}


class TestCost:
    """What is at rest is not made anew at every tick."""

    def test_rows_of_jobs_at_rest_are_the_same_objects(self) -> None:
        rig = Rig()
        rig.ends["7"] = ENDED
        rig.tick(sighting("7"), sighting("8"), shares={"GPU-a": [share("7", 1), share("8", 1)]})
        rig.tick(sighting("8"), shares={"GPU-a": [share("8", 1)]})
        saved, shown = rig.book.to_json(), rig.ledger.jobs
        rig.tick(sighting("8"), shares={"GPU-a": [share("8", 1)]})
        saved_later, shown_later = rig.book.to_json(), rig.ledger.jobs
        assert saved["jobs"][0] is saved_later["jobs"][0]
        assert shown[0] is shown_later[0]
        assert shown[1] is not shown_later[1]

    def test_what_was_saved_does_not_change_afterwards(self) -> None:
        rig = Rig()
        rig.tick(sighting("7"), shares={"GPU-a": [share("7", 1), share(None, 5)]})
        saved = rig.book.to_json()
        before = json.dumps(saved)
        rig.tick(
            sighting("7", model="m"), shares={"GPU-a": [share("7", 1), share(None, 5)], "GPU-b": [share("7")]}
        )
        rig.tick(sighting("8"))
        assert json.dumps(saved) == before
        assert json.dumps(rig.book.to_json()) != before
