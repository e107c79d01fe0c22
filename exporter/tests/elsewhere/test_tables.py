"""Tables of jobs as people and platforms write them: CSV and JSON."""

from __future__ import annotations

import contextlib
import io
import json
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.model.elsewhere import OutsideJob, Refused
from gputally.site.ledger.jobsacct import Terms
from gputally.site.ledger.jobtables import read_csv, read_json
from gputally.site.ledger.jobwords import BadTable

SEEN_S = 1_795_900_000
LATEST_S = SEEN_S + 86_400
TERMS = Terms(SEEN_S, LATEST_S, ZoneInfo("Europe/Berlin"))
CSV = """\
job,team,model,gpu type,provider,start,end,status
run-1,vision,vit,h100,Lambda,2026-11-05T10:00:00Z,2026-11-05T12:00:00Z,completed
run-2,nlp,llama,h100,lambda,2026-11-05T11:00:00,2026-11-05T12:30:00+01:00,Failed
run-3,nlp,,,lambda,1795890000,,running
"""
JOBS = {
    "run-1": ("lambda", 1_793_872_800, 1_793_880_000, "completed", "h100"),
    "run-2": ("lambda", 1_793_872_800, 1_793_878_200, "failed", "h100"),
    "run-3": ("lambda", 1_795_890_000, None, "running", ""),
}


def csv_of(text, terms=TERMS):
    return list(read_csv(io.StringIO(text, newline=""), terms))


def told(found):
    assert all(isinstance(job, OutsideJob) for job in found), found
    return {job.job_id: (job.provider, job.start_s, job.end_s, job.status, job.gpu_type) for job in found}


def as_objects():
    head, *lines = (line.split(",") for line in CSV.splitlines())
    return [dict(zip(head, line, strict=True)) for line in lines]


def test_a_row_is_a_run_of_a_job():
    found = csv_of(CSV)
    assert told(found) == JOBS
    assert {job.scheduler for job in found} == {"import"}
    assert [job.gpus for job in found] == [1, 1, 1]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(as_objects()),
        json.dumps({"jobs": as_objects()}),
        "\n".join(map(json.dumps, as_objects())),
        json.dumps([row | {"end": row["end"] or None} for row in as_objects()]),
    ],
    ids=["list", "object", "lines", "null"],
)
def test_json_has_the_same_rows(text):
    assert told(list(read_json(text, TERMS))) == JOBS


def test_names_of_columns_may_be_others():
    text = "ID;x".replace(";x", ",Cluster,started_at,ended_at,State,GPU,GPU count,user,Job name,exit-code\n")
    text += "7,east,1793872800,1793880000,succeeded,L40S,4,ada,sweep,0\n"
    (job,) = csv_of(text)
    assert (job.gpus, job.user, job.name, job.exit_code, job.status) == (4, "ada", "sweep", 0, "completed")
    assert job.gpu_seconds == 4 * 7200


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_ends_of_lines_and_empty_lines_do_not_matter(newline):
    assert told(csv_of(CSV.replace("\n", newline * 2))) == JOBS


@pytest.mark.fault("jobs-damaged")
@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"status": "fine"}, "status 'fine' is none of running, completed"),
        ({"job": ""}, "no job id"),
        ({"start": ""}, "no start"),
        ({"start": "soon"}, "'soon' is no time"),
        ({"end": ""}, "it is completed and has no end"),
        ({"status": "running"}, "it is running and has an end"),
        ({"end": "2026-11-05T09:00:00Z"}, "it ends before it starts"),
        ({"start": "2026-10-25T02:30:00"}, "twice that day"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused_and_the_others_are_not(changed, reason):
    rows = as_objects()
    rows[0] |= changed
    text = "\n".join(",".join(row) for row in (rows[0], *(row.values() for row in rows)))
    for found in (csv_of(text + "\n"), list(read_json(json.dumps(rows), TERMS))):
        assert isinstance(found[0], Refused)
        assert reason in found[0].reason
        assert set(told(found[1:])) == {"run-2", "run-3"}


def test_lines_of_refused_rows_are_those_of_the_file():
    text = CSV + 'run-4,"two\nlines",,,x,1793872800,1793880000,completed\nrun-5,a\nrun-6,a,b,c,d,e,f,g,h\n'
    refused = [found for found in csv_of(text) if isinstance(found, Refused)]
    assert [(one.line, one.reason) for one in refused] == [
        (7, "2 fields where there are 8 columns"),
        (8, "9 fields where there are 8 columns"),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no column job, start, status"),
        ("job,start\n", "no column status: expected job,team,model,gpu_type,provider,start,end,status"),
        ("job,id,start,status\n", "column job is there twice"),
        ("job,start,status,cost\n", "column 'cost' is none of job,"),
        ("job,start,status\n1,2026-11-05T10:00:00,running\n", "has no offset"),
    ],
)
def test_a_file_with_wrong_columns_is_refused_as_a_whole(text, reason):
    with pytest.raises(BadTable, match=reason):
        csv_of(text, Terms(SEEN_S, LATEST_S))


@pytest.mark.fault("jobs-damaged")
@pytest.mark.parametrize("text", ["{", "[1, 2", '"jobs"', "NaN", "[" * 100_000, "7"])
def test_what_is_no_json_is_refused_as_a_whole(text):
    with pytest.raises(BadTable):
        list(read_json(text, TERMS))


@pytest.mark.parametrize(
    "row", [7, None, "x", [], {"job": {}}, {"job": True, "start": 1, "status": "running"}]
)
def test_what_is_no_row_is_refused_alone(row):
    refused, *rest = read_json(json.dumps([row, *as_objects()]), TERMS)
    assert isinstance(refused, Refused)
    assert refused.line == 1
    assert told(rest) == JOBS


def test_a_card_is_what_the_catalogue_says_and_else_small_letters():
    terms = Terms(SEEN_S, LATEST_S, card_of=str.lower, gpu_type="A100", provider="west")
    found = csv_of(
        "job,start,end,status,gpu\n1,1793872800,1793872801,done,\n2,1793872800,1793872801,done,H100\n", terms
    )
    assert [(job.gpu_type, job.provider) for job in found] == [("a100", "west"), ("h100", "west")]


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "x", "1e3", "100001", "٣"])
def test_a_number_of_gpus_is_a_whole_number(number):
    (found,) = csv_of(f"job,start,end,status,gpus\n1,1793872800,1793872801,done,{number}\n")
    assert isinstance(found, Refused)
    assert "number of GPUs" in found.reason


@pytest.mark.fault("jobs-damaged")
@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_any_text_is_rows_or_no_table(text):
    for read in (lambda: csv_of(CSV + text), lambda: csv_of(text), lambda: list(read_json(text, TERMS))):
        with contextlib.suppress(BadTable):
            assert all(isinstance(found, OutsideJob | Refused) for found in read())


@pytest.mark.fault("jobs-damaged")
@given(
    st.dictionaries(
        st.sampled_from(("job", "start", "end", "status", "gpus", "exit_code", "team", "model", "user")),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    )
)
def test_any_object_is_a_row_or_refused(row):
    rows = [{"job": "1", "start": 1_793_872_800, "end": 1_793_872_900, "status": "done"} | row]
    (found,) = read_json(json.dumps(rows).replace("NaN", "7").replace("Infinity", "7"), TERMS)
    assert isinstance(found, OutsideJob | Refused)
