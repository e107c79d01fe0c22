"""Prices that change beneath a running node agent: by a reload, by their file, and never by a bad one."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.agent.metering import add_idle, assert_exact, is_up, load
from tests.agent.upgrading import install, own_library, version
from tests.fakenvml import Constant, build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeNvml

COST, ENERGY, RELOADED = (
    "gpu_energy_cost_total",
    "gpu_energy_joules_total",
    "gputally_config_last_reload_success",
)
JOULES_PER_KWH = 3.6e6


def put(path: Path, price: str) -> None:
    """Prices for today and tomorrow, in the place of the file that was there."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    new = path.with_suffix(".new")
    end = start + timedelta(hours=48)
    new.write_text(f"start,end,price_per_kwh\n{start.isoformat()},{end.isoformat()},{price}\n")
    new.replace(path)


def price(earlier: Scrape, later: Scrape, currency: str) -> float:
    """What a kWh has cost between two scrapes."""
    cost, joules = (
        (later.value(name, **labels) or 0) - (earlier.value(name, **labels) or 0)
        for name, labels in ((COST, {"currency": currency}), (ENERGY, {}))
    )
    return cost / joules * JOULES_PER_KWH


def two_scrapes(running: RunningAgent) -> tuple[Scrape, Scrape]:
    """With a second's energy between them."""
    first = running.scrape()
    joules = first.value(ENERGY) or 0
    return first, running.wait_until(lambda s: (s.value(ENERGY) or 0) > joules + 400)


def test_a_reload_changes_what_the_next_tick_costs(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    (gpu,) = add_idle(fake_nvml, "full")
    file = tmp_path / "gputally.yml"
    file.write_text("{}\n")
    running = agent(f"--config.file={file}")
    load(running, [gpu], Constant(500))
    assert running.value("gputally_tariff_info", currency="USD", timezone="UTC", source="default") == 1
    assert len(running.lines("no tariff is configured")) == 1
    assert abs(price(*two_scrapes(running), "USD") - 0.12) < 1e-6
    file.write_text("site: {pue: 1.5}\ntariff: {currency: EUR, price_per_kwh: 0.4}\n")
    running.signal(signal.SIGHUP)
    running.wait_until(lambda s: s.value("gputally_tariff_info", currency="EUR", source="configured"))
    assert abs(price(*two_scrapes(running), "EUR") - 0.6) < 1e-6
    file.write_text("tariff: {currency: EUR}\n")
    running.signal(signal.SIGHUP)
    running.wait_until(lambda s: s.value(RELOADED, config="main") == 0)
    assert abs(price(*two_scrapes(running), "EUR") - 0.6) < 1e-6
    assert_exact(running, [gpu])


@pytest.mark.fault("prices-bad")
def test_a_file_of_prices_changes_them_by_itself_and_a_bad_one_does_not(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    (gpu,) = add_idle(fake_nvml, "full")
    file, prices = tmp_path / "gputally.yml", tmp_path / "prices.csv"
    file.write_text("tariff: {currency: EUR, price_per_kwh: 0.5, prices: {file: prices.csv}}\n")
    put(prices, "0.2")
    running = agent(f"--config.file={file}")
    load(running, [gpu], Constant(500))
    assert abs(price(*two_scrapes(running), "EUR") - 0.2) < 1e-6
    put(prices, "0.3")
    running.until(lambda: bool(running.lines("read again", "prices.csv")), timeout=60)
    running.wait_until(lambda s: s.value(RELOADED, config="prices") == 1)
    assert abs(price(*two_scrapes(running), "EUR") - 0.3) < 1e-6
    prices.write_text("start,end,price_per_kwh\n")
    running.wait_until(lambda s: s.value(RELOADED, config="prices") == 0, timeout=60)
    assert abs(price(*two_scrapes(running), "EUR") - 0.3) < 1e-6
    assert_exact(running, [gpu])


@pytest.mark.fault("driver-upgraded")
def test_a_bad_file_of_prices_is_no_end_of_metering_when_the_process_is_to_be_renewed(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    """After a driver upgrade the old process goes on: one that cannot start is no successor."""
    installed = own_library(fake_nvml, tmp_path)
    (gpu,) = add_idle(fake_nvml, "full")
    file, prices = tmp_path / "gputally.yml", tmp_path / "prices.csv"
    file.write_text("tariff: {currency: EUR, price_per_kwh: 0.5, prices: {file: prices.csv}}\n")
    put(prices, "0.2")
    running = agent(f"--config.file={file}", env={"LD_LIBRARY_PATH": str(installed.parent)})
    load(running, [gpu], Constant(500))
    prices.write_text("not prices\n")
    install(build(tmp_path / "newer", version="590.2"), installed)
    fake_nvml.raw.kernel_version = b"590.2"
    running.until(lambda: bool(running.lines("not starting afresh", "prices.csv")), timeout=30)
    scrape = running.scrape()
    assert is_up(scrape, gpu)
    assert not running.lines('msg="starting afresh"')
    assert abs(price(*two_scrapes(running), "EUR") - 0.2) < 1e-6
    assert version(scrape) != "590.2"
    assert_exact(running, [gpu])
