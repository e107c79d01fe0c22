"""`gputally site` with a ledger: read beside the scrapes; what is wrong with it hurts nothing else."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from gputally.model.elsewhere import OutsideJob
from gputally.site.ledger.jobs import Origin, put
from gputally.site.ledger.store import Ledger
from gputally.site.ledger.watch import Watch
from tests.agent.preload import Preload, preload_library
from tests.elsewhere.charging import charge
from tests.site.declaring import StoppedClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.watching import Scrape
    from tests.site.running import RunningSite

    Site = Callable[..., RunningSite]

__all__ = ["preload_library"]

MONTH, DAY = "gpu_cloud_cost_month_to_date", "gpu_cloud_cost_by_day"
READABLE = "gputally_ledger_readable"
SUCCESS = "gputally_ledger_last_success_timestamp_seconds"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    folder = tmp_path / "accounts"
    folder.mkdir()
    return folder / "ledger.sqlite"


@pytest.fixture
def config(tmp_path: Path, ledger: Path) -> Path:
    file = tmp_path / "gputally.yml"
    file.write_text(f"ledger: {{file: {ledger}}}\n")
    return file


def today(amount: float) -> str:
    return f"{time.strftime('%Y-%m-%d', time.gmtime())},aws,h100-sxm5-80gb,{amount},vision,USD,2"


def cost(scrape: Scrape) -> float | None:
    return scrape.value(MONTH, provider="aws", card="h100-sxm5-80gb", team="vision", currency="USD")


def keep_job(ledger: Path, number: str) -> None:
    now_s = int(time.time())
    job = OutsideJob("cloud", number, now_s - 7200, now_s - 3600, now_s - 3600, "completed", team="nlp")
    with Ledger.open(ledger, write=True) as opened:
        put(opened, [job], Origin("jobs_csv", "jobs.csv", "aa", now_s * 10**9))


def test_figures_follow_the_ledger_and_nothing_is_read_twice(site: Site, config: Path, ledger: Path) -> None:
    charge(ledger, today(12.34))
    running = site(f"--config.file={config}")
    first = running.wait_until(lambda s: cost(s) == 12.34, what="the charge")
    assert first.value(READABLE) == 1
    assert (
        first.value("gpu_cloud_cost_per_gpu_hour", provider="aws", card="h100-sxm5-80gb", currency="USD")
        == 6.17
    )
    with running.watch() as watch:
        time.sleep(5)  # two looks
        assert running.scrape().value(SUCCESS) == first.value(SUCCESS)
        charge(ledger, today(20))
        keep_job(ledger, "run-1")
        second = running.wait_until(
            lambda s: cost(s) == 20 and s.series("gpu_cloud_jobs"), what="a correction"
        )
    assert second.value(SUCCESS) != first.value(SUCCESS)
    assert sum(second.series("gpu_cloud_jobs").values()) == 1
    assert second.value("gpu_cloud_cost_import_rows_total", provider="aws", result="updated") == 1
    watch.assert_served(within=0.3)
    assert running.terminate()[0] == 0
    assert not running.lines("Traceback")


def test_without_a_ledger_nothing_of_it_is_shown_and_a_reload_takes_it_up_and_away(
    site: Site, config: Path, ledger: Path
) -> None:
    with_it = config.read_text()
    config.write_text("{}\n")
    charge(ledger, today(5))
    running = site(f"--config.file={config}")
    assert not running.scrape().series(READABLE)
    config.write_text(with_it)
    running.signal(signal.SIGHUP)
    running.wait_until(lambda s: cost(s) == 5, what="the ledger")
    config.write_text("{}\n")
    running.signal(signal.SIGHUP)
    gone = running.wait_until(lambda s: not s.series(READABLE), what="no ledger")
    assert not gone.series(MONTH)


@pytest.mark.fault("ledger-away")
def test_a_ledger_that_is_not_there_yet_is_said_and_taken_up_when_it_is(
    site: Site, config: Path, ledger: Path
) -> None:
    running = site(f"--config.file={config}")
    missing = running.wait_until(lambda s: s.value(READABLE) == 0, what="a ledger that is missing")
    assert not missing.series(MONTH)
    assert missing.value("site_pue_ratio") == 1
    time.sleep(3)
    charge(ledger, today(5))
    there = running.wait_until(lambda s: cost(s) == 5, what="the ledger")
    assert there.value(READABLE) == 1
    assert len(running.lines("there is no ledger yet")) == 1
    assert len(running.lines("can be read again")) == 1


@pytest.mark.fault("ledger-damaged")
def test_a_damaged_ledger_leaves_the_figures_as_they_were(site: Site, config: Path, ledger: Path) -> None:
    charge(ledger, today(5))
    running = site(f"--config.file={config}")
    running.wait_until(lambda s: cost(s) == 5, what="the ledger")
    good = ledger.read_bytes()
    with running.watch() as watch:
        ledger.write_bytes(b"no ledger at all" * 1000)
        broken = running.wait_until(lambda s: s.value(READABLE) == 0, what="damage")
        assert cost(broken) == 5
        ledger.unlink()
        time.sleep(3)
        assert cost(running.scrape()) == 5
        ledger.write_bytes(good)
        running.wait_until(lambda s: s.value(READABLE) == 1, what="the ledger again")
    watch.assert_served(within=0.3)
    assert not running.lines("Traceback")


@pytest.mark.fault("ledger-away")
def test_a_writer_in_the_middle_of_an_import_holds_nobody_up(site: Site, config: Path, ledger: Path) -> None:
    charge(ledger, today(5))
    running = site(f"--config.file={config}")
    running.wait_until(lambda s: cost(s) == 5, what="the ledger")
    with Ledger.open(ledger, write=True) as opened, opened.transaction():
        opened.connection.execute("UPDATE charges SET nano = 7000000000, atto = 0")
        time.sleep(3)
        during = running.scrape()
        assert (cost(during), during.value(READABLE)) == (5, 1)
    running.wait_until(lambda s: cost(s) == 7, what="what was written")


@pytest.mark.fault("ledger-away")
def test_a_ledger_that_somebody_holds_to_himself_is_said_and_read_when_it_is_let_go(
    site: Site, config: Path, ledger: Path
) -> None:
    charge(ledger, today(5))
    running = site(f"--config.file={config}")
    running.wait_until(lambda s: cost(s) == 5, what="the ledger")
    with Ledger.open(ledger, write=True) as opened:
        opened.connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        with opened.transaction():
            opened.connection.execute("UPDATE charges SET nano = 7000000000, atto = 0")
        held = running.wait_until(
            lambda s: s.value(READABLE) == 0, what="a ledger that is locked", timeout=40
        )
        assert cost(held) == 5
    running.wait_until(lambda s: cost(s) == 7 and s.value(READABLE) == 1, what="the ledger again", timeout=40)
    assert running.terminate()[0] == 0


@pytest.mark.fault("ledger-away")
def test_a_disk_that_does_not_answer_hangs_no_scrape_and_no_end(
    new_site: Site, config: Path, ledger: Path, preload_library: Path, tmp_path: Path
) -> None:
    charge(ledger, today(5))
    preload = Preload(preload_library, tmp_path / "preload.control", ledger.parent)
    running = new_site(f"--config.file={config}", env=preload.env).start()
    running.wait_until(lambda s: cost(s) == 5, what="the ledger")
    with running.watch() as watch:
        preload.hang_disk()
        charge(ledger, today(6))
        hung = running.wait_until(lambda s: s.value(READABLE) == 0, what="a disk that hangs", timeout=40)
        assert cost(hung) == 5
        preload.heal_disk()
        running.wait_until(lambda s: cost(s) == 6 and s.value(READABLE) == 1, what="the disk", timeout=40)
        preload.hang_disk()
        charge(ledger, today(7))
        time.sleep(3)
    watch.assert_served(within=0.3)
    assert running.terminate()[0] == 0
    preload.heal_disk()


def test_a_new_day_makes_new_sums_of_a_ledger_that_nobody_has_changed(ledger: Path) -> None:
    charge(ledger, "2026-11-30,aws,h100-sxm5-80gb,5,vision,USD,2")
    clock = StoppedClock(1_796_083_199 * 10**9)  # the last second of November
    watch = Watch(ledger, clock)
    november = watch.look()
    assert november is not None
    assert len(november.families[MONTH]) == 1
    assert watch.look() is None
    clock.wall_ns += 10**9
    december = watch.look()
    assert december is not None
    assert not december.families[MONTH]
    assert watch.look() is None


def test_what_cannot_be_shown_is_said_once_however_often_it_is_looked_at(ledger: Path, caplog) -> None:
    watch = Watch(ledger, StoppedClock(1_796_083_199 * 10**9))
    found = watch.look()
    assert found is not None
    assert found.families == {READABLE: {(): 0.0}}
    assert watch.look() is None
    assert watch.look() is None
    assert len(caplog.records) == 1
