"""Runs of jobs in the ledger: put there once, however often their tables are imported, and found again.

A run is known by provider, job and start. What is told of it later replaces what was told before, but for one
thing: a table that still has it running does not take back that it has ended.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter

from gputally.model.elsewhere import LeftOut, OutsideJob, Refused, Run
from gputally.site.ledger.store import Ledger

KINDS = ("sacct", "jobs_csv", "jobs_json")  # in the column `kind` of imports
RESULTS = ("inserted", "updated", "unchanged", "rejected")
MOST_REFUSED = 1000  # whose lines are kept; all are counted
_COLUMNS = tuple(one.name for one in fields(OutsideJob))
_ALL = attrgetter(*_COLUMNS)
_FIND = f"SELECT {', '.join(_COLUMNS)} FROM jobs WHERE provider = ? AND job_id = ? AND start_s = ?"  # noqa: S608 - names of ours
_PUT = (
    f"INSERT OR REPLACE INTO jobs ({', '.join(_COLUMNS)}, until_s) "  # noqa: S608 - as above
    f"VALUES ({', '.join('?' * len(_COLUMNS))}, ?)"
)
_IMPORT = "INSERT INTO imports (at_ns, kind, file, sha256) VALUES (?, ?, ?, ?)"
_COUNT = "INSERT INTO import_counts (import_id, provider, result, rows) VALUES (?, ?, ?, ?)"
_BETWEEN = """
SELECT {columns},
       (SELECT COUNT(*) FROM jobs AS earlier
        WHERE earlier.provider = jobs.provider AND earlier.job_id = jobs.job_id
          AND earlier.start_s < jobs.start_s)
FROM jobs WHERE until_s >= ? AND start_s < ? {where}
ORDER BY start_s DESC, provider, job_id
"""
_SUMS = """
SELECT provider, team, model, gpu_type, status, COUNT(*), SUM((until_s - start_s) * gpus)
FROM jobs WHERE until_s >= ? GROUP BY provider, team, model, gpu_type, status
ORDER BY provider, team, model, gpu_type, status
"""


@dataclass(frozen=True, slots=True)
class Origin:
    """The file that an import is of."""

    kind: str  # of KINDS
    file: str
    sha256: str
    at_ns: int


@dataclass(slots=True)
class Imported:
    """What became of the rows of a file."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)  # (provider, result)
    left_out: Counter[str] = field(default_factory=Counter)  # step, not_started, no_gpu
    refused: list[Refused] = field(default_factory=list)  # the first MOST_REFUSED

    @property
    def rows(self) -> int:
        """All of them."""
        return self.counts.total() + self.left_out.total()

    def total(self, result: str) -> int:
        """How many had this result, of all providers."""
        return sum(count for (_, name), count in self.counts.items() if name == result)


@dataclass(frozen=True, slots=True)
class JobSum:
    """How many jobs of one kind there were, and for how long they held GPUs."""

    provider: str
    team: str
    model: str
    gpu_type: str
    status: str
    jobs: int
    gpu_seconds: int


def put(
    ledger: Ledger,
    found: Iterable[OutsideJob | Refused | LeftOut],
    origin: Origin,
    step: Callable[[], object] = lambda: None,
) -> Imported:
    """Take over the rows of a file, all of those that are jobs or none. `step` is called after each row.

    Raises:
        LedgerError: it could not be written; nothing of it was.
        BadTable: it is no table of jobs; nothing of it was written.
    """
    imported = Imported()
    with ledger.transaction():
        for row in found:
            if isinstance(row, OutsideJob):
                imported.counts[row.provider, _put(ledger, row)] += 1
            elif isinstance(row, LeftOut):
                imported.left_out[row.why] += 1
            else:
                imported.counts["", "rejected"] += 1
                if len(imported.refused) < MOST_REFUSED:
                    imported.refused.append(row)
            step()
        known = ledger.connection.execute(_IMPORT, (origin.at_ns, origin.kind, origin.file, origin.sha256))
        counted = [(known.lastrowid, *key, rows) for key, rows in sorted(imported.counts.items())]
        ledger.connection.executemany(_COUNT, counted)
    return imported


def _put(ledger: Ledger, job: OutsideJob) -> str:
    row = ledger.connection.execute(_FIND, job.key).fetchone()
    if row is not None:
        known = OutsideJob(*row)
        job = job if job.end_s is None else replace(job, seen_s=job.end_s)
        if known == job or (job.running and (not known.running or known.seen_s > job.seen_s)):
            return "unchanged"
    elif job.end_s is not None:
        job = replace(job, seen_s=job.end_s)  # when it was heard of says nothing more
    ledger.connection.execute(_PUT, (*_ALL(job), job.known_until_s))
    return "inserted" if row is None else "updated"


def between(
    ledger: Ledger, from_s: int, until_s: int, only: Iterable[tuple[str, Sequence[str]]] = ()
) -> Iterator[Run]:
    """Runs that were there in a time, the latest first; `only` with one of these values in a column.

    Raises sqlite3.Error where the file cannot be read, ValueError for a column that there is not.
    """
    where, values = "", list[str]()
    for column, wanted in only:
        if column not in _COLUMNS:
            raise ValueError(column)
        if wanted:
            where += f" AND {column} IN ({', '.join('?' * len(wanted))})"
            values += wanted
    asked = _BETWEEN.format(columns=", ".join(_COLUMNS), where=where)
    for *row, earlier in ledger.connection.execute(asked, (from_s, until_s, *values)):
        yield Run(OutsideJob(*row), earlier)


def sums(ledger: Ledger, since_s: int) -> tuple[JobSum, ...]:
    """Jobs that ended since then, or were running when they were last heard of. Raises sqlite3.Error."""
    return tuple(JobSum(*row) for row in ledger.connection.execute(_SUMS, (since_s,)))
