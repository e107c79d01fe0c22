"""What the first sight of a job says, and what a later one adds."""

import math

import pytest

from gputally.model import UNASSIGNED
from gputally.node.attribution.lifecycle import evidence_filled
from gputally.node.identity.protocol import Evidence
from tests.node.attribution.bookrig import NOW, Rig, share, sighting

WALL = NOW.wall_seconds


class TestStart:
    """When a job began."""

    @pytest.mark.parametrize("said", [math.nan, math.inf, -math.inf, 0.0, -5.0, 1_577_836_799.0, WALL + 1.5])
    def test_what_cannot_be_is_now(self, said: float) -> None:
        rig = Rig()
        rig.tick(sighting("7", start=said))
        assert rig.job("7").start_seconds == WALL + 1

    def test_what_can_be_is_believed(self) -> None:
        rig = Rig()
        rig.tick(sighting("7", start=1_577_836_800.25))
        assert rig.job("7").start_seconds == 1_577_836_800.25


class TestFillIn:
    """A later sight adds what was missing and overrides nothing."""

    def after(self, first: dict[str, str], *later: dict[str, str]) -> Rig:
        rig = Rig()
        rig.tick(sighting("7", **first), shares={"GPU-a": [share("7", 1000)]})
        for texts in later:
            rig.tick(sighting("7", **texts), shares={"GPU-a": [share("7", 1000)]})
        return rig

    def test_a_number_becomes_a_name_once(self) -> None:
        rig = self.after(
            {"user": "1000"}, {"user": "1001"}, {"user": "ada"}, {"user": "eve"}, {"user": "1000"}
        )
        assert rig.job("7").job.user == "ada"

    def test_no_user_becomes_a_number_and_then_a_name(self) -> None:
        assert self.after({"user": ""}, {"user": "1000"}).job("7").job.user == "1000"
        assert self.after({"user": ""}, {"user": "1000"}, {"user": "ada"}).job("7").job.user == "ada"

    @pytest.mark.parametrize("field", ["job_name", "model"])
    def test_a_missing_text_is_filled_in_once(self, field: str) -> None:
        rig = self.after({}, {field: "a"}, {field: "b"}, {field: ""})
        assert getattr(rig.job("7").job, field) == "a"

    def test_a_team_is_found_once(self) -> None:
        rig = self.after({"team": UNASSIGNED}, {"team": ""}, {"team": "nlp"}, {"team": "vision"})
        assert rig.job("7").job.team == "nlp"

    def test_what_was_booked_before_stays_where_it_was(self) -> None:
        rig = self.after({"team": UNASSIGNED, "user": "1000"}, {}, {"model": "m"})
        assert rig.teams() == {
            (UNASSIGNED, "1000", ""): 1.0,
            ("nlp", "ada", ""): 1.0,
            ("nlp", "ada", "m"): 1.0,
        }
        assert rig.joules("7") == 3.0

    def test_scheduler_and_start_are_those_of_the_first_sight(self) -> None:
        rig = Rig()
        rig.tick(sighting("7", start=WALL - 5))
        rig.tick(sighting("7", start=WALL - 50, scheduler="docker"))
        assert (rig.job("7").start_seconds, rig.job("7").job.scheduler) == (WALL - 5, "slurm")

    def test_evidence_is_filled_in(self) -> None:
        early, later = Evidence(cgroup="/a"), Evidence("/run/7", "/b", (1, 2), "boot-a")
        assert evidence_filled(early, later) == Evidence("/run/7", "/a", (1, 2), "boot-a")
        assert evidence_filled(later, early) is later

    def test_evidence_of_another_boot_is_replaced(self) -> None:
        later = Evidence(cgroup="/b", boot_id="boot-b")
        assert evidence_filled(Evidence("/run/7", "/a", (1, 2), "boot-a"), later) is later
