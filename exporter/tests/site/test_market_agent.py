"""`gputally site` with a market, as its surroundings meet it: providers that fail, hang and come back."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.agent.preload import Preload, preload, preload_library
from tests.report.answering import Answer
from tests.site.providers import providers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.watching import Scrape
    from tests.site.running import RunningSite

    Site = Callable[..., RunningSite]

__all__ = ["preload", "preload_library"]

PRICES = "gpu_market_offer_min_usd_per_gpu_hour"
FAILED = "gpu_market_fetch_failures_total"
SUCCESS = "gpu_market_last_success_timestamp_seconds"
DOWN = Answer(500, b"<h1>down</h1>")
PAGE = Answer(200, b"<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"})
EMPTY = Answer(200, b'{"data": {"gpuTypes": []}}')
DECLARED = """
rentals: [{name: training, team: nlp, provider: lambda, card: h100-sxm5-80gb, gpus: 4, usd_per_gpu_hour: 9}]
plans: [{name: sweep, gpus: 1, card: h100-sxm5-80gb, hours: 10, target_usd: 900}]
"""


def configured(file: Path, url: str, minutes: int = 10, *others: str, rest: str = DECLARED) -> None:
    """RunPod asked every so many minutes and shown for thrice as long; others every day."""
    asked = [f"    runpod: {{base_url: '{url}/runpod', recording: true, interval: {minutes}m}}"]
    asked += [f"    {name}: {{base_url: '{url}/{name}', recording: true, interval: 1d}}" for name in others]
    file.write_text("\n".join(["market:", "  providers:", *asked, rest]))


def prices(scrape: Scrape, provider: str) -> dict[frozenset[tuple[str, str]], float]:
    return scrape.series(PRICES, provider=provider)


@pytest.mark.fault("provider-unreachable")
def test_a_provider_that_fails_in_every_way_costs_nothing_but_its_own_age(
    new_site: Site, tmp_path: Path, preload: Preload
) -> None:
    file = tmp_path / "gputally.yml"
    with providers() as (market, server):
        market.held.add("akash")
        configured(file, server.url, 1, "verda", "akash")
        running = new_site(f"--config.file={file}", env=preload.env).start()
        good = running.wait_until(lambda s: prices(s, "runpod") and prices(s, "verda"), what="offers")
        with running.watch() as watch:
            for minutes, (reason, answer) in enumerate(
                {"http": DOWN, "parse": PAGE, "empty": EMPTY}.items(), start=2
            ):
                market.instead["runpod"] = answer
                configured(file, server.url, minutes, "verda", "akash")
                running.signal(signal.SIGHUP)
                now = running.wait_until(
                    lambda s, why=reason: s.value(FAILED, provider="runpod", reason=why), what=reason
                )
                assert prices(now, "runpod") == prices(good, "runpod")
                assert now.value(SUCCESS, provider="runpod") == good.value(SUCCESS, provider="runpod")
            preload.step_wall(12 * 60)  # three intervals of the four minutes that are configured now
            late = running.wait_until(lambda s: not prices(s, "runpod"), what="too old offers to go")
            assert late.value(SUCCESS, provider="runpod") == good.value(SUCCESS, provider="runpod")
            assert prices(late, "verda") == prices(good, "verda")
            del market.instead["runpod"]
            configured(file, server.url, 1, "verda", "akash")
            running.signal(signal.SIGHUP)
            back = running.wait_until(lambda s: prices(s, "runpod"), what="offers to come back")
        assert prices(back, "runpod") == prices(good, "runpod")
        assert (back.value(SUCCESS, provider="runpod") or 0) > (good.value(SUCCESS, provider="runpod") or 0)
        assert back.value("gpu_market_fetches_total", provider="verda") == 1
        assert not any(back.series(FAILED, provider="verda").values())
        assert back.value(SUCCESS, provider="akash") is None
        watch.assert_served(within=0.3)  # though akash hangs all the time
        watch.assert_no_decrease()
        assert running.terminate()[0] == 0  # and keeps nobody from ending
        assert not market.over.is_set()
    assert not running.lines("Traceback")
    assert len(running.lines("no prices (parse)")) == len(running.lines("no prices (empty)")) == 1


def test_a_recording_says_that_it_is_one_and_all_that_is_declared_is_there(
    site: Site, tmp_path: Path
) -> None:
    file = tmp_path / "gputally.yml"
    with providers() as (_market, server):
        configured(file, server.url, 10, "vast", "akash", "ionet", "lambda", "verda")
        running = site(f"--config.file={file}")
        scrape = running.wait_until(
            lambda s: len({dict(labels)["provider"] for labels in s.series(PRICES)}) == 6,
            what="all providers",
        )
    sources = {dict(labels)["source"] for labels in scrape.series("gpu_market_provider_info")}
    assert sources == {"recording"}
    assert not any(scrape.series(FAILED).values())
    assert scrape.value("gpu_rental_gpus", rental="training") == 4
    assert 0 < (scrape.value("gpu_plan_cheapest_usd", plan="sweep") or 0) < 900
    assert len(scrape.series("gpu_plan_gpus")) == 1
    assert scrape.value("gpu_market_series_dropped") == 0
    assert scrape.value("gputally_left_out_families") == 0
    assert scrape.value("site_usd_per_unit", currency="USD") == 1


def test_a_market_comes_and_goes_with_the_file(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "gputally.yml"
    file.write_text("{}\n")
    with providers() as (_market, server):
        running = site(f"--config.file={file}")
        assert running.threads == 1
        assert not running.scrape().series("gpu_catalog_info")
        with running.watch() as watch:
            configured(file, server.url)
            running.signal(signal.SIGHUP)
            good = running.wait_until(lambda s: prices(s, "runpod"))
            assert good.series("gpu_catalog_info")
            file.write_text("market: {providers: {vst: {}}}\n")
            running.signal(signal.SIGHUP)
            kept = running.wait_until(
                lambda s: s.value("gputally_config_last_reload_success", config="main") == 0
            )
            assert prices(kept, "runpod") == prices(good, "runpod")
            assert running.lines(
                "configuration kept", "market.providers.vst: unknown key, did you mean vast?"
            )
            file.write_text(DECLARED)
            running.signal(signal.SIGHUP)
            declared = running.wait_until(lambda s: s.series("gpu_rental_gpus") and not prices(s, "runpod"))
            assert declared.series("gpu_catalog_info")
            assert not declared.series("gpu_market_fetches_total")
            file.write_text("{}\n")
            running.signal(signal.SIGHUP)
            gone = running.wait_until(lambda s: not s.series("gpu_catalog_info"))
        assert not gone.series("gpu_rental_gpus")
        running.until(lambda: running.threads == 1, what="nobody to be asked")
        watch.assert_served(within=0.3)


@pytest.mark.fault("config-market")
@pytest.mark.parametrize(
    ("command", "text", "message"),
    [
        (
            "site",
            "rentals: [{name: a, provider: b, card: h100-sxm-80gb, gpus: 1, usd_per_gpu_hour: 1}]",
            ':1:40 rentals[0].card: no card is called "h100-sxm-80gb"; the nearest name is h100-sxm5-80gb',
        ),
        (
            "node",
            "market: {providers: {vast: {interval: 1s}}}",
            ":1:39 market.providers.vast.interval: expected a duration from 1m to 7d",
        ),
    ],
)
def test_a_bad_market_is_one_line_and_status_2_for_both_agents(
    new_site: Site, tmp_path: Path, command: str, text: str, message: str
) -> None:
    file = tmp_path / "gputally.yml"
    file.write_text(text)
    running = new_site(f"--config.file={file}")
    running.command = command
    running.start(serving=False)
    assert running.wait() == 2
    assert f"{file}{message}" in running.log[-1]
    assert not running.lines("Traceback")


def test_whoever_has_no_market_does_not_even_load_what_asks_for_it() -> None:
    code = (
        "import sys, gputally.cli.site, gputally.cli.siteagent, gputally.cli.node, gputally.cli.nodeagent\n"
        "print([name for name in ('requests', 'gputally.site.market') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
