"""From a job's first sight to the moment when it is forgotten."""

import math

import pytest

from gputally.model import Instant
from gputally.node.identity.protocol import End, Evidence
from tests.node.attribution.bookrig import NOW, SECOND, Rig, share, sighting

WALL = NOW.wall_seconds
ENDED = End(None, "ended")


class TestEnd:
    """A job runs until somebody says that it has ended."""

    def test_a_job_without_process_runs_on_while_nobody_says_otherwise(self) -> None:
        rig = Rig()
        rig.tick(seconds=60)
        rig.tick(sighting("7"))
        rig.tick()
        assert rig.asked == ["7"]
        assert (rig.job("7").state, rig.job("7").end_seconds) == ("running", None)

    def test_a_job_that_is_there_is_not_asked(self) -> None:
        rig = Rig()
        rig.ends["7"] = ENDED
        rig.tick(sighting("7"))
        rig.tick(sighting("7"))
        assert (rig.asked, rig.job("7").state) == ([], "running")

    def test_the_end_is_published_as_it_was_told(self) -> None:
        rig = Rig()
        rig.tick(sighting("7"), seconds=60)
        rig.ends["7"] = End(WALL + 50.5, "failed", 137)
        rig.tick()
        row = rig.job("7")
        assert (row.end_seconds, row.state, row.exit_code) == (WALL + 50.5, "failed", 137)

    def test_without_a_time_it_is_when_the_job_was_last_seen(self) -> None:
        rig = Rig()
        rig.tick(sighting("7"), seconds=60)
        rig.tick(seconds=5)
        rig.ends["7"] = ENDED
        rig.tick()
        assert rig.job("7").end_seconds == WALL + 60

    @pytest.mark.parametrize(
        ("said", "end"),
        [(math.nan, 60), (math.inf, 60), (-math.inf, 60), (WALL + 9999, 70), (WALL - 500, -100), (0.0, -100)],
    )
    def test_an_end_lies_between_the_start_and_now(self, said: float, end: float) -> None:
        rig = Rig()
        rig.tick(sighting("7", start=WALL - 100), seconds=60)
        rig.ends["7"] = End(said, "completed", 0)
        rig.tick(seconds=10)
        assert rig.job("7").end_seconds == WALL + end

    def test_words_and_codes_that_cannot_be_are_not_published(self) -> None:
        rig = Rig()
        rig.tick(sighting("7"))
        rig.ends["7"] = End(None, "exploded", -9)
        rig.tick()
        assert (rig.job("7").state, rig.job("7").exit_code) == ("ended", None)

    def test_the_last_shares_come_after_the_end_and_are_the_jobs(self) -> None:
        rig = Rig()
        rig.tick(sighting("7"), shares={"GPU-a": [share("7", 1000)]})
        rig.ends["7"] = ENDED
        rig.tick(shares={"GPU-a": [share("7", 500)]})
        rig.tick(shares={"GPU-a": [share("7", 250)]})
        assert (rig.joules("7"), rig.job("7").state) == (1.75, "ended")
        assert rig.teams() == {("nlp", "ada", ""): 1.75}

    def test_a_job_that_is_seen_again_runs_again_and_goes_on_counting(self) -> None:
        rig = Rig()
        rig.tick(sighting("7"), shares={"GPU-a": [share("7", 1000)]})
        rig.ends["7"] = End(None, "failed", 1)
        rig.tick()
        again = sighting("7", record="/run/new", start=WALL + 2)
        rig.tick(again)
        assert rig.job("7").state == "running"
        rig.restart()
        rig.tick(again, shares={"GPU-a": [share("7", 1000)]})
        row = rig.job("7")
        assert (row.state, row.end_seconds, row.exit_code, row.start_seconds) == ("running", None, None, WALL)
        assert rig.joules("7") == 2.0

    def test_what_proved_the_first_end_proves_no_second(self) -> None:
        rig = Rig()
        seen: list[Evidence] = []
        rig.tick(sighting("7", record="/run/old"))
        rig.ends["7"] = ENDED
        rig.tick()
        del rig.ends["7"]
        rig.tick(sighting("7", record="/run/new"))
        rig.now = Instant(rig.now.boot_ns + SECOND, rig.now.wall_ns + SECOND)
        rig.book.absent(rig.now, lambda _job, evidence, _now: seen.append(evidence))
        assert [evidence.record for evidence in seen] == ["/run/new"]

    def test_one_job_whose_end_cannot_be_found_out_does_not_keep_the_others(self) -> None:
        rig = Rig()
        rig.tick(sighting("7"), sighting("8"))

        def end_of(job, _evidence, _now):
            if job.job_id == "7":
                raise OSError("its record cannot be read")
            return ENDED

        with pytest.raises(OSError, match="its record"):
            rig.book.absent(rig.now, end_of)
        rig.ledger = rig.book.ledger({})
        assert (rig.job("7").state, rig.job("8").state) == ("running", "ended")

    def test_a_job_that_is_long_absent_is_asked_seldom(self) -> None:
        """A session that once used a GPU may go on for weeks; its end is noticed within seconds."""
        rig = Rig()
        rig.tick(sighting("7"))
        asked = []
        for _ in range(60):
            rig.tick()
            asked.append(len(rig.asked))
        assert asked[:5] == [1] * 5
        assert 10 <= sum(asked[5:]) <= 13
        rig.tick(seconds=60)
        rig.tick(sighting("7"))
        rig.tick()
        assert rig.asked == ["7"]
        rig.tick(seconds=60)
        rig.ends["7"] = ENDED
        for _ in range(5):
            rig.tick()
        assert rig.job("7").state == "ended"


class TestBetterEnd:
    """An epilog writes its record when the processes are gone already."""

    def rig(self, record: str) -> Rig:
        rig = Rig()
        rig.tick(sighting("7", record=record))
        rig.ends["7"] = ENDED
        rig.tick()
        rig.tick(seconds=10)
        return rig

    def test_a_record_may_say_later_how_it_ended(self) -> None:
        rig = self.rig("/run/7")
        rig.ends["7"] = End(WALL + 1.5, "timeout", 124)
        rig.tick(seconds=10)
        row = rig.job("7")
        assert (row.state, row.exit_code, row.end_seconds) == ("timeout", 124, WALL + 1.5)
        rig.ends["7"] = End(WALL + 1, "completed", 0)
        rig.tick(seconds=10)
        assert (rig.asked, rig.job("7").state) == ([], "timeout")

    def test_without_a_record_nobody_is_asked_again(self) -> None:
        rig = self.rig("")
        rig.ends["7"] = End(None, "failed")
        rig.tick(seconds=10)
        assert (rig.asked, rig.job("7").state) == ([], "ended")

    def test_a_record_that_never_says_more_keeps_nothing(self) -> None:
        rig = self.rig("/run/7")
        for _ in range(289):
            rig.tick()
            assert rig.job("7").state == "ended"
        rig.tick()
        assert rig.row("7") is None

    def test_the_better_end_is_shown_for_as_long_as_any(self) -> None:
        rig = self.rig("/run/7")
        rig.tick(seconds=280)
        rig.ends["7"] = End(None, "failed", 1)
        rig.tick(seconds=5)
        for _ in range(299):
            rig.tick()
            assert rig.job("7").state == "failed"
        rig.tick()
        assert rig.row("7") is None


class TestKeep:
    """Five minutes of scrapes see the final value."""

    def rig(self) -> Rig:
        rig = Rig()
        rig.tick(sighting("7"), shares={"GPU-a": [share("7", 1000), share(None, 1)]})
        rig.ends["7"] = ENDED
        rig.tick()
        return rig

    def test_it_is_kept_from_when_the_end_was_noticed(self) -> None:
        rig = Rig()
        rig.tick(sighting("7"))
        rig.tick(seconds=3600)
        rig.ends["7"] = End(WALL + 1, "completed", 0)
        rig.tick()
        for _ in range(299):
            rig.tick()
            assert rig.row("7") is not None
        rig.tick()
        assert rig.row("7") is None

    def test_the_team_keeps_what_a_forgotten_job_has_used(self) -> None:
        rig = self.rig()
        rig.tick(seconds=300)
        assert rig.ledger.jobs == ()
        assert rig.teams() == {("nlp", "ada", ""): 1.0}
        assert rig.book.to_json()["jobs"] == []

    def test_a_late_share_is_a_new_final_value(self) -> None:
        rig = self.rig()
        rig.tick(seconds=299)
        rig.tick(seconds=0.5, shares={"GPU-a": [share("7", 1)]})
        rig.tick(seconds=299)
        assert rig.joules("7") == 1.001
        rig.tick()
        assert rig.row("7") is None

    def test_a_share_of_a_forgotten_job_is_not_resolved_and_not_lost(self) -> None:
        rig = self.rig()
        rig.tick(seconds=300)
        rig.tick(shares={"GPU-a": [share("7", 5)]})
        assert rig.ledger.unattributed.energy_joules["0", "GPU-a", "unresolved"] == 0.005

    @pytest.mark.parametrize("step", [-86_400, 86_400])
    def test_steps_of_the_wall_clock_neither_forget_nor_resurrect(self, step: int) -> None:
        rig = self.rig()
        end = rig.job("7").end_seconds
        rig.tick(seconds=298, wall_step=step)
        assert (rig.job("7").end_seconds, rig.job("7").state) == (end, "ended")
        rig.tick(seconds=2, wall_step=-step)
        assert rig.row("7") is None

    def test_a_job_that_runs_when_the_clock_steps_back_does_not_end_before_it_began(self) -> None:
        rig = Rig()
        rig.tick(sighting("7"))
        rig.tick(sighting("7"), wall_step=-3600)
        rig.ends["7"] = ENDED
        rig.tick()
        assert rig.job("7").end_seconds == WALL
