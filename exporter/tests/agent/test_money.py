"""Money on the page of a running agent: which series there are, what they sum to, and what ends them not."""

from __future__ import annotations

import json
import signal
import time
import zlib
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.agent.jobbing import job_of, programs, wait_for_jobs
from tests.agent.metering import IDLE, add_idle, assert_exact, is_up, load, uuid_of
from tests.agent.statefiles import Memory, assert_whole
from tests.fakenvml import Constant, Process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.jobbing import Programs
    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeNvml

__all__ = ["programs"]

LONG_DOWN_S = 11.0  # a state of that age was not trusted once
CENT = 1e-12  # what floats may lose
BANDS = """
site: {timezone: UTC, pue: 1.25}
tariff:
  currency: EUR
  bands:
    - {name: even, hours: ["00:00-01:00", "02:00-03:00", "04:00-05:00", "06:00-07:00", "08:00-09:00",
                           "10:00-11:00", "12:00-13:00", "14:00-15:00", "16:00-17:00", "18:00-19:00",
                           "20:00-21:00", "22:00-23:00"], price_per_kwh: 0.2}
    - {name: odd, price_per_kwh: 0.4}
carbon: {grams_per_kwh: 400}
"""
OF_GPUS = {
    "gpu_energy_cost_total",
    "gpu_energy_by_tariff_joules_total",
    "gpu_emissions_grams_total",
    "gpu_cost_day",
    "gpu_energy_day_joules",
}
OF_TEAMS = {
    f"gpu_team_{what}_total"
    for what in (
        "cost",
        "energy_by_tariff_joules",
        "emissions_grams",
        "unused_energy_joules",
        "unused_cost",
    )
}
OF_JOBS = {name.replace("team", "job") for name in OF_TEAMS}


def values(scrape: Scrape, name: str, label: str, **only: str) -> Counter[str]:
    """Values of a family, summed by one label."""
    found: Counter[str] = Counter()
    for labels, value in scrape.series(name, **only).items():
        found[dict(labels)[label]] += value
    return found


def assert_one_sum(scrape: Scrape) -> None:
    """Jobs and what is nobody's are the GPUs, in every currency; bands are all energy."""
    jobs = values(scrape, "gpu_job_cost_total", "currency")
    nobodys = values(scrape, "gpu_unattributed_cost_total", "currency")
    gpus = values(scrape, "gpu_energy_cost_total", "currency")
    assert gpus
    for currency, cost in gpus.items():
        assert jobs[currency] + nobodys[currency] == pytest.approx(cost, rel=1e-9, abs=CENT)
    bands = values(scrape, "gpu_energy_by_tariff_joules_total", "uuid")
    energy = values(scrape, "gpu_energy_joules_total", "uuid")
    assert bands == pytest.approx(energy, rel=1e-9, abs=1e-6)
    days = values(scrape, "gpu_cost_day", "currency")
    assert days == pytest.approx(gpus, rel=1e-9, abs=CENT), "it has counted for a day or two at most"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "gputally.yml"
    file.write_text(BANDS)
    return file


@pytest.fixture
def paying(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs, config: Path
) -> tuple[RunningAgent, str]:
    """An agent with a tariff, and a job that uses a GPU."""
    (gpu,) = add_idle(fake_nvml, "full")
    gpu.set(gpu_percent=80)
    running = agent(f"--config.file={config}")
    gpu.set_processes([Process(pid := programs.start(), sm=80)])
    load(running, [gpu], IDLE)
    (job,) = wait_for_jobs(running, pid)
    gpu.power = Constant(400)
    running.wait_until(lambda s: sum(values(s, "gpu_team_energy_joules_total", "team").values()) > 400)
    assert job_of(running.scrape(), pid) == job
    return running, job


def quiet(running: RunningAgent, fake_nvml: FakeNvml) -> Scrape:
    """Stop all power; a scrape after which nothing more is counted."""
    fake_nvml.gpu(0).power = IDLE
    assert_exact(running, [fake_nvml.gpu(0)])
    return running.scrape()


def money(scrape: Scrape, *, days: bool = True) -> dict[object, float]:
    """Every series of money that outlives a restart."""
    names = (OF_GPUS if days else OF_GPUS - {"gpu_cost_day", "gpu_energy_day_joules"}) | OF_TEAMS | OF_JOBS
    names |= {"gpu_unattributed_cost_total"}
    return {series: value for series, value in scrape.samples.items() if series[0] in names}


def test_every_family_is_there_with_its_labels(paying: tuple[RunningAgent, str], fake_nvml: FakeNvml) -> None:
    running, job = paying
    scrape = quiet(running, fake_nvml)
    uuid, today = uuid_of(fake_nvml.gpu(0)), datetime.now(UTC).date().isoformat()
    one = {"gpu": "0", "uuid": uuid}
    assert scrape.value("gpu_energy_cost_total", currency="EUR", **one)
    assert set(values(scrape, "gpu_energy_by_tariff_joules_total", "tariff")) == {"even", "odd"}
    assert scrape.value("gpu_emissions_grams_total", **one)
    assert scrape.value("gpu_cost_day", day=today, currency="EUR", **one) is not None
    assert scrape.value("gpu_energy_day_joules", day=today, **one) is not None
    assert not scrape.series("gpu_energy_credit_total"), "only where a price was below zero"
    assert scrape.families(job_id=job) >= OF_JOBS
    assert scrape.value("gpu_job_cost_total", job_id=job, currency="EUR")
    assert set(values(scrape, "gpu_team_energy_by_tariff_joules_total", "tariff")) == {"even", "odd"}
    for name in OF_TEAMS:
        assert all({"team", "user", "model"} <= dict(labels).keys() for labels in scrape.series(name)), name
    assert set(values(scrape, "gpu_unattributed_cost_total", "currency", uuid=uuid)) == {"EUR"}
    assert set(values(scrape, "gpu_unattributed_cost_total", "reason")) == set(
        values(scrape, "gpu_unattributed_energy_joules_total", "reason")
    )
    assert scrape.value("gputally_tariff_info", currency="EUR", timezone="UTC", source="configured") == 1
    assert_one_sum(scrape)


def test_what_a_kwh_costs_is_what_was_declared(paying: tuple[RunningAgent, str], fake_nvml: FakeNvml) -> None:
    """By the joules of each band, whichever holds while this runs."""
    running, _ = paying
    scrape = quiet(running, fake_nvml)
    joules = values(scrape, "gpu_energy_by_tariff_joules_total", "tariff")
    kwh = {band: value / 3.6e6 for band, value in joules.items()}
    cost = scrape.value("gpu_energy_cost_total", currency="EUR")
    assert cost == pytest.approx((kwh["even"] * 0.2 + kwh["odd"] * 0.4) * 1.25, rel=1e-9)
    grams = scrape.value("gpu_emissions_grams_total")
    assert grams == pytest.approx(sum(kwh.values()) * 1.25 * 400, rel=1e-9)


def test_sums_hold_in_every_scrape(paying: tuple[RunningAgent, str]) -> None:
    running, _ = paying
    with running.watch() as watch:
        time.sleep(3)
    watch.assert_no_decrease()
    for scrape in watch.scrapes:
        assert_one_sum(scrape)


@pytest.mark.fault("agent-killed")
@pytest.mark.parametrize("down_s", [0.0, LONG_DOWN_S])
def test_a_kill_takes_nothing_back_and_loses_nothing(
    paying: tuple[RunningAgent, str], fake_nvml: FakeNvml, down_s: float
) -> None:
    running, job = paying
    before = quiet(running, fake_nvml)
    running.kill()
    time.sleep(down_s)
    running.start()
    after = running.wait_until(lambda s: is_up(s, fake_nvml.gpu(0)) and s.families(job_id=job))
    assert money(after) == money(before)
    memory = Memory()
    memory.check(before)
    memory.check(after)
    fake_nvml.gpu(0).power = Constant(300)
    running.wait_until(
        lambda s: (s.value("gpu_energy_cost_total") or 0) > (before.value("gpu_energy_cost_total") or 0)
    )
    assert_one_sum(quiet(running, fake_nvml))


@pytest.mark.fault("agent-down")
def test_energy_of_the_time_in_which_it_was_down_is_paid_and_nobodys(
    paying: tuple[RunningAgent, str], fake_nvml: FakeNvml
) -> None:
    running, job = paying
    before = running.scrape()
    running.kill()
    time.sleep(1)
    running.start()
    after = running.wait_until(lambda s: is_up(s, fake_nvml.gpu(0)) and s.families(job_id=job))
    gone = after.value("gpu_unattributed_cost_total", reason="exporter_down") or 0
    was = before.value("gpu_unattributed_cost_total", reason="exporter_down") or 0
    assert gone - was > 400 / 3.6e6 * 0.2
    assert_one_sum(after)


def test_another_currency_begins_beside_the_old_one(
    paying: tuple[RunningAgent, str], fake_nvml: FakeNvml, config: Path
) -> None:
    running, job = paying
    before = quiet(running, fake_nvml)
    config.write_text("tariff: {currency: USD, price_per_kwh: 0.3}\n")
    running.signal(signal.SIGHUP)
    zero = running.wait_until(lambda s: s.value("gputally_tariff_info", currency="USD"))
    for name in ("gpu_energy_cost_total", "gpu_team_cost_total", "gpu_unattributed_cost_total"):
        assert set(values(zero, name, "currency")) == {"EUR", "USD"}, name
        assert values(zero, name, "currency")["USD"] == 0
    bands = values(zero, "gpu_energy_by_tariff_joules_total", "tariff")
    assert +bands == +values(before, "gpu_energy_by_tariff_joules_total", "tariff")
    assert "flat" in bands
    fake_nvml.gpu(0).power = Constant(300)
    running.wait_until(lambda s: s.value("gpu_job_cost_total", job_id=job, currency="USD"))
    after = quiet(running, fake_nvml)
    assert after.value("gpu_energy_cost_total", currency="EUR") == before.value("gpu_energy_cost_total")
    assert_one_sum(after)
    running.restart()
    again = running.wait_until(lambda s: is_up(s, fake_nvml.gpu(0)) and s.families(job_id=job))
    assert money(again) == money(after)


def test_without_a_tariff_everything_says_that_the_price_is_the_default(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    (gpu,) = add_idle(fake_nvml, "full")
    running = agent()
    load(running, [gpu], Constant(400))
    assert_exact(running, [gpu])
    scrape = running.scrape()
    assert set(values(scrape, "gpu_energy_by_tariff_joules_total", "tariff")) == {"default"}
    assert set(values(scrape, "gpu_energy_cost_total", "currency")) == {"USD"}
    assert scrape.value("gputally_tariff_info", currency="USD", timezone="UTC", source="default") == 1
    joules = scrape.value("gpu_energy_joules_total")
    assert joules
    assert scrape.value("gpu_energy_cost_total") == pytest.approx(joules / 3.6e6 * 0.12, rel=1e-9)
    assert_one_sum(scrape)


@pytest.mark.fault("state-older")
def test_a_state_from_before_there_was_money_goes_on(
    paying: tuple[RunningAgent, str], fake_nvml: FakeNvml
) -> None:
    """As after an upgrade: joules go on, money begins with zero."""
    running, job = paying
    before = quiet(running, fake_nvml)
    running.terminate()
    for name in ("counters.json", "counters.json.1", "counters.json.synced"):
        forget_money(running.state_dir / name)
    running.start()
    after = running.wait_until(lambda s: is_up(s, fake_nvml.gpu(0)) and s.families(job_id=job))
    assert after.value("gpu_energy_joules_total") == before.value("gpu_energy_joules_total")
    assert values(after, "gpu_team_energy_joules_total", "team") == values(
        before, "gpu_team_energy_joules_total", "team"
    )
    assert not any(money(after, days=False).values())
    assert money(after).keys() >= {series for series in money(before) if series[0] in OF_TEAMS}
    assert not running.lines("not usable")


def forget_money(file: Path) -> None:
    """Make it what an earlier version would have written."""
    document = assert_whole(file)
    for gpu in document["gpus"].values():  # type: ignore[attr-defined]
        gpu.pop("money", None)
    book = document["extra"]["ledger"]["book"]  # type: ignore[index]
    book["schema"] = 1
    del book["nobodys_cost"]
    for kind in ("jobs", "teams"):
        book[kind] = [json.dumps(json.loads(row)[:6]) for row in book[kind]]
    body = json.dumps(document).encode()
    file.write_bytes(b"%08x\n" % zlib.crc32(body) + body)
