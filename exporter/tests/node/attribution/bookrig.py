"""A book under a clock that the test moves, and what must hold of it after every tick."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gputally.model import Instant, Job, JobRow, Ledger
from gputally.node.attribution.book import Book, Caps
from gputally.node.attribution.parties import Share, Split
from gputally.node.identity.protocol import End, Evidence, Sighting

SECOND = 1_000_000_000
NOW = Instant(5000 * SECOND, 1_760_000_000 * SECOND)
KEEP_SECONDS = 300
INDEX = {"GPU-a": "0", "GPU-b": "1", "GPU-c": "2"}
Used = tuple[int, int, int]  # mJ, held ns, busy ns


def sighting(job_id: str, *, record: str = "", start: float | None = None, **texts: str) -> Sighting:
    """A job of ada's, unless said otherwise."""
    job = Job(job_id, **{"scheduler": "slurm", "user": "ada", "team": "nlp", **texts})
    evidence = Evidence(record, f"/{job_id}", (17, 99), "boot-a")
    return Sighting(job, NOW.wall_seconds if start is None else start, evidence)


def share(job_id: str | None, active_mj: int = 0, idle_mj: int = 0, reason: str = "idle") -> Share:
    """Energy of one second in which a third was busy."""
    return Share(job_id, "" if job_id else reason, active_mj, idle_mj, SECOND, SECOND // 3)


def round_trip(book: Book) -> Any:
    """What another process would read."""
    return json.loads(json.dumps(book.to_json()))


def opened(data: Any) -> Any:
    """A saved book with its rows as lists: [about, seen, moved, held, busy, energy] and those of teams."""
    return {
        **data,
        "jobs": [json.loads(row) for row in data["jobs"]],
        "other": data["other"] and json.loads(data["other"]),
        "teams": [json.loads(row) for row in data["teams"]],
    }


def closed(data: Any) -> Any:
    """The same the other way round; rows that are none stay what they are."""
    rows = {key: data[key] for key in ("jobs", "teams") if isinstance(data.get(key), list)}
    shut = {key: [json.dumps(row) if isinstance(row, list) else row for row in rows[key]] for key in rows}
    other = data.get("other")
    return {**data, **shut, **({"other": json.dumps(other)} if isinstance(other, list) else {})}


def job_rows(data: Any) -> dict[str, Any]:
    """The rows of jobs in a saved book by job_id."""
    return {row[0][0][0]: row for row in opened(data)["jobs"]}


def series(ledger: Ledger) -> dict[tuple[str, ...], float]:
    """Every counter as a scrape sees it."""
    shown: dict[tuple[str, ...], float] = {}
    for row in ledger.jobs:
        shown |= {("job", row.job.job_id, *labels): value for labels, value in row.energy_joules.items()}
        shown["held", row.job.job_id] = row.gpu_seconds
        shown["busy", row.job.job_id] = row.busy_seconds
    for team in ledger.teams:
        labels = (team.team, team.user, team.model)
        for name in ("energy_joules", "gpu_seconds", "busy_seconds"):
            shown[name, *labels] = getattr(team, name)
    nobodys = ledger.unattributed
    for name in ("energy_joules", "gpu_seconds", "busy_seconds"):
        shown |= {("nobody", name, *labels): value for labels, value in getattr(nobodys, name).items()}
    return shown


@dataclass
class Rig:
    """One node's book, tick by tick."""

    caps: Caps = field(default_factory=Caps)
    announce_seconds: int = 0
    declared: tuple[str, ...] = ("nlp", "vision", "audio")
    now: Instant = NOW
    ends: dict[str, End] = field(default_factory=dict)  # of the jobs that are over, should the book ask
    asked: list[str] = field(default_factory=list)  # in the latest tick
    book: Book = field(init=False)
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self.book = self.new_book()
        self.ledger = self.book.ledger(INDEX)

    def new_book(self) -> Book:
        """Open a book without accounts."""
        announce_ns = self.announce_seconds * SECOND
        return Book(
            "allocated",
            keep_ns=KEEP_SECONDS * SECOND,
            announce_ns=announce_ns,
            caps=self.caps,
            declared=self.declared,
        )

    def tick(
        self,
        *present: Sighting,
        shares: Mapping[str, Iterable[Share]] | None = None,
        seconds: float = 1.0,
        wall_step: int = 0,
    ) -> Ledger:
        """Wait, then book one tick as the sampler does."""
        ns = round(seconds * SECOND)
        self.now = Instant(self.now.boot_ns + ns, self.now.wall_ns + ns + wall_step * SECOND)
        self.asked.clear()
        for one in present:
            self.book.saw(one, self.now)
        for uuid, parts in (shares or {}).items():
            self.book.take(uuid, Split(tuple(parts), "equal"), self.now)
        self.book.absent(self.now, self.end_of)
        self.ledger = self.book.ledger(INDEX)
        return self.ledger

    def end_of(self, job: Job, _evidence: Evidence, _now: Instant) -> End | None:
        """Answer for the schedulers."""
        self.asked.append(job.job_id)
        return self.ends.get(job.job_id)

    def restart(self, *, clean: bool = True, same_boot: bool = True, down: float = 0.0) -> list[str]:
        """Another process reads what this one has written."""
        return self.restore(round_trip(self.book), clean=clean, same_boot=same_boot, down=down)

    def restore(self, data: object, *, clean: bool, same_boot: bool, down: float = 0.0) -> list[str]:
        """Begin another process with some file."""
        ns = round(down * SECOND)
        self.now = Instant(self.now.boot_ns + ns if same_boot else 30 * SECOND, self.now.wall_ns + ns)
        self.book = self.new_book()
        lines = self.book.restore(data, self.now, clean=clean, same_boot=same_boot)
        self.ledger = self.book.ledger(INDEX)
        return lines

    def row(self, job_id: str) -> JobRow | None:
        """What is published of a job."""
        rows = [row for row in self.ledger.jobs if row.job.job_id == job_id]
        assert len(rows) <= 1
        return rows[0] if rows else None

    def job(self, job_id: str) -> JobRow:
        """What is published of a job that is there."""
        row = self.row(job_id)
        assert row is not None
        return row

    def joules(self, job_id: str) -> float:
        """All energy of a job."""
        return sum(self.job(job_id).energy_joules.values())

    def teams(self) -> dict[tuple[str, str, str], float]:
        """Energy by label set."""
        return {(row.team, row.user, row.model): row.energy_joules for row in self.ledger.teams}


def of_jobs(data: Any) -> dict[str, dict[str, tuple[int, int]]]:
    """Energy of the accounts in a saved book: job_id -> uuid -> active, idle. With `other`."""
    data = opened(data)
    rows = [*data["jobs"], *([data["other"]] if data["other"] else [])]
    return {row[0][0][0]: {uuid: tuple(mj) for uuid, mj in row[5].items()} for row in rows}


def by_gpu(data: Any) -> Counter[str]:
    """Energy in a saved book by GPU: of all accounts and what is nobody's."""
    total: Counter[str] = Counter()
    for energy in of_jobs(data).values():
        for uuid, (active_mj, idle_mj) in energy.items():
            total[uuid] += active_mj + idle_mj
    for uuid, _, mj in data["nobodys_mj"]:
        total[uuid] += mj
    return total


def of_teams(data: Any) -> Used:
    """All teams of a saved book together."""
    energy_mj, held_ns, busy_ns = (sum(row[i] for row in opened(data)["teams"]) for i in (3, 4, 5))
    return energy_mj, held_ns, busy_ns


def used() -> Rig:
    """A book with something of everything: running, ended, folded, of no team, nobody's."""
    rig = Rig(Caps(jobs=2))
    jobs = sighting("1", record="/run/1", model="m"), sighting("2", user="grace"), sighting("3")
    rig.tick(*jobs, shares={"GPU-a": [share("1", 1000), share("2", 2000), share("3", 30)]})
    rig.ends["2"] = End(NOW.wall_seconds + 1, "failed", 137)
    rig.tick(jobs[0], jobs[2], shares={"GPU-b": [share("1", 500, 7), share(None, 9)], "GPU-c": [share(None)]})
    return rig
