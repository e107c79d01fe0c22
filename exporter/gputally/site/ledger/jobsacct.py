"""Rows of `sacct -P` -> runs of jobs.

Columns are those of the header; without one, those that are named, or COLUMNS, which the manual has as the
command to type. Steps (`35.batch`) are a part of their job and left out, as is what never started, what
waits, and what had no GPU. Each line of `--duplicates` is a run of its own: a requeued job has several.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from gputally.model.elsewhere import RUNNING, SLURM, Found, LeftOut, OutsideJob, Refused
from gputally.site.ledger.jobtimes import instants, span
from gputally.site.ledger.jobwords import BadTable, clean

COLUMNS = (
    *("JobIDRaw", "JobID", "JobName", "User", "Account", "Cluster", "State", "ExitCode"),
    *("Start", "End", "ElapsedRaw", "AllocTRES", "Comment"),
)
NEEDED = ("State", "Start", "End", "AllocTRES")  # and JobID or JobIDRaw
# What people may write anything into; sacct does not quote.
_FREE = ("JobName", "Comment", "AdminComment", "SystemComment", "WorkDir", "SubmitLine", "Constraints")
_STATES = {
    "RUNNING": RUNNING,
    "SUSPENDED": RUNNING,
    "COMPLETING": RUNNING,
    "RESIZING": RUNNING,
    "STAGE_OUT": RUNNING,
    "COMPLETED": "completed",
    "FAILED": "failed",
    "BOOT_FAIL": "node_fail",
    "CANCELLED": "cancelled",
    "REVOKED": "cancelled",
    "TIMEOUT": "timeout",
    "DEADLINE": "timeout",
    "OUT_OF_MEMORY": "out_of_memory",
    "NODE_FAIL": "node_fail",
    "PREEMPTED": "preempted",
    "REQUEUED": "requeued",
    "SPECIAL_EXIT": "requeued",
}
_WAITING = frozenset({"PENDING", "CONFIGURING", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD"})
_KNOWN = _STATES.keys() | _WAITING
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T|[0-9]{9,11}$", re.ASCII)
_NO_TIME = ("Unknown", "None", "")
_MOST_DELIMITERS = 3  # in free texts of the first line
MOST_GPUS = 100_000  # of one job
_NUMBER = re.compile(r"[0-9]{1,12}", re.ASCII)
_EXIT = re.compile(r"([0-9]{1,3}):([0-9]{1,3})", re.ASCII)
_GPU = re.compile(r"gres/gpu(?::([^=,]+))?=([0-9]{1,12})(?![0-9])", re.ASCII)
_ID = re.compile(r"[0-9]{1,20}(?:_(?:[0-9]{1,20}|\[[0-9,:%-]{0,60}\]))?(?:\+[0-9]{1,6})?", re.ASCII)
_MODEL = re.compile(r"(?:^|[\s,;])model=([^\s,;]+)")


@dataclass(frozen=True, slots=True)
class Terms:
    """What has to be known to read rows."""

    seen_s: int  # when the table was made
    latest_s: int  # later than this nothing can have been
    zone: tzinfo | None = None
    provider: str = ""  # instead of the column Cluster
    gpu_type: str = ""  # where a row names none
    card_of: Callable[[str], str] = str.lower
    team_of: Callable[[str, str], str] = lambda account, _user: account  # of account and user


def is_header(fields: Sequence[str]) -> bool:
    """Whether a line names columns."""
    return bool({"JobID", "JobIDRaw"} & set(fields)) and "State" in fields


def check_columns(columns: Sequence[str]) -> None:
    """Raise BadTable where these do not tell what a job has used."""
    missing = [name for name in NEEDED if name not in columns]
    if not {"JobID", "JobIDRaw"} & set(columns):
        missing.insert(0, "JobIDRaw")
    if missing:
        raise BadTable(f"no column {', '.join(missing)}: sacct -P --format={','.join(COLUMNS)}")
    twice = sorted({name[:40] for name in columns if columns.count(name) > 1})
    if twice:
        raise BadTable(f"column {', '.join(twice)} is there twice")


def read_sacct(
    lines: Iterable[str], terms: Terms, columns: Sequence[str] = (), delimiter: str = "|"
) -> Iterator[Found]:
    """Every row of a file, in its order. Raises BadTable before the first one.

    Args:
        lines: with or without their ends.
        terms: what has to be known.
        columns: what they are where the file has no header; COLUMNS if nothing is said.
        delimiter: that of --delimiter.
    """
    known: Sequence[str] = ()
    ends_so = False  # sacct -p ends every line with the delimiter
    for number, text in enumerate(lines, 1):
        line = text.rstrip("\r\n")
        if not line.strip():
            continue
        fields = line.split(delimiter)
        if is_header(fields):
            ends_so = fields[-1] == ""
            known = fields[:-1] if ends_so else fields
            check_columns(known)
            continue
        if not known:
            known = columns or COLUMNS
            check_columns(known)
            _check_first(fields, known)
        try:
            row = _row(fields[:-1] if ends_so and fields[-1] == "" else fields, known, delimiter)
            yield _found(number, row, terms)
        except ValueError as error:
            yield Refused(number, str(error))


def _check_first(fields: Sequence[str], columns: Sequence[str]) -> None:
    """Raise BadTable where a file without a header cannot have these columns."""
    over = len(fields) - len(columns)
    if not 0 <= over <= _MOST_DELIMITERS:
        raise BadTable(
            f"no header, and {len(fields)} fields where {len(columns)} columns are expected "
            f"({','.join(columns)}): leave -n away, or give --columns"
        )


def _row(fields: list[str], columns: Sequence[str], delimiter: str) -> dict[str, str]:
    """As many fields as columns: one of the free texts may have delimiters in it, whichever makes sense."""
    over = len(fields) - len(columns)
    if over == 1 and fields[-1] == "" and _is_sound(bare := dict(zip(columns, fields, strict=False))):
        return bare  # sacct -p without a header
    if over == 0:
        return dict(zip(columns, fields, strict=True))
    if over > 0:
        fits = []
        for at in (columns.index(name) for name in _FREE if name in columns):
            text = delimiter.join(fields[at : at + over + 1])
            fits.append(dict(zip(columns, [*fields[:at], text, *fields[at + over + 1 :]], strict=True)))
        sound = [row for row in fits if _is_sound(row)]
        if len(sound) == 1:
            return sound[0]
    raise ValueError(f"{len(fields)} fields where there are {len(columns)} columns")


def _is_sound(row: Mapping[str, str]) -> bool:
    """Whether everything stands in its own column."""
    times = all(row[name] in _NO_TIME or _TIME.match(row[name]) for name in ("Start", "End"))
    return times and _word(row) in _KNOWN and "|" not in row["AllocTRES"]


def _word(row: Mapping[str, str]) -> str:
    return row["State"].split(" ")[0].rstrip("+")  # CANCELLED by 1000


def _found(line: int, row: Mapping[str, str], terms: Terms) -> Found:
    shown, raw = row.get("JobID", ""), row.get("JobIDRaw", "")
    if "." in (raw or shown):
        return LeftOut(line, "step")
    job_id = raw or shown
    if not _ID.fullmatch(job_id):
        raise ValueError(f"{job_id[:40]!r} is no job of Slurm")
    word = _word(row)
    if word in _WAITING:
        return LeftOut(line, "not_started")
    status = _STATES.get(word)
    if status is None:
        raise ValueError(f"state {row['State'][:40]!r} is none of Slurm's")
    starts, ends = instants(row["Start"], terms.zone), instants(row["End"], terms.zone)
    if not starts:
        return LeftOut(line, "not_started")
    gpus, gpu_type = _gpus(row["AllocTRES"])
    if not gpus:
        return LeftOut(line, "not_started" if status == "cancelled" and not row["AllocTRES"] else "no_gpu")
    elapsed = row.get("ElapsedRaw", "")
    start_s, end_s = span(starts, ends, int(elapsed) if _NUMBER.fullmatch(elapsed) else None, terms.latest_s)
    if end_s is None and status != RUNNING:
        raise ValueError(f"state {word} and no end")
    return OutsideJob(
        provider=clean(terms.provider or row.get("Cluster", "")) or SLURM,
        job_id=job_id,
        start_s=start_s,
        end_s=None if status == RUNNING else end_s,
        seen_s=terms.seen_s,
        status=status,
        exit_code=None if status == RUNNING else _exit_code(row.get("ExitCode", "")),
        scheduler=SLURM,
        shown_id=clean(shown) if shown != job_id else "",
        user=clean(row.get("User", "")),
        team=clean(terms.team_of(row.get("Account", ""), row.get("User", ""))),
        name=clean(row.get("JobName", "")),
        model=_model(row.get("Comment", "")),
        gpu_type=clean(terms.card_of(gpu_type or terms.gpu_type)) if gpu_type or terms.gpu_type else "",
        gpus=gpus,
    )


def _gpus(tres: str) -> tuple[int, str]:
    """How many, and of which type: gres/gpu counts all, gres/gpu:type those of one type."""
    plain, typed = 0, dict[str, int]()
    for kind, count in _GPU.findall(tres):
        if kind:
            typed[kind] = typed.get(kind, 0) + int(count)
        else:
            plain = int(count)
    gpus = plain or sum(typed.values())
    if gpus > MOST_GPUS:
        raise ValueError(f"{gpus} GPUs are more than {MOST_GPUS}")
    return gpus, "+".join(sorted(typed))


def _exit_code(text: str) -> int | None:
    """`3:0` is 3; `0:9` is ended by signal 9, which shells call 137."""
    found = _EXIT.fullmatch(text.strip())
    if not found:
        return None
    code, number = int(found[1]), int(found[2])
    return 128 + number if number else code


def _model(comment: str) -> str:
    """What `sbatch --comment="model=llama-70b"` says; nothing else of a comment is kept."""
    found = _MODEL.search(comment)
    return clean(found[1]) if found else ""
