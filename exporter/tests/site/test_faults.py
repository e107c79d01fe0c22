"""Clocks that are set and disks that do not answer, beneath a running site agent."""

from __future__ import annotations

import signal
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.agent.preload import Preload, preload_library
from tests.site.declaring import BERLIN, put

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.running import Scrape
    from tests.site.running import RunningSite

__all__ = ["preload_library"]
NOW_PRICE = "site_electricity_price_now_per_kwh"
TARIFF = """
site: {timezone: Europe/Berlin}
tariff:
  currency: EUR
  versions:
    - price_per_kwh: 1
    - valid_from: "2027-03-29"
      price_per_kwh: 2
"""


def day(scrape: Scrape) -> str | None:
    """Today, by the agent."""
    return scrape.label("site_day_info", "day")


@pytest.mark.fault("clock-steps")
def test_day_and_price_change_at_midnight_to_the_second(
    new_site: Callable[..., RunningSite], preload_library: Path, tmp_path: Path
) -> None:
    """The evening of a day of 23 hours, 30 hours and then 2 seconds before the next version of the tariff."""
    (tmp_path / "c.yml").write_text(TARIFF)
    preload = Preload(preload_library, tmp_path / "preload.control", tmp_path / "none")
    midnight = datetime(2027, 3, 29, tzinfo=BERLIN)
    preload.step_wall(midnight.timestamp() - 3 - time.time())
    step_s = midnight.timestamp() - 3 - time.time()
    running = new_site(f"--config.file={tmp_path / 'c.yml'}", env=preload.env).start()
    seen: list[tuple[float, str | None, float | None]] = []
    running.until(
        lambda: (
            seen.append((time.time() + step_s, day(s := running.scrape()), s.value(NOW_PRICE)))
            or seen[-1][1] == "2027-03-29"
        ),
        what="midnight",
    )
    (before, after) = seen[-2:]
    assert [row[1:] for row in seen[:-1]] == [("2027-03-28", 1.0)] * (len(seen) - 1)
    assert after[1:] == ("2027-03-29", 2.0)
    assert before[0] - 0.5 < midnight.timestamp() < after[0] < midnight.timestamp() + 1
    preload.step_wall(-timedelta(hours=1).total_seconds())  # set back over midnight, and again
    running.wait_until(lambda s: day(s) == "2027-03-28" and s.value(NOW_PRICE) == 1, timeout=3)
    preload.step_wall(timedelta(days=300).total_seconds())
    running.wait_until(lambda s: day(s) == "2028-01-22", timeout=3)
    assert running.terminate()[0] == 0


@pytest.mark.fault("prices-bad")
@pytest.mark.parametrize("reload", [False, True], ids=["by itself", "SIGHUP"])
def test_files_that_hang_keep_nobody_from_scraping_or_stopping(
    new_site: Callable[..., RunningSite],
    preload_library: Path,
    dynamic: Path,
    tmp_path: Path,
    reload: bool,
) -> None:
    """As on a file server that does not answer. When it does again, so it goes on."""
    preload = Preload(preload_library, tmp_path / "preload.control", dynamic.parent)
    running = new_site(f"--config.file={dynamic}", env=preload.env).start()
    running.wait_until(lambda s: s.value(NOW_PRICE, tariff="dynamic", currency="EUR") == 0.1)
    put(dynamic.parent / "prices.csv", "0.2")
    preload.hang_disk()
    if reload:
        running.signal(signal.SIGHUP)
    with running.watch() as watch:
        running.until(lambda: running.threads > 1, timeout=30, what="a thread hangs in the file")
        time.sleep(1.5)
    watch.assert_served()
    assert {s.value(NOW_PRICE, tariff="dynamic", currency="EUR") for s in watch.scrapes} == {0.1}
    assert running.get("/-/healthy")[0] == running.get("/-/ready")[0] == 200
    assert running.threads == 2
    preload.heal_disk()
    running.wait_until(lambda s: s.value(NOW_PRICE, tariff="dynamic", currency="EUR") == 0.2)
    preload.hang_disk()
    running.signal(signal.SIGHUP)
    running.until(lambda: running.threads > 1, what="a thread hangs in the file again")
    status, seconds = running.terminate()
    assert (status, seconds < 2) == (0, True)
