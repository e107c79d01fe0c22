"""Random histories of a GPU's money, through the real state file: always the very sum that another way finds.

Ticks, gaps, kills at any tick, reboots, power cuts, clocks that step and run wild, other prices, other bands,
other currencies, other zones.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gputally.model import FastReading, GpuMoney, Instant, Reading
from gputally.node import counters, gpustate
from gputally.node.counters import Context
from gputally.node.money import from_zero, tidied
from gputally.node.state import StateFile
from gputally.tariff import EMISSION_UNITS, MONEY_UNITS
from tests.node.card import BOOT_NS, LIMIT_W, SECOND, WALL_NS
from tests.node.purse import FIRST_NS, LAST_NS, Price, Purse, day_before
from tests.node.statefolder import MEMORY, UUID

if TYPE_CHECKING:
    from gputally.node.gpustate import GpuState

ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "Pacific/Apia", "America/St_Johns", "Africa/Cairo")
PRICES = st.builds(
    Price,
    currency=st.sampled_from(("EUR", "USD", "JPY")),
    zone=st.sampled_from(ZONES),
    night_nano=st.sampled_from((0, 90_000_001, -50_000_000)),
    day_nano=st.sampled_from((220_000_000, 360_000_007)),
    day_hours=st.sampled_from(((0, 1), (6, 22), (13, 14), (23, 24))),
    pue_e4=st.sampled_from((10_000, 13_333)),
    names=st.sampled_from((("night", "day"), ("low", "high"), ("day", "night"))),
)
HOUR_S = 3600
WILD = (0, 1, FIRST_NS + 5, LAST_NS - 5, LAST_NS + 10**18, 10**18 * 2)
MOST_KEPT_DAYS = 4


class History(RuleBasedStateMachine):
    """One GPU that draws some power, and whoever reads it."""

    @initialize(price=PRICES, hour=st.integers(0, 23))
    def begin(self, price: Price, hour: int) -> None:
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY)
        self.price, self.boot = price, 0
        self.now = Instant(BOOT_NS, WALL_NS + hour * HOUR_S * SECOND)
        self.hw_mj, self.power_w = 10**12, 300
        self.state: GpuState = gpustate.fresh()
        self.purse = Purse()
        self.shown: GpuMoney | None = None
        self.file = StateFile(Path(self.folder.name) / "state", host_id="here")
        self.file.load(boot_id="boot-0")
        self.save()

    def teardown(self) -> None:
        if hasattr(self, "file"):
            self.file.close()
            self.folder.cleanup()

    def live(self, seconds: float) -> None:
        ns = round(seconds * SECOND)
        self.now = Instant(self.now.boot_ns + ns, self.now.wall_ns + ns)
        self.hw_mj += self.power_w * ns // 10**6

    def save(self, *, clean: bool = False) -> None:
        self.file.save({UUID: self.state}, boot_id=f"boot-{self.boot}", now=self.now, clean=clean)

    def load(self) -> None:
        self.file.close()
        self.file = StateFile(Path(self.folder.name) / "state", host_id="here")
        self.state = self.file.load(boot_id=f"boot-{self.boot}").states.get(UUID, gpustate.fresh())

    @rule(
        seconds=st.sampled_from((0.25, 1.0, 1.0, 1.0, 4.0, 61.0, 40_000.0)),
        power_w=st.sampled_from((0, 70, 700)),
        reads=st.sampled_from(("counter", "counter", "power", "nothing")),
    )
    def tick(self, seconds: float, power_w: int, reads: str) -> None:
        self.live(seconds)
        self.power_w = power_w
        energy_mj = self.hw_mj if reads == "counter" else None
        watts = None if reads == "nothing" else float(power_w)
        reading = Reading(FastReading(energy_mj=energy_mj, power_average_w=watts, utilization_ratio=0.5))
        context = Context(f"boot-{self.boot}", SECOND, LIMIT_W, schedule=self.price.schedule)
        self.state, tick = counters.advance(self.state, reading, self.now, context)
        assert sum(piece.energy_mj for piece in tick.priced) == tick.delta_mj
        if tick.delta_mj:
            self.purse.pay(self.price, tick.delta_mj, tick.covers_ns, self.now.wall_ns)
        self.save()

    @rule(seconds=st.sampled_from((1.0, 600.0, 30_000.0)))
    def missed(self, seconds: float) -> None:
        self.live(seconds)
        self.state = counters.miss(self.state, self.now)
        self.save()

    @rule(down=st.sampled_from((0.5, 30.0, 30_000.0)))
    def killed(self, down: float) -> None:
        self.live(down)
        before = self.state.money
        self.load()
        assert self.state.money == before

    @rule(clean=st.booleans())
    def booted_again(self, *, clean: bool) -> None:
        """In order, or after the power failed: then what was paid last may not have reached the disk."""
        if clean:
            self.save(clean=True)
        else:  # of what was not synced a power cut leaves the names and no contents
            for name in ("counters.json", "counters.json.1"):
                (Path(self.folder.name) / "state" / name).write_bytes(b"")
        self.boot += 1
        self.now = Instant(20 * SECOND, self.now.wall_ns + 120 * SECOND)
        self.hw_mj = self.power_w * 20_000
        before = self.state.money
        self.load()
        if clean:
            assert self.state.money == before
            self.save()
        else:
            self.not_trusted()

    @rule()
    def not_trusted(self) -> None:
        """More was published than is remembered: the roster asks for a new beginning."""
        self.state = replace(self.state, money=from_zero(self.state.money))
        self.lost()
        self.save()

    def lost(self) -> None:
        """All that is read with increase() is zero now, series and all."""
        money = self.state.money
        assert not any((*money.cost.values(), *money.credit.values(), *money.by_tariff_mj.values()))
        assert money.emissions == 0
        self.purse.empty()
        self.purse.day_mj.clear()
        self.purse.day_cost.clear()
        for name, day in self.state.money.days.items():
            self.purse.day_mj[name] = day.energy_mj
            self.purse.day_cost.update({(name, currency): units for currency, units in day.cost.items()})
        self.shown = None

    @rule(hours=st.integers(-50, 50))
    def clock_set(self, hours: int) -> None:
        wall_ns = max(0, self.now.wall_ns + hours * HOUR_S * SECOND)
        self.now = replace(self.now, wall_ns=wall_ns)

    @rule(wall_ns=st.sampled_from(WILD))
    def clock_runs_wild(self, wall_ns: int) -> None:
        self.now = replace(self.now, wall_ns=wall_ns)

    @rule(price=PRICES)
    def other_price(self, price: Price) -> None:
        self.price = price
        self.state = replace(self.state, money=tidied(self.state.money, price.schedule.names))

    @invariant()
    def every_unit_is_there(self) -> None:
        money, purse = self.state.money, self.purse
        assert {k: v for k, v in money.cost.items() if v} == {k: v for k, v in purse.cost.items() if v}
        assert {k: v for k, v in money.credit.items() if v} == {k: v for k, v in purse.credit.items() if v}
        assert {k: v for k, v in money.by_tariff_mj.items() if v} == {
            k: v for k, v in purse.by_tariff_mj.items() if v
        }
        assert money.emissions == purse.emissions
        assert len(money.days) <= MOST_KEPT_DAYS
        for name, day in money.days.items():
            assert day.energy_mj <= purse.day_mj[name]
            if len(+purse.day_mj) <= MOST_KEPT_DAYS:
                assert day.energy_mj == purse.day_mj[name]
                assert all(units == purse.day_cost[name, one] for one, units in day.cost.items())
        if len(+purse.day_mj) <= MOST_KEPT_DAYS:
            assert (+purse.day_mj).keys() <= money.days.keys()

    @invariant()
    def what_is_published_is_that(self) -> None:
        money = counters.publish(self.state, self.now, self.price.schedule).money
        if money is None:
            assert self.state.energy.acc_mj is None
            return
        saved = self.state.money
        today, _ = self.price.at(min(max(self.now.wall_ns, FIRST_NS), LAST_NS))
        assert today in money.day_joules
        assert money.day_joules.keys() <= {today, day_before(today)}
        assert {day for day, _ in money.day_cost} == set(money.day_joules)
        assert (today, self.price.currency) in money.day_cost
        for day, joules in money.day_joules.items():
            assert joules == (saved.days[day].energy_mj / 1000 if day in saved.days else 0)
        assert (day_before(today) in money.day_joules) is (day_before(today) in saved.days)
        assert set(self.price.names) <= money.by_tariff_joules.keys()
        assert self.price.currency in money.cost
        assert money.cost == {one: saved.cost.get(one, 0) / MONEY_UNITS for one in money.cost}
        assert money.cost.keys() >= saved.cost.keys()
        assert money.credit == {one: units / MONEY_UNITS for one, units in saved.credit.items()}
        assert money.emissions_grams == saved.emissions / EMISSION_UNITS
        self.never_less(money)
        self.shown = money

    def never_less(self, money: GpuMoney) -> None:
        if self.shown is None:
            return
        for name in ("cost", "credit", "by_tariff_joules"):
            before, now = getattr(self.shown, name), getattr(money, name)
            for key, value in before.items():
                assert now.get(key, 0) >= value, (name, key)
        assert money.emissions_grams >= self.shown.emissions_grams


TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
