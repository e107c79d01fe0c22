"""Bills: what shares of a tick are charged, whole unit by whole unit, and what of it went by unused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.node.attribution.bill import Bill, unused_mj
from gputally.node.attribution.parties import Share, Split
from gputally.tariff import EMISSION_UNITS, MONEY_UNITS, Priced, Rate
from tests.node.attribution.bills import DAY, DOLLARS, NEGATIVE, NIGHT, RATES, all_zero, share
from tests.node.attribution.bookrig import NOW, SECOND, Rig, sighting

if TYPE_CHECKING:
    from collections.abc import Sequence


def cost_units(parts: Sequence[Priced], currency: str = "EUR") -> int:
    return sum(
        part.energy_mj * max(0, part.rate.price_nano) * part.rate.pue_e4
        for part in parts
        if part.rate.currency == currency
    )


class TestUnused:
    """What somebody held and did not use."""

    @pytest.mark.parametrize(
        ("one", "known", "unused"),
        [
            (share("1", 400, 70, busy=1.0), True, 0),
            (share("1", 400, 70, busy=0.0), True, 470),  # all of it: whatever ran was no kernel
            (share("1", 400, 70, busy=0.8), True, 14),  # the baseline of the fifth that was not busy
            (share("1", 400, 0, busy=0.8), True, 0),  # a job that pays no baseline wastes none
            (share("1", 0, 70, busy=0.0), True, 70),
            (share("1", 0, 7, busy=0.5), True, 3),  # rounded in its favour
            (share("1", 400, 70, busy=0.0), False, 0),  # nobody knows
            (share("1", 400, 70, busy=0.5), False, 0),
            (share("1", 400, 70, held_s=0), True, 0),  # it held nothing
        ],
    )
    def test_of_one_share(self, one: Share, *, known: bool, unused: int) -> None:
        assert unused_mj(one, busy_known=known) == unused

    @given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 10**12), st.floats(0, 1))
    def test_it_is_never_more_than_there_was(self, active: int, idle: int, held: int, busy: float) -> None:
        one = Share("1", "", active, idle, held, int(held * busy))
        assert 0 <= unused_mj(one, busy_known=True) <= active + idle

    def test_of_several_tenants_each_wastes_its_own(self) -> None:
        """One computes for half of the second, one not at all; nobody's share wastes nothing."""
        rig = Rig()
        book = rig.book
        book.reprice("EUR", ("day",))
        for job_id in ("1", "2"):
            book.saw(sighting(job_id), NOW)
        shares = (
            Share("1", "", 300, 40, SECOND // 2, SECOND // 4),
            Share("2", "", 0, 40, SECOND // 2, 0),
            Share(None, "no_process", 20, 0, 0, 0),
        )
        book.take("GPU-a", Split(shares, "sm_share"), NOW, [Priced(400, DAY)], busy_known=True)
        rows = {row.job.job_id: row.spent for row in book.ledger({}).jobs}
        assert (rows["1"].unused_joules, rows["2"].unused_joules) == (0.020, 0.040)
        assert rows["2"].unused_cost == rows["2"].cost
        assert rows["1"].unused_cost["EUR"] == 20 * DAY.cost_units / MONEY_UNITS

    def test_a_gpu_that_does_not_say_how_busy_it_is_wastes_nothing(self) -> None:
        """As with MIG."""
        rig = Rig()
        rig.book.reprice("EUR", ("day",))
        rig.book.saw(sighting("1"), NOW)
        split = Split((Share("1", "", 300, 40, SECOND, 0),), "mig_activity")
        rig.book.take("GPU-a", split, NOW, [Priced(340, DAY)], busy_known=False)
        (row,) = rig.book.ledger({}).jobs
        assert (row.spent.unused_joules, row.spent.unused_cost) == (0, {"EUR": 0})
        assert row.spent.cost["EUR"] > 0


class TestAdd:
    """One bill."""

    def test_it_is_charged_by_rate(self) -> None:
        bill = Bill()
        bill.add([Priced(1000, NIGHT), Priced(3, DAY), Priced(7, DOLLARS), Priced(100, NEGATIVE)], 0)
        bill.add([Priced(1, DAY)], 0)
        assert bill.cost == {
            "EUR": 1000 * 90_000_000 * 12_500 + 4 * 220_000_001 * 12_500,
            "USD": 7 * 120_000_000 * 10_000,
        }
        assert bill.by_tariff_mj == {"night": 1000, "day": 11, "dynamic": 100}
        assert bill.emissions == (1100 * 380_000 + 4 * 380_001) * 12_500 + 7 * 475_000 * 10_000

    @given(
        st.lists(st.tuples(st.integers(0, 10**12), st.sampled_from(RATES)), max_size=6),
        st.floats(0, 1),
    )
    def test_what_is_unused_is_spread_over_the_tick_and_none_is_lost(
        self, tick: list[tuple[int, Rate]], part: float
    ) -> None:
        parts = [Priced(mj, rate) for mj, rate in tick]
        unused = min(sum(mj for mj, _ in tick), int(part * sum(mj for mj, _ in tick)))
        bill = Bill()
        bill.add(parts, unused)
        assert bill.unused_mj == unused
        for currency in ("EUR", "USD"):
            whole = cost_units(parts, currency)
            got = bill.unused_cost.get(currency, 0)
            assert 0 <= got <= whole
            if unused == sum(mj for mj, _ in tick):
                assert got == whole
        # In proportion: each part is off by less than one millijoule at its rate, one after the other.
        total = sum(mj for mj, _ in tick)
        if total:
            exact = sum(cost_units(parts, one) for one in ("EUR", "USD")) * unused / total
            most = sum(rate.cost_units for _, rate in tick) * 2
            assert abs(sum(bill.unused_cost.values()) - exact) <= most + exact * 1e-9

    def test_nothing_that_is_not_priced_costs_anything(self) -> None:
        bill = Bill()
        bill.add([], 50)
        assert (bill.cost, bill.unused_cost, bill.unused_mj) == ({}, {}, 50)

    def test_it_is_published_in_joules_euros_and_grams(self) -> None:
        bill = Bill()
        bill.add([Priced(3_600_000_000, DAY)], 1_800_000_000)
        spent = bill.published()
        assert spent.cost == {"EUR": pytest.approx(0.220000001 * 1.25, rel=1e-15)}
        assert spent.unused_cost == {"EUR": pytest.approx(0.220000001 * 0.625, rel=1e-15)}
        assert spent.energy_by_tariff_joules == {"day": 3_600_000.0}
        assert spent.emissions_grams == pytest.approx(380.001 * 1.25, rel=1e-15)
        assert spent.emissions_grams == bill.emissions / EMISSION_UNITS
        assert spent.unused_joules == 1_800_000.0

    def test_a_new_one_shows_what_it_may_be_charged_in(self) -> None:
        bill = Bill()
        bill.show("EUR", ("day", "night"))
        shown = bill.published()
        assert (shown.cost, shown.unused_cost) == ({"EUR": 0.0}, {"EUR": 0.0})
        assert shown.energy_by_tariff_joules == {"day": 0.0, "night": 0.0}
        bill.add([Priced(5, DAY), Priced(5, DOLLARS)], 10)
        zeros = bill.zeros()
        assert bill.cost["EUR"] > 0
        assert all_zero(zeros)
        assert zeros.cost.keys() == {"EUR", "USD"}
        bill.from_zero()
        assert bill.published() == zeros
