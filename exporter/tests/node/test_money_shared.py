"""Money of GPUs, jobs and what is nobody's on a machine whose jobs are known: one sum, whatever happens."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputally.collect.jobs import job_families
from gputally.model import Reading, SelfReport, Snapshot
from gputally.node import statejson
from gputally.node.attribution.book import Book, Caps
from gputally.node.jobs import Jobs
from gputally.node.money import tidied
from gputally.tariff import MONEY_UNITS
from tests.node.jobworld import IDLE_W, SECOND_NS, Plan, World, world_at_random
from tests.node.purse import Price

if TYPE_CHECKING:
    from gputally.node.roster import Roster

FLAT = Price("EUR", "UTC", 200_000_000, 200_000_000, (0, 1), pue_e4=10_000, names=("all", "first"))
PRICES = (
    Price("EUR", "Europe/Berlin", 90_000_001, 220_000_000, (6, 22)),
    Price("EUR", "Europe/Berlin", -20_000_000, 360_000_007, (23, 24), names=("low", "high")),
    Price("USD", "UTC", 120_000_000, 120_000_001, (0, 23), pue_e4=10_000),
)
JOULES_PER_KWH = 3.6e6


class Machine:
    """A world whose energy is priced."""

    def __init__(self, world: World, price: Price = FLAT, caps: Caps | None = None) -> None:
        self.world, self.price, self.caps = world, price, caps or Caps()
        self.roster: Roster = world.roster()
        self.jobs = self._attribution()
        self.reprice(price)

    def _attribution(self) -> Jobs:
        book = Book("allocated", keep_ns=300 * SECOND_NS, caps=self.caps)
        return Jobs(self.world, book, "allocated", {"A card": float(IDLE_W)})

    def reprice(self, price: Price) -> None:
        self.price = price
        self.roster.reprice(price.schedule)
        self.jobs.reprice(price.currency, price.schedule.names)

    def tick(self, seconds: int = 1) -> None:
        self.world.tick(self.roster, self.jobs, seconds)

    def restart(self) -> None:
        """Killed between two ticks: both halves go on from what was saved."""
        saved = json.loads(json.dumps(self.jobs.to_json()))
        for entry in self.roster:
            data = json.loads(json.dumps(statejson.to_json(entry.state)))
            entry.state = statejson.from_json(data)
        self.jobs = self._attribution()
        self.jobs.reprice(self.price.currency, self.price.schedule.names)
        self.jobs.restore(saved, self.world.now, clean=True, same_boot=True)

    def of_gpus(self) -> Counter[str]:
        total = Counter[str]()
        for entry in self.roster:
            total.update(entry.state.money.cost)
        return +total

    def of_jobs(self) -> Counter[str]:
        """And of what is nobody's."""
        has, total = self.jobs._book._has, Counter[str]()
        for one in (*has.accounts.values(), *([has.other] if has.other else [])):
            total.update(one.bill.cost)
        return +(total + self.of_nobody())

    def of_teams(self) -> Counter[str]:
        """And of what is nobody's."""
        total = Counter[str]()
        for tally in self.jobs._book._has.teams:
            total.update(tally.bill.cost)
        return +(total + self.of_nobody())

    def of_nobody(self) -> Counter[str]:
        total = Counter[str]()
        for (_, _, currency), units in self.jobs._book._has.nobodys.cost.items():
            total[currency] += units
        return total

    def spent(self, job_id: str) -> object:
        ledger = self.jobs.ledger({self.world.uuid(gpu): str(gpu) for gpu in range(self.world.gpus)})
        return next(row.spent for row in ledger.jobs if row.job.job_id == job_id)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), jobs_kept=st.sampled_from((2, 500)))
def test_jobs_and_nobodys_money_are_the_gpus_whatever_happens(seed: int, jobs_kept: int) -> None:
    """Jobs at random, GPUs that do not answer, unknown processes, kills, other prices and currencies."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    world = world_at_random(dice, ("nlp", "vision"))
    machine = Machine(world, dice.choice(PRICES), Caps(jobs=jobs_kept))
    for _ in range(80):
        world.unread = frozenset(gpu for gpu in range(2) if dice.random() < 0.1)
        machine.tick(dice.choice([1, 1, 1, 2, 20]))
        if dice.random() < 0.05:
            machine.restart()
        if dice.random() < 0.05:
            machine.reprice(dice.choice(PRICES))
        assert machine.of_teams() == machine.of_gpus()
        forgotten = machine.of_gpus() - machine.of_jobs()
        gone = len(machine.jobs._book._has.accounts) < len(world.plans)
        assert not forgotten or gone
        assert not machine.of_jobs() - machine.of_gpus()


@pytest.mark.parametrize("gpus", [1, 2])
def test_per_gpu_what_its_jobs_and_nobody_pay_is_what_it_cost(gpus: int) -> None:
    plans = tuple(
        Plan(n, n % gpus, 5 + 10 * n, 30 + 12 * n, 400 + n, 0.5, scheduled=n % 3 == 0) for n in range(8)
    )
    world = World(gpus, plans)
    machine = Machine(world, PRICES[0])
    for second in range(140):
        world.unread = frozenset({0}) if 60 <= second < 75 else frozenset()
        machine.tick()
        has = machine.jobs._book._has
        for gpu in range(gpus):
            entry = machine.roster.entry(world.uuid(gpu))
            assert entry is not None
            of_jobs = sum(
                has.accounts[plan.job_id].bill.cost.get("EUR", 0)
                for plan in plans
                if plan.gpu == gpu and plan.job_id in has.accounts
            )
            nobodys = sum(units for (uuid, _, _), units in has.nobodys.cost.items() if uuid == entry.gpu.uuid)
            assert of_jobs + nobodys == entry.state.money.cost.get("EUR", 0)
    assert machine.of_gpus()["EUR"] > 0


def test_a_job_pays_for_its_own_seconds_at_the_price_of_each() -> None:
    world = World(1, (Plan(1, 0, 5, 17, 500, scheduled=True),))
    machine = Machine(world)
    for _ in range(30):
        machine.tick()
    spent = machine.spent("job-1")
    # Its process is there at the tick at which it begins: the baseline of the second before is its own too.
    joules = 12 * 500 + IDLE_W
    assert spent.cost == {"EUR": pytest.approx(joules / JOULES_PER_KWH * 0.2)}
    assert spent.emissions_grams == pytest.approx(joules / JOULES_PER_KWH * 380)


def test_a_tick_over_a_change_of_the_price_is_paid_at_both() -> None:
    """Nobody read the GPU around six o'clock; the job that is there before and after pays its parts."""
    world = World(1, (Plan(1, 0, 2, 30_000, 500),))
    machine = Machine(world, PRICES[0])
    machine.tick(3)
    machine.tick(7 * 3600)  # the story begins at 23:13:20 in Berlin
    money = next(iter(machine.roster)).state.money
    assert set(money.by_tariff_mj) == {"night", "day"}
    assert sum(money.by_tariff_mj.values()) == next(iter(machine.roster)).state.energy.acc_mj
    assert machine.of_jobs() == machine.of_gpus()


def test_a_held_gpu_that_does_nothing_is_unused_to_the_last_joule() -> None:
    class Lazy(World):
        def _reading(self, gpu: int) -> Reading:
            reading = super()._reading(gpu)
            return Reading(replace(reading.fast, utilization_ratio=0.0))

    machine = Machine(Lazy(1, (Plan(1, 0, 5, 25, IDLE_W, scheduled=True),)))
    for _ in range(40):
        machine.tick()
    spent = machine.spent("job-1")
    assert spent.unused_joules == pytest.approx(20 * IDLE_W, abs=IDLE_W)
    assert spent.unused_cost == spent.cost


def test_of_a_gpu_that_does_not_say_how_busy_it_is_nothing_is_called_unused() -> None:
    """As with MIG: absent is not zero."""

    class Silent(World):
        def _reading(self, gpu: int) -> Reading:
            reading = super()._reading(gpu)
            return Reading(replace(reading.fast, utilization_ratio=None))

    machine = Machine(Silent(1, (Plan(1, 0, 5, 25, 300, scheduled=True),)))
    for _ in range(40):
        machine.tick()
    spent = machine.spent("job-1")
    assert spent.cost["EUR"] > 0
    assert (spent.unused_joules, spent.unused_cost) == (0, {"EUR": 0})


@pytest.mark.parametrize("gap_s", [30, 100])
def test_what_went_by_in_a_gap_is_nobodys_waste(gap_s: int) -> None:
    """Over a time that nobody watched it is not known whether somebody was busy, whoever pays for it."""
    world = World(1, (Plan(1, 0, 2, 500, 300, scheduled=True),))
    machine = Machine(world)
    for _ in range(10):
        machine.tick()
    before = machine.spent("job-1")
    world.unread = frozenset({0})
    machine.tick(gap_s)
    world.unread = frozenset()
    machine.tick()
    after = machine.spent("job-1")
    assert after.unused_joules == before.unused_joules
    assert (after.cost["EUR"] > before.cost["EUR"]) is (gap_s <= 60), "a short gap is the job's"
    assert machine.of_jobs() == machine.of_gpus()


def test_every_family_of_money_is_on_the_page_with_its_labels() -> None:
    machine = Machine(World(1, (Plan(1, 0, 5, 25, 300, scheduled=True),)), PRICES[0])
    for _ in range(30):
        machine.tick()
    ledger = machine.jobs.ledger({"GPU-0": "0"})
    snapshot = Snapshot(at=machine.world.now, report=SelfReport(interval_seconds=1.0), ledger=ledger)
    page = {family.name: list(samples()) for family, samples in job_families(snapshot)}
    team = 'team="nlp",user="ada",model=""'
    assert {labels for labels, _ in page["gpu_team_cost_total"]} == {f'{team},currency="EUR"'}
    assert {labels for labels, _ in page["gpu_team_energy_by_tariff_joules_total"]} == {
        f'{team},tariff="night"',
        f'{team},tariff="day"',
    }
    assert {labels for labels, _ in page["gpu_team_unused_cost_total"]} == {f'{team},currency="EUR"'}
    assert [labels for labels, _ in page["gpu_team_emissions_grams_total"]] == [team]
    assert [labels for labels, _ in page["gpu_team_unused_energy_joules_total"]] == [team]
    job = 'job_id="job-1"'
    assert [labels for labels, _ in page["gpu_job_cost_total"]] == [f'{job},currency="EUR"']
    assert [labels for labels, _ in page["gpu_job_energy_by_tariff_joules_total"]] == [
        f'{job},tariff="night"'
    ]
    assert [labels for labels, _ in page["gpu_job_emissions_grams_total"]] == [job]
    assert [labels for labels, _ in page["gpu_job_unused_energy_joules_total"]] == [job]
    assert [labels for labels, _ in page["gpu_job_unused_cost_total"]] == [f'{job},currency="EUR"']
    nobodys = {labels for labels, _ in page["gpu_unattributed_cost_total"]}
    assert 'gpu="0",uuid="GPU-0",reason="idle",currency="EUR"' in nobodys
    energy = {labels for labels, _ in page["gpu_unattributed_energy_joules_total"]}
    assert nobodys == {f'{labels},currency="EUR"' for labels in energy}


def test_bands_that_no_configuration_has_any_more_are_forgotten_when_there_are_too_many() -> None:
    machine = Machine(World(1, ()))
    for n in range(70):
        machine.reprice(replace(FLAT, names=(f"b{n}", "first")))
        machine.tick()
    money = next(iter(machine.roster)).state.money
    assert len(money.by_tariff_mj) <= 66
    assert f"b{69}" in money.by_tariff_mj
    assert money.cost["EUR"] / MONEY_UNITS == pytest.approx(69 * IDLE_W / JOULES_PER_KWH * 0.2)
    assert tidied(money, ()) in (money, replace(money, by_tariff_mj={}))
