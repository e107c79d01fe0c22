"""What a real sacct wrote, and shapes of it that its manual has and our cluster never came to."""

from __future__ import annotations

import contextlib
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.model.elsewhere import STATUSES, LeftOut, OutsideJob, Refused
from gputally.site.ledger import jobsacct
from gputally.site.ledger.jobsacct import COLUMNS, Terms, read_sacct
from gputally.site.ledger.jobwords import BadTable
from tests.elsewhere.recordings import BERLIN, LATEST_S, RECORDED, SEEN_S, TERMS

HEADER = (RECORDED / "sacct-epoch.txt").read_text().splitlines()[0].split("|")


def read(name, columns=(), zone=BERLIN):
    with (RECORDED / f"sacct-{name}.txt").open() as lines:
        return list(read_sacct(lines, Terms(SEEN_S, LATEST_S, zone), columns))


def jobs(found):
    return [row for row in found if isinstance(row, OutsideJob)]


def row(**values):
    """A line of the manual's columns."""
    told = {
        "JobIDRaw": "4711",
        "JobID": "4711",
        "JobName": "train",
        "User": "ada",
        "Account": "nlp",
        "Cluster": "lab",
        "State": "COMPLETED",
        "ExitCode": "0:0",
        "Start": "2026-11-05T12:00:00",
        "End": "2026-11-05T13:00:00",
        "ElapsedRaw": "3600",
        "AllocTRES": "billing=8,cpu=8,gres/gpu:a100=2,gres/gpu=2,mem=1G,node=1",
        "Comment": "",
    }
    assert values.keys() <= told.keys() == set(COLUMNS)
    return "|".join((told | values).values())


def one(line, terms=None):
    (found,) = read_sacct([line], terms or Terms(SEEN_S, LATEST_S, BERLIN))
    return found


def test_every_job_of_the_cluster_is_read_and_nothing_else():
    found = jobs(read("epoch"))
    told = {(job.job_id, job.shown_id, job.status, job.exit_code, job.gpus) for job in found}
    assert told == {
        ("1", "", "completed", 0, 2),
        ("2", "", "failed", 3, 1),
        ("3", "", "failed", 128 + 9, 1),
        ("5", "4_1", "completed", 0, 1),
        ("6", "4_2", "failed", 1, 1),
        ("4", "4_3", "completed", 0, 1),
        ("7", "", "requeued", 0, 1),
        ("7", "", "completed", 0, 1),
        ("8", "", "cancelled", 0, 1),
        ("10", "", "timeout", 0, 1),
        ("12", "", "completed", 0, 1),
        ("14", "", "running", None, 2),
    }
    assert {job.provider for job in found} == {"lab"}
    assert {job.gpu_type for job in found} == {"h100"}
    assert next(job for job in found if job.job_id == "2").name == "odd|name, `x`"
    assert next(job for job in found if job.job_id == "1").model == "llama-70b"


@pytest.mark.parametrize(("name", "columns"), [("steps", ()), ("noheader", tuple(HEADER)), ("trailing", ())])
def test_the_same_jobs_in_every_form_that_sacct_has(name, columns):
    """Clocks of Berlin or seconds, with a header or without, with steps, with a delimiter at the end."""
    known = {job.key: job for job in jobs(read("epoch"))}
    found = {job.key: job for job in jobs(read(name, columns))}
    if name == "trailing":  # written without --duplicates
        known = {key: job for key, job in known.items() if job.status != "requeued"}
    assert found == known


def test_steps_and_jobs_without_a_gpu_are_left_out_and_counted():
    left = [one.why for one in read("steps") if isinstance(one, LeftOut)]
    assert (left.count("step"), left.count("no_gpu"), len(left)) == (15, 1, 16)


def test_a_requeued_job_is_two_runs():
    first, second = (job for job in jobs(read("steps")) if job.job_id == "7")
    assert first.key != second.key
    assert first.end_s is not None
    assert first.end_s <= second.start_s


def test_a_job_that_runs_is_known_until_the_table_was_made():
    (runs,) = (job for job in jobs(read("epoch")) if job.running)
    assert runs.known_until_s == SEEN_S
    assert runs.gpu_seconds == (SEEN_S - runs.start_s) * 2


def test_without_a_header_the_columns_are_those_of_the_manual():
    found = one(row())
    assert isinstance(found, OutsideJob)
    assert (found.team, found.user, found.name, found.gpus, found.gpu_seconds) == (
        "nlp",
        "ada",
        "train",
        2,
        7200,
    )


@pytest.mark.parametrize(
    "told", [{"State": "PENDING", "Start": "Unknown", "End": "Unknown", "AllocTRES": ""}]
)
@pytest.mark.parametrize("job", ["4711", "4711_[3-9%2]", "4711_7", "4711+0"])
def test_what_waits_is_left_out(told, job):
    assert one(row(JobID=job, JobIDRaw="4711", **told)) == LeftOut(1, "not_started")


@pytest.mark.parametrize("start", ["None", "Unknown", ""])
def test_what_was_cancelled_before_it_began_is_left_out(start):
    line = row(State="CANCELLED by 1000", Start=start, End="2026-11-05T13:00:00", AllocTRES="")
    assert one(line) == LeftOut(1, "not_started")


@pytest.mark.parametrize("state", [*jobsacct._STATES, "CANCELLED by 1000"])
def test_every_state_of_slurm_has_its_word(state):
    found = one(row(State=state, End="Unknown" if state in RUNNING else "2026-11-05T13:00:00"))
    assert isinstance(found, OutsideJob)
    assert found.status in STATUSES
    assert found.running == (state in RUNNING)


RUNNING = {state for state, word in jobsacct._STATES.items() if word == "running"}


@pytest.mark.parametrize(
    ("tres", "gpus", "gpu_type"),
    [
        ("billing=1,cpu=1,gres/gpu=4,mem=1M,node=1", 4, ""),
        ("gres/gpu:h100=2,gres/gpu=2", 2, "h100"),
        ("gres/gpu:a100=1,gres/gpu:h100=2,gres/gpu=3", 3, "a100+h100"),
        ("gres/gpu:h100=2", 2, "h100"),
        ("gres/gpumem=80G,gres/gpuutil=50,gres/gpu=1", 1, ""),
    ],
)
def test_gpus_are_counted_once_by_type_or_not(tres, gpus, gpu_type):
    found = one(row(AllocTRES=tres))
    assert isinstance(found, OutsideJob)
    assert (found.gpus, found.gpu_type) == (gpus, gpu_type)


def test_card_team_and_cluster_are_as_whoever_imports_says():
    terms = Terms(
        SEEN_S,
        LATEST_S,
        BERLIN,
        provider="east",
        card_of={"a100": "a100-sxm4-80gb"}.__getitem__,
        team_of=lambda account, user: f"{account}/{user}",
    )
    found = one(row(), terms)
    assert isinstance(found, OutsideJob)
    assert (found.provider, found.gpu_type, found.team) == ("east", "a100-sxm4-80gb", "nlp/ada")


@pytest.mark.fault("jobs-times")
def test_in_the_hour_that_comes_twice_the_length_of_the_job_tells():
    """On 25 October 2026 clocks in Berlin went from 03:00 back to 02:00: half past two comes twice."""
    told = {"Start": "2026-10-25T02:30:00", "End": "2026-10-25T02:30:00"}
    summer_s = int(datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN).timestamp())
    found = one(row(**told, ElapsedRaw="3600"))
    assert isinstance(found, OutsideJob)
    assert (found.start_s, found.end_s) == (summer_s, summer_s + 3600)
    over = {"Start": "2026-10-25T01:30:00", "End": "2026-10-25T03:30:00"}
    long = one(row(**over, ElapsedRaw="10800"))
    assert isinstance(long, OutsideJob)
    assert long.gpu_seconds == 2 * 3 * 3600
    for elapsed in ("0", "17", ""):
        refused = one(row(**told, ElapsedRaw=elapsed))
        assert isinstance(refused, Refused)
        assert "twice" in refused.reason


@pytest.mark.fault("jobs-damaged")
@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"State": "HAPPY"}, "state 'HAPPY' is none of Slurm's"),
        ({"Start": "yesterday"}, "'yesterday' is no time"),
        ({"Start": "2026-11-05"}, "is a day"),
        ({"End": "2026-11-05T11:00:00"}, "it ends before it starts"),
        ({"End": "Unknown"}, "and no end"),
        ({"Start": "2026-03-29T02:30:00", "End": "2026-03-29T04:30:00"}, "was never"),
        ({"JobIDRaw": "Robert'); DROP TABLE jobs;--"}, "is no job of Slurm"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused_with_its_reason(told, reason):
    found = one(row(**told))
    assert isinstance(found, Refused)
    assert reason in found.reason


@pytest.mark.fault("jobs-damaged")
def test_a_line_that_ends_too_early_is_refused_and_named():
    lines = (RECORDED / "sacct-epoch.txt").read_text()[:-60].splitlines()
    *whole, half = read_sacct(lines, Terms(SEEN_S, LATEST_S))
    assert not any(isinstance(found, Refused) for found in whole)
    assert half == Refused(len(lines), "16 fields where there are 18 columns")


@pytest.mark.fault("jobs-damaged")
@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["JobID|State|End", "1|COMPLETED|x"], "no column Start, AllocTRES: sacct -P --format=JobIDRaw,"),
        (["JobID|JobID|State|Start|End|AllocTRES"], "column JobID is there twice"),
        (["JobID|a\x1b[2J|a\x1b[2J|State|Start|End|AllocTRES"], r"column a\?\[2J is there twice"),
        ([row(Start="2026-11-05\x1b12:00:00")], r"2026-11-05\?12:00:00 has no offset"),
        (["1|2|3"], "no header, and 3 fields where 13 columns are expected"),
        ([row()], "has no offset: say whose clocks are meant with --timezone"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_as_a_whole(lines, reason):
    with pytest.raises(BadTable, match=reason):
        list(read_sacct(lines, Terms(SEEN_S, LATEST_S)))


@pytest.mark.fault("jobs-hostile")
def test_words_of_strangers_come_in_as_text_that_prints():
    found = one(row(JobName="a\x1b[31mb" + "c" * 500, Comment="x, model=m\x07o,y"))
    assert isinstance(found, OutsideJob)
    assert found.name.startswith("a_[31mbccc")
    assert len(found.name) == 128
    assert found.model == "m_o"


@pytest.mark.fault("jobs-hostile")
@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"Start": "2026-12-05T12:00:00", "End": "Unknown", "State": "RUNNING"}, "in the future"),
        ({"End": "2027-11-05T12:00:00"}, "in the future"),
        ({"Start": "0001-01-01T00:00:00"}, "of no year from 2000 to 2100"),
        ({"End": "9999-12-31T23:59:59"}, "of no year from 2000 to 2100"),
        ({"Start": "2001-01-01T00:00:00"}, "more than ten years"),
        ({"AllocTRES": "gres/gpu=99999999999"}, "99999999999 GPUs are more than 100000"),
        ({"AllocTRES": "gres/gpu=" + "9" * 5000}, "no_gpu"),
    ],
)
def test_numbers_that_nobody_can_add_up_are_not_let_in(told, reason):
    found = one(row(**told))
    assert isinstance(found, Refused | LeftOut)
    assert reason in (found.reason if isinstance(found, Refused) else found.why)


@pytest.mark.fault("jobs-damaged")
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=60), min_size=1, max_size=6))
def test_any_text_is_rows_or_no_table(lines):
    for text in (lines, [row(), *lines], ["|".join(COLUMNS), *lines]):
        with contextlib.suppress(BadTable):
            assert all(isinstance(found, OutsideJob | Refused | LeftOut) for found in read_sacct(text, TERMS))


@pytest.mark.fault("jobs-damaged")
@given(st.sampled_from(COLUMNS), st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_field_is_read_or_refused_and_what_is_read_can_be_kept(column, text):
    with contextlib.suppress(BadTable):
        (found,) = read_sacct([row(**{column: text.replace("\n", " ").replace("\r", " ")})], TERMS)
        if isinstance(found, OutsideJob):
            assert 0 < found.gpus <= 100_000
            assert 0 <= found.gpu_seconds < 1 << 50
            assert all(value.isprintable() for value in (found.name, found.user, found.team, found.gpu_type))
