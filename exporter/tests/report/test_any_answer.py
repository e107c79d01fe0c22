"""Whatever stands where Prometheus should: samples as they were written, and a report, or one line."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gputally.cli import main
from gputally.report.answers import Sample, read_answer, read_error
from gputally.report.asking import Inquiry
from gputally.report.failures import ReportError
from gputally.report.jobs import jobs
from gputally.report.site import find_range
from gputally.report.today import today
from tests.report.answering import Answer, Seen, Speaker, speaking
from tests.report.inquiring import Scripted, sample

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "http://127.0.0.1:9090"
NAMES = ["instance", "gpu", "uuid", "name", "cluster", "reason", "state", "team", "user", "model"]
LABELS = {name: f"a-{name}" for name in [*NAMES, "job_id", "job_name", "scheduler"]} | {
    "currency": "EUR",
    "timezone": "UTC",
}
VECTOR = [{"metric": LABELS, "value": [1_795_000_000.1, "1.5"]}, {"metric": {}, "value": [1, "2"]}]
GOOD = {"status": "success", "data": {"resultType": "vector", "result": VECTOR}, "warnings": ["w"]}
RULES = {"status": "success", "data": {"groups": [{"rules": [{"name": "gpu:energy_joules:increase1h"}]}]}}
ODD = st.sampled_from(
    [
        *(
            None,
            True,
            0,
            -1,
            1.5,
            1e300,
            math.inf,
            math.nan,
            10**40,
            [],
            {},
            [[]],
            {"a": 1},
            [0, "1"],
            [1, [2], 3],
        ),
        *(
            "",
            "1",
            "-0",
            "1e400",
            "NaN",
            "+Inf",
            "1_000",
            " 1 ",
            "\u0663",
            "0x1",
            "1,5",
            "x",
            "\x1b[2J",
            "a\nb",
        ),
        *("\ud800", "\u202e", "scalar", "matrix", "vector", "UTC", "Mars/Phobos", "x" * 300),
    ]
)


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every value below a node, as what holds it and under which key."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inner:
        yield node, key
        yield from places(value)


@st.composite
def spoiled(draw: st.DrawFn, good: Any) -> bytes:
    """A good answer with up to three values that are others."""
    answer = copy.deepcopy(good)
    for _ in range(draw(st.integers(0, 3))):
        holder, key = draw(st.sampled_from(list(places(answer))))
        holder[key] = copy.deepcopy(draw(ODD))
        if not list(places(answer)):
            break
    return json.dumps(answer).encode()


REFUSED = {"status": "error", "errorType": "bad_data", "error": "parse error"}
BODIES = st.one_of(spoiled(GOOD), spoiled(REFUSED), st.binary(max_size=30), st.just(b"[" * 50_000))


@pytest.mark.fault("report-unanswered")
@settings(max_examples=500)
@given(body=BODIES)
def test_any_answer_is_samples_as_they_were_written_or_one_line(body):
    assert read_error(body)[1].isprintable()
    try:
        samples, warnings = read_answer(URL, body)
    except ReportError as error:
        line = str(error)
        assert line.isprintable()
        assert line.startswith(f"{URL}: ")
        return
    told = [
        series for series in as_vector(json.loads(body)["data"]) if Decimal(series["value"][1]).is_finite()
    ]
    assert [one.value for one in samples] == [Decimal(series["value"][1]) for series in told]
    for one, series in zip(samples, told, strict=True):
        assert isinstance(series["value"][1], str)
        assert dict(one.labels) == series["metric"]
        assert all(isinstance(value, str) for value in one.labels.values())
    assert all(isinstance(warning, str) for warning in warnings)


def as_vector(data: Any) -> Any:
    return data["result"] if data["resultType"] == "vector" else [{"metric": {}, "value": data["result"]}]


@pytest.fixture(scope="module")
def speaker() -> Iterator[Speaker]:
    """Says what SAYS has, by the path that is asked for."""
    with speaking(lambda seen: Answer(body=SAYS[path_of(seen)])) as there:
        yield there


SAYS: dict[str, bytes] = {}


def path_of(seen: Seen) -> str:
    return "rules" if seen.path.startswith("/api/v1/rules") else "query"


@pytest.mark.fault("report-unanswered")
@settings(max_examples=100, deadline=5_000, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(["jobs", "teams", "gpus", "today", "waste"]),
    form=st.sampled_from(["table", "csv", "json"]),
    query=spoiled(GOOD),
    rules=spoiled(RULES),
)
def test_a_report_of_any_answer_is_a_report_or_one_line(speaker, name, form, query, rules):
    SAYS.update(query=query, rules=rules)
    times = [] if name == "today" else ["--from=2026-11-10", "--to=2026-11-11"]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(["report", name, *times, f"--format={form}", f"--prometheus.url={speaker.url}"])
    written, said = out.getvalue(), err.getvalue()
    (written + said).encode()
    assert ended.value.code in (None, 0, 1)
    for_people = written + said if form == "table" else said
    assert all(line.isprintable() for line in for_people.split("\n"))
    if ended.value.code:
        assert written == ""
        assert said.splitlines()[-1].startswith("gputally: error: ")


@pytest.mark.parametrize("day", ["a-day", "", "0001-01-01"])
def test_a_day_that_is_none_is_one_line(day):
    """Of a program whose series are called as ours."""
    whole, _ = find_range(Scripted(lambda *_: []), ("6h", ""), "UTC", 1_800_000_000)
    server = Scripted(lambda *_: [sample(1, {"day": day})])
    with pytest.raises(ReportError, match=rf"^site_day_info has the day '{day}', which is none$"):
        today(Inquiry(server, whole, 1_800_000_000), ("gpu",))


@pytest.mark.parametrize("time", ["-1", "1e15"])
def test_a_time_that_no_calendar_has_is_not_known(time):
    def answer(expression: str, _at: int) -> list[Sample]:
        return [sample(time if "time_seconds" in expression else 1, {"job_id": "7"})]

    whole, _ = find_range(Scripted(lambda *_: []), ("6h", ""), "UTC", 1_800_000_000)
    (row,) = jobs(Inquiry(Scripted(answer), whole, 1_800_000_000), (), {}).rows
    assert (row["job_id"], row["start"], row["end"]) == ("7", None, None)
