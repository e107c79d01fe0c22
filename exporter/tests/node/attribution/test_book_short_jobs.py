"""Many short jobs: none is missing, each is exact, and their teams have counted them all."""

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from gputally.model import JobRow
from gputally.node.attribution.parties import Share
from gputally.node.identity.protocol import End, Sighting
from tests.node.attribution.bookrig import SECOND, Rig, by_gpu, of_teams, round_trip, sighting

JOBS = 2000
UUIDS = tuple(f"GPU-{n}" for n in range(8))


@dataclass
class Lane:
    """One GPU's queue: a job at a time, the next one as soon as the last is over."""

    now: Sighting | None = None
    seconds_left: int = 0


@dataclass
class Site:
    """Eight GPUs and their jobs of 5 to 60 s, and what they truly used."""

    rig: Rig = field(default_factory=Rig)
    dice: random.Random = field(default_factory=lambda: random.Random(2000))  # noqa: S311 - no secrets
    lanes: dict[str, Lane] = field(default_factory=lambda: {uuid: Lane() for uuid in UUIDS})
    started: int = 0
    truth_mj: Counter[str] = field(default_factory=Counter)  # by job
    given_mj: Counter[str] = field(default_factory=Counter)  # by GPU

    def tick(self) -> None:
        """One second of all GPUs."""
        shares = {uuid: self.second(uuid, lane) for uuid, lane in self.lanes.items()}
        self.rig.tick(*[lane.now for lane in self.lanes.values() if lane.now is not None], shares=shares)

    def second(self, uuid: str, lane: Lane) -> list[Share]:
        """Who used the GPU in it; a job that left has a part of the tick in which it left."""
        before = lane.now
        if lane.seconds_left == 0:
            self.next_job(lane)
        lane.seconds_left = max(0, lane.seconds_left - 1)
        shares = []
        for one in dict.fromkeys((before, lane.now)):
            if one is None:
                continue
            active_mj = self.dice.randint(0, 700_000)
            shares.append(Share(one.job.job_id, "", active_mj, active_mj // 7, SECOND, SECOND // 2))
            self.truth_mj[one.job.job_id] += active_mj + active_mj // 7
        shares = shares or [Share(None, "idle", 0, 70_000, SECOND, 0)]
        self.given_mj[uuid] += sum(one.active_mj + one.idle_mj for one in shares)
        return shares

    def next_job(self, lane: Lane) -> None:
        """End the lane's job and begin another one."""
        if lane.now is not None:
            self.rig.ends[lane.now.job.job_id] = End(None, "completed", 0)
        lane.now = None
        if self.started < JOBS:
            self.started, lane.seconds_left = self.started + 1, self.dice.randint(5, 60)
            user, team = self.dice.choice(("ada", "grace")), self.dice.choice(("nlp", "vision"))
            lane.now = sighting(f"job-{self.started}", user=user, team=team)


@pytest.mark.fault("jobs-short")
def test_two_thousand_short_jobs_are_all_there_and_exact() -> None:
    """The highest value that was ever scraped of a job is its very sum, and was there for five minutes."""
    site = Site()
    last: dict[str, JobRow] = {}
    scrapes: Counter[str] = Counter()  # of the value that stands
    highest_mj: dict[str, int] = {}
    while site.started < JOBS or site.rig.ledger.jobs:
        site.tick()
        for row in site.rig.ledger.jobs:
            job_id = row.job.job_id
            if row is last.get(job_id):
                scrapes[job_id] += 1
            else:
                scrapes[job_id] = 1
                used_mj = sum(round(joules * 1000) for joules in row.energy_joules.values())
                highest_mj[job_id] = max(used_mj, highest_mj.get(job_id, 0))
                last[job_id] = row
    assert len(highest_mj) == JOBS
    assert highest_mj == site.truth_mj
    assert min(scrapes.values()) >= 300
    assert {row.state for row in last.values()} == {"completed"}
    saved = round_trip(site.rig.book)
    assert of_teams(saved)[0] == site.truth_mj.total()
    assert site.truth_mj.total() + by_gpu(saved).total() == site.given_mj.total()
    assert len(site.rig.ledger.teams) == 4
