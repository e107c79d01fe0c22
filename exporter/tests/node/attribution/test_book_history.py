"""Any history: ticks, ends, restarts, power cuts, steps of the clock. What must hold after each of them."""

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gputally.model import OTHER, JobRow
from gputally.node.attribution.book import Caps
from gputally.node.attribution.parties import Share
from gputally.node.identity.protocol import End
from tests.node.attribution.bookrig import (
    KEEP_SECONDS,
    SECOND,
    Rig,
    by_gpu,
    job_rows,
    of_jobs,
    of_teams,
    round_trip,
    series,
    sighting,
)

JOB_IDS = ("1", "2", "3", "4", "5", "6", OTHER)
TEXTS = {
    "user": st.sampled_from(("", "1000", "ada", "grace")),
    "team": st.sampled_from(("unassigned", "nlp", "vision", "audio")),
    "model": st.sampled_from(("", "a", "b", "c")),
    "record": st.sampled_from(("", "/run/record")),
}
AMOUNT = st.integers(0, 3 * 10**6) | st.just(0)
SHARES = st.lists(
    st.builds(
        lambda job_id, reason, active_mj, idle_mj, held_ns, busy_ns: Share(
            job_id, "" if job_id else reason, active_mj, idle_mj, held_ns, min(busy_ns, held_ns)
        ),
        st.none() | st.sampled_from((*JOB_IDS, "never seen")),
        st.sampled_from(("idle", "no_process", "gap")),
        AMOUNT,
        AMOUNT,
        st.integers(0, SECOND),
        st.integers(0, SECOND),
    ),
    max_size=5,
)
ENDS = st.builds(
    End,
    st.none() | st.floats() | st.floats(1.7e9, 1.8e9),
    st.sampled_from(("ended", "completed", "failed", "timeout")),
    st.none() | st.integers(-3, 300),
)


@dataclass
class Truth:
    """What was given to the book since its counters began, and what left it with forgotten jobs."""

    by_gpu: Counter[str] = field(default_factory=Counter)
    forgotten: Counter[str] = field(default_factory=Counter)  # of by_gpu, with the jobs that it was for
    of_teams: tuple[int, int, int] = (0, 0, 0)
    saved: Any = None

    def copy(self) -> "Truth":
        """As it is now."""
        return replace(self, by_gpu=Counter(self.by_gpu), forgotten=Counter(self.forgotten))


class History(RuleBasedStateMachine):
    """A node's life; `caps` is what makes one kind of node of it."""

    caps = Caps()

    @initialize()
    def begin(self) -> None:
        self.rig = Rig(self.caps)
        self.truth = Truth(saved=round_trip(self.rig.book))
        self.older = [self.truth.copy()]
        self.shown = series(self.rig.ledger)
        self.rows: dict[str, JobRow] = {}
        self.scraped_seconds: dict[str, float] = {}  # for how long a job's row has been what it is
        # Jobs that were shown for a while already, the book cannot say how long.
        self.from_spare: set[str] = set()
        self.folded: dict[str, bool] = {}

    @rule(
        present=st.lists(st.sampled_from(JOB_IDS), unique=True, max_size=6),
        texts=st.fixed_dictionaries(TEXTS),
        shares=st.dictionaries(st.sampled_from(("GPU-a", "GPU-b")), SHARES),
        ends=st.dictionaries(st.sampled_from(JOB_IDS), ENDS),
        seconds=st.sampled_from((0.25, 1.0, 5.0, 100.0, 299.0, 301.0)),
        wall_step=st.sampled_from((0, 0, 0, -86_400, 86_400, -(10**6))),
    )
    def tick(self, *, present, texts, shares, ends, seconds, wall_step) -> None:
        self.rig.ends = ends
        known = job_rows(self.truth.saved).keys() | set(present)
        self.rig.tick(
            *[sighting(job_id, **texts) for job_id in present],
            shares=shares,
            seconds=seconds,
            wall_step=wall_step,
        )
        assert {self.rig.job(job_id).state for job_id in present if self.rig.row(job_id)} <= {"running"}
        self.given(shares, known)
        saved = round_trip(self.rig.book)
        self.forget(saved)
        self.truth.saved = saved
        self.older = [*self.older[-3:], self.truth.copy()]
        self.shows(seconds)

    @rule(down=st.sampled_from((0.0, 3.0, 10**5)))
    def killed(self, down: float) -> None:
        before = self.rig.ledger
        self.rig.restart(down=down)
        assert self.rig.ledger == before
        self.truth.saved = round_trip(self.rig.book)
        self.shows(0)

    @rule()
    def machine_started_again(self) -> None:
        self.rig.restart(same_boot=False, down=60)
        assert not [
            row for row in self.rig.ledger.jobs if row.end_seconds is None and row.job.job_id != OTHER
        ]
        self.older = [replace(self.truth.copy(), saved=round_trip(self.rig.book))]
        self.truth.saved = self.older[0].saved
        self.scraped_seconds = {}
        self.shows(0)

    @precondition(lambda self: self.older)
    @rule(back=st.integers(1, 4), same_boot=st.booleans())
    def power_cut(self, back: int, same_boot: bool) -> None:
        """Or a spare copy: what is gone on from is older than what was scraped."""
        then = self.older[-min(back, len(self.older))].saved
        self.rig.restore(then, clean=False, same_boot=same_boot, down=60)
        saved = round_trip(self.rig.book)
        assert of_teams(saved) == (0, 0, 0)
        assert not any(mj for _, _, mj in saved["nobodys_mj"])
        self.truth = Truth(by_gpu=by_gpu(saved), saved=saved)
        self.older = [self.truth.copy()]
        self.rows = {row.job.job_id: row for row in self.rig.ledger.jobs}
        self.shown, self.scraped_seconds, self.folded = series(self.rig.ledger), {}, {}
        self.from_spare = set(self.rows) if same_boot else set()

    def given(self, shares: dict[str, list[Share]], known: set[str]) -> None:
        """Add what was given."""
        used = list(self.truth.of_teams)
        for uuid, parts in shares.items():
            for one in parts:
                mj = one.active_mj + one.idle_mj
                self.truth.by_gpu[uuid] += mj
                if one.job_id in known:
                    used = [a + b for a, b in zip(used, (mj, one.held_ns, one.busy_ns), strict=True)]
        self.truth.of_teams = (used[0], used[1], used[2])

    def forget(self, saved: Any) -> None:
        """Add what left the book with jobs that were forgotten in this tick."""
        before, after = of_jobs(self.truth.saved), of_jobs(saved)
        for job_id in before.keys() - after.keys() - {OTHER}:
            for uuid, (active_mj, idle_mj) in before[job_id].items():
                self.truth.forgotten[uuid] += active_mj + idle_mj

    def shows(self, seconds: float) -> None:
        """Compare with what was published before."""
        shown, rows = series(self.rig.ledger), {row.job.job_id: row for row in self.rig.ledger.jobs}
        for key, value in shown.items():
            assert value >= self.shown.get(key, 0), key
        gone = {
            key[1] if key[0] in {"job", "held", "busy"} else None for key in self.shown.keys() - shown.keys()
        }
        assert gone <= self.rows.keys() - rows.keys()
        for job_id, row in self.rows.items():
            stood = self.scraped_seconds.get(job_id, 0.0) + seconds
            if row != rows.get(job_id):
                assert job_id in rows or row.end_seconds is not None
                assert job_id in rows or stood >= KEEP_SECONDS or job_id in self.from_spare
                self.from_spare.discard(job_id)
            elif row.end_seconds is not None:
                assert stood < KEEP_SECONDS or job_id in self.from_spare
            self.scraped_seconds[job_id] = stood if row == rows.get(job_id) else 0.0
        self.scraped_seconds = {job_id: self.scraped_seconds.get(job_id, 0.0) for job_id in rows}
        self.shown, self.rows = shown, rows

    @invariant()
    def energy_is_conserved(self) -> None:
        assert by_gpu(self.truth.saved) + self.truth.forgotten == +self.truth.by_gpu

    @invariant()
    def teams_are_the_sum_of_all_jobs_that_ever_were(self) -> None:
        assert of_teams(self.truth.saved) == self.truth.of_teams

    @invariant()
    def caps_hold(self) -> None:
        assert len(self.rows.keys() - {OTHER}) <= self.caps.jobs
        assert len(self.rig.ledger.teams) <= self.caps.teams
        folded = {job_id: row[0][2][4] for job_id, row in job_rows(self.truth.saved).items()}
        assert {job_id for job_id, is_folded in folded.items() if not is_folded} == self.rows.keys() - {OTHER}
        assert all(is_folded == self.folded.get(job_id, is_folded) for job_id, is_folded in folded.items())
        self.folded = folded

    @invariant()
    def what_is_published_is_what_is_saved(self) -> None:
        energy = of_jobs(self.truth.saved)
        for job_id, row in self.rows.items():
            joules = {(uuid, part): value for (_, uuid, part), value in row.energy_joules.items()}
            assert joules == {
                (uuid, part): mj / 1000
                for uuid, parts in energy[job_id].items()
                for part, mj in zip(("active", "idle"), parts, strict=True)
            }
            assert (row.end_seconds is None) == (row.state == "running")
            assert (row.end_seconds or row.start_seconds) >= row.start_seconds
        json.dumps(self.truth.saved, allow_nan=False)


class Narrow(History):
    """So little room that everything is folded now and then."""

    caps = Caps(jobs=2, folded=1, teams=4, models_per_user=1)


@pytest.mark.parametrize("node", [History, Narrow], ids=["roomy", "narrow"])
def test_any_history(node: type[History]) -> None:
    case = node.TestCase
    case.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
    case("runTest").runTest()
