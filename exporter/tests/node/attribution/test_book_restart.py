"""The book in another process, in another boot, and after a power cut."""

from gputally.model import OTHER
from gputally.node.identity.protocol import End, Evidence
from tests.node.attribution.bookrig import (
    NOW,
    SECOND,
    job_rows,
    round_trip,
    series,
    share,
    sighting,
    used,
)

ENDED = End(None, "ended")


class TestSameBoot:
    """A new process of the same boot goes on where the last one was killed."""

    def test_everything_goes_on_exactly(self) -> None:
        rig = used()
        before = rig.ledger
        rig.restart(down=60)
        assert rig.ledger == before

    def test_running_jobs_run_on_and_are_asked_by_their_evidence(self) -> None:
        rig = used()
        rig.restart(down=60)
        seen: list[tuple[str, Evidence]] = []
        rig.book.absent(rig.now, lambda job, evidence, _now: seen.append((job.job_id, evidence)))
        assert dict(seen) == {job_id: sighting(job_id).evidence for job_id in "3"} | {
            "1": sighting("1", record="/run/1").evidence
        }

    def test_a_job_that_ended_meanwhile_has_ended_when_it_was_last_seen(self) -> None:
        rig = used()
        rig.restart(down=60)
        rig.ends["1"] = ENDED
        rig.tick()
        assert rig.job("1").end_seconds == NOW.wall_seconds + 2
        assert rig.joules("1") == 1.507

    def test_what_nobody_could_scrape_meanwhile_is_shown_for_as_long_as_ever(self) -> None:
        rig = used()
        rig.tick(seconds=100)
        rig.restart(down=86_400)
        rig.tick(seconds=199)
        assert rig.job("2").state == "failed"
        rig.tick()
        assert rig.row("2") is None

    def test_restarts_in_a_row_do_not_keep_it_for_ever(self) -> None:
        rig = used()
        for _ in range(30):
            rig.restart(down=1)
            rig.tick(seconds=10)
        assert rig.row("2") is None

    def test_a_spare_copy_resets_what_is_read_with_increase_and_only_that(self) -> None:
        rig = used()
        lines = rig.restart(clean=False)
        assert "begin at zero" in lines[-1]
        assert (rig.joules("1"), rig.job("1").state) == (1.507, "running")
        assert {
            value for key, value in series(rig.ledger).items() if key[0] in {"energy_joules", "nobody"}
        } == {0}


class TestOtherBoot:
    """No process of another boot is there any more."""

    def test_after_a_goodbye_jobs_have_ended_and_the_rest_goes_on(self) -> None:
        rig = used()
        before = series(rig.ledger)
        lines = rig.restart(same_boot=False, down=120)
        assert lines == ["the machine was started again: 3 jobs of before have ended"]
        assert series(rig.ledger) == before
        row = rig.job("1")
        assert (row.state, row.end_seconds, row.exit_code) == ("ended", NOW.wall_seconds + 2, None)
        assert (rig.job("2").state, rig.job("2").exit_code) == ("failed", 137)
        assert rig.ledger.folded_jobs == 0

    def test_a_job_that_used_nothing_lately_ended_when_it_was_last_seen(self) -> None:
        rig = used()
        rig.book.to_json()
        rig.tick(sighting("1", record="/run/1", model="m"), seconds=60)
        rig.restart(same_boot=False)
        assert rig.job("1").end_seconds == NOW.wall_seconds + 62

    def test_their_values_are_shown_for_five_minutes_more(self) -> None:
        rig = used()
        rig.restart(same_boot=False, down=120)
        for _ in range(299):
            rig.tick()
            assert rig.row("1") is not None
            assert rig.row("2") is not None
        rig.tick()
        assert [row.job.job_id for row in rig.ledger.jobs] == [OTHER]

    def test_a_record_may_still_say_how_one_ended(self) -> None:
        rig = used()
        rig.restart(same_boot=False, down=120)
        rig.ends["1"] = End(NOW.wall_seconds + 1.5, "cancelled")
        rig.tick()
        assert (rig.job("1").state, rig.job("1").end_seconds) == ("cancelled", NOW.wall_seconds + 1.5)

    def test_a_container_that_is_started_again_goes_on(self) -> None:
        rig = used()
        rig.restart(same_boot=False)
        rig.tick(sighting("1"), shares={"GPU-a": [share("1", 1000)]})
        assert (rig.job("1").state, rig.joules("1")) == ("running", 2.507)

    def test_after_a_power_cut_what_is_read_with_increase_begins_at_zero(self) -> None:
        rig = used()
        older = round_trip(rig.book)
        rig.tick(sighting("1"), shares={"GPU-a": [share("1", 9), share(None, 10**6)]})
        keys = series(rig.ledger).keys()
        lines = rig.restore(older, clean=False, same_boot=False)
        assert len(lines) == 2
        after = series(rig.ledger)
        assert after.keys() <= keys
        for name in ("energy_joules", "gpu_seconds", "busy_seconds", "nobody"):
            assert {value for key, value in after.items() if key[0] == name} == {0}, name
        assert (rig.joules(OTHER), rig.job(OTHER).gpu_seconds) == (0, 0)
        assert rig.joules("1") == 1.507
        assert rig.job("1").state == "ended"

    def test_and_counts_from_there(self) -> None:
        rig = used()
        rig.restart(clean=False, same_boot=False)
        rig.tick(sighting("8", user="grace"), shares={"GPU-a": [share("8", 1000), share(None, 500)]})
        assert rig.teams()["nlp", "grace", ""] == 1.0
        assert rig.ledger.unattributed.energy_joules["0", "GPU-a", "idle"] == 0.5


def test_the_keys_of_a_saved_book() -> None:
    """What stands in the file is a format: older ones must be readable."""
    row = job_rows(round_trip(used().book))["2"]
    assert row == [
        [
            ["2", "slurm", "grace", "nlp", "", "", "owner"],
            ["", "/2", [17, 99], "boot-a"],
            [NOW.wall_ns, NOW.wall_ns + SECOND, "failed", 137, False],
        ],
        NOW.wall_ns + SECOND,
        NOW.boot_ns + 2 * SECOND,
        SECOND,
        SECOND // 3,
        {"GPU-a": [2000, 0]},
        [{}, {}, 0, 0, {}],
    ]
