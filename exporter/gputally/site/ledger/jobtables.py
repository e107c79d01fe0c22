"""Tables of jobs as people and platforms write them, CSV and JSON -> runs of jobs.

job,team,model,gpu_type,provider,start,end,status[,gpus,user,name,exit_code]
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gputally.model.elsewhere import RUNNING, STATUSES, Found, OutsideJob, Refused
from gputally.site.ledger.jobsacct import MOST_GPUS, Terms
from gputally.site.ledger.jobtimes import BadTime, instants, span
from gputally.site.ledger.jobwords import BadTable, clean

_NAMES = {
    "job": "job",
    "job_id": "job",
    "id": "job",
    "team": "team",
    "user": "user",
    "name": "name",
    "job_name": "name",
    "model": "model",
    "gpu_type": "gpu_type",
    "gpu": "gpu_type",
    "gpus": "gpus",
    "gpu_count": "gpus",
    "provider": "provider",
    "cluster": "provider",
    "start": "start",
    "start_time": "start",
    "started_at": "start",
    "end": "end",
    "end_time": "end",
    "ended_at": "end",
    "status": "status",
    "state": "status",
    "exit_code": "exit_code",
}
NEEDED = ("job", "start", "status")
ASKED = "job,team,model,gpu_type,provider,start,end,status"
_STATUSES = {word: word for word in STATUSES} | {
    "success": "completed",
    "succeeded": "completed",
    "done": "completed",
    "finished": "completed",
    "error": "failed",
    "failure": "failed",
    "canceled": "cancelled",
    "stopped": "cancelled",
    "killed": "cancelled",
    "timed_out": "timeout",
    "oom": "out_of_memory",
    "active": RUNNING,
}


def columns_of(names: Iterable[str]) -> dict[str, str]:
    """What each column means. Raises BadTable for one that nobody knows, that is there twice or missing."""
    meant: dict[str, str] = {}
    for name in names:
        word = name.strip().lower().replace(" ", "_").replace("-", "_")
        if word not in _NAMES:
            raise BadTable(f"column {name.strip()[:40]!r} is none of {', '.join(dict.fromkeys(_NAMES))}")
        if _NAMES[word] in meant.values():
            raise BadTable(f"column {_NAMES[word]} is there twice")
        meant[name] = _NAMES[word]
    missing = [name for name in NEEDED if name not in meant.values()]
    if missing:
        raise BadTable(f"no column {', '.join(missing)}: expected {ASKED}")
    return meant


def read_csv(lines: Iterable[str], terms: Terms) -> Iterator[Found]:
    """Every row of a file. Raises BadTable before the first one."""
    reader = csv.reader(lines, strict=True)
    try:
        names = next(reader, [])
    except csv.Error as error:
        raise BadTable(f"the first line is no CSV: {error}") from None
    meant = list(columns_of(names).values())
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            yield Refused(reader.line_num, f"no CSV: {error}")
            continue
        if fields is None:
            return
        if not fields:
            continue
        if len(fields) != len(meant):
            yield Refused(reader.line_num, f"{len(fields)} fields where there are {len(meant)} columns")
            continue
        yield _judged(reader.line_num, dict(zip(meant, fields, strict=True)), terms)


def read_json(text: str, terms: Terms) -> Iterator[Found]:
    """A list of objects, an object with the list `jobs`, or an object in each line; rows count from 1.

    Raises BadTable where it is none of these.
    """
    try:
        document = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        yield from _lines(text, terms)
        return
    if isinstance(document, dict):
        document = document.get("jobs", [document])
    if not isinstance(document, list):
        raise BadTable("expected a list of jobs, or an object with the list jobs")
    for number, row in enumerate(document, 1):
        yield _object(number, row, terms)


def _lines(text: str, terms: Terms) -> Iterator[Found]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_constant=_no_number)
        except (ValueError, RecursionError):
            if number == 1:
                raise BadTable("it is neither JSON nor an object in each line") from None
            yield Refused(number, "no JSON")
            continue
        yield _object(number, row, terms)


def _object(number: int, row: object, terms: Terms) -> Found:
    if not isinstance(row, dict):
        return Refused(number, "no object")
    try:
        meant = columns_of(row)
        return _job({meant[name]: _text(value) for name, value in row.items()}, terms)
    except (ValueError, BadTable) as error:
        return Refused(number, str(error))


def _text(value: Any) -> str:  # noqa: ANN401 - JSON
    if isinstance(value, bool | dict | list):
        raise ValueError(f"{str(value)[:40]!r} where a text or a number is expected")  # noqa: TRY004
    return "" if value is None else str(value)


def _no_number(constant: str) -> object:
    raise ValueError(constant)


def _judged(line: int, row: Mapping[str, str], terms: Terms) -> Found:
    try:
        return _job(row, terms)
    except ValueError as error:
        return Refused(line, str(error))


def _job(row: Mapping[str, str], terms: Terms) -> OutsideJob:
    job_id = clean(row["job"])
    if not job_id:
        raise ValueError("no job id")
    word = row["status"].strip().lower().replace(" ", "_").replace("-", "_")
    status = _STATUSES.get(word)
    if status is None:
        raise ValueError(f"status {row['status'][:40]!r} is none of {', '.join(STATUSES)}")
    starts, ends = instants(row["start"], terms.zone), instants(row.get("end", ""), terms.zone)
    if not starts:
        raise BadTime("no start")
    if status == RUNNING and ends:
        raise ValueError("it is running and has an end")
    if status != RUNNING and not ends:
        raise ValueError(f"it is {status} and has no end")
    start_s, end_s = span(starts, ends, None, terms.latest_s)
    gpu_type, user = row.get("gpu_type", "").strip() or terms.gpu_type, row.get("user", "")
    return OutsideJob(
        provider=clean(terms.provider or row.get("provider", "")).lower() or "elsewhere",
        job_id=job_id,
        start_s=start_s,
        end_s=end_s,
        seen_s=terms.seen_s,
        status=status,
        exit_code=_number(row.get("exit_code", ""), "exit code", 0, 255) if row.get("exit_code") else None,
        user=clean(user),
        team=clean(row.get("team", "")) or terms.team_of("", user),
        name=clean(row.get("name", "")),
        model=clean(row.get("model", "")),
        gpu_type=clean(terms.card_of(gpu_type)) if gpu_type else "",
        gpus=_number(row.get("gpus", ""), "number of GPUs", 1, MOST_GPUS) if row.get("gpus") else 1,
    )


def _number(text: str, what: str, least: int, most: int) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise ValueError(f"{what} {text[:40]!r} is no whole number from {least} to {most}")
    return int(text)
