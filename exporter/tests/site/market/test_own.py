"""The same plan on GPUs of one's own: what is paid anyway, and what their use adds."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.config.market import Plan
from gputally.config.owned import OwnedGpu
from gputally.site.market.cards import load
from gputally.site.market.own import Own, OwnGpu, Use, Watts, own_gpus, own_options
from gputally.tariff import Rate
from tests.site.market.marketplace import A100, H100

CATALOGUE = load()
MODEL = "NVIDIA H100 80GB HBM3"
# 30,000 USD, a tenth of it left after 4 years, 5 % of it a year to run.
OWNED = OwnedGpu(MODEL, Decimal(30_000), Decimal(3_000), Decimal(4 * 8766), Decimal(1500) / 8766)
RATE = Rate("day", "USD", 200_000_000, 15_000, 0)
EIGHT = Plan("p", Decimal(100), gpus=8, card=H100)
ANY = frozenset[str]()
WATTS = Watts(Decimal(70), Decimal(600))


def options(plan: Plan = EIGHT, own: Own | None = None, cards=ANY, watts: Watts | None = WATTS, **more):
    own = own_gpus([OWNED], RATE, {}, CATALOGUE) if own is None else own
    return list(own_options(plan, own, CATALOGUE, cards, Use(watts, **more)))


def test_fixed_and_marginal_cost_are_those_of_the_manual() -> None:
    (option,) = options()
    assert (option.model, option.card, option.gpus) == (MODEL, H100, 8)
    assert float(option.fixed_usd_per_hour) == pytest.approx(0.962, abs=5e-4)
    assert float(option.marginal_usd_per_hour) == pytest.approx(0.159, abs=5e-4)
    assert option.usd == 8 * (option.fixed_usd_per_hour + option.marginal_usd_per_hour) * 100
    assert option.fixed_usd < option.usd


@given(st.decimals("0", "1", places=3))
def test_the_part_of_the_time_in_use_counts_for_the_marginal_cost_alone(part: Decimal) -> None:
    (option,) = options(utilization=part)
    expected = float(option.fixed_usd) + float(part * option.marginal_usd_per_hour) * 800
    assert float(option.usd) == pytest.approx(expected)


def test_without_watts_there_is_no_energy_in_it() -> None:
    (option,) = options(watts=None)
    assert option.marginal_usd_per_hour == 0
    assert option.usd == 800 * OWNED.rate_per_hour


def test_money_of_another_currency_needs_a_rate() -> None:
    euros = Rate("day", "EUR", 200_000_000, 15_000, 0)
    own = own_gpus([OWNED], euros, {"EUR": Decimal("1.16")}, CATALOGUE)
    assert own.usd_per_kwh == Decimal("0.232")
    assert own.gpus[0].usd_per_hour == OWNED.rate_per_hour * Decimal("1.16")
    assert own_gpus([OWNED], euros, {}, CATALOGUE) == Own(currency_without_rate="EUR")
    assert own_gpus([], euros, {}, CATALOGUE) == Own()


def test_only_a_model_that_would_do_is_counted() -> None:
    assert options(cards=frozenset({A100})) == []
    assert options(Plan("p", Decimal(1), tflops=Decimal(400), vram_gib=Decimal(81))) == []
    (option,) = options(Plan("p", Decimal(1), tflops=Decimal(400), vram_gib=Decimal(80)))
    assert option.gpus == 2
    assert options(own=Own((OwnGpu("Nobody's", None, Decimal(1)),))) == []
