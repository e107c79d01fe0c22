"""/offers of a real site agent, and the commands that read it: the same figures as the series have."""

from __future__ import annotations

import csv
import io
import json
import signal
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import bcrypt
import pytest

from gputally.site.market.listing import parse_listing
from tests.cli.command import gputally
from tests.site.providers import providers
from tests.site.running import RunningSite

Site = Callable[..., RunningSite]
CONFIG = """
tariff: {{currency: EUR, price_per_kwh: 0.25}}
owned_gpus: [{{model: NVIDIA H100 80GB HBM3, capital: 30000, life_years: 4}}]
plans: [{{name: sweep, gpus: 4, card: h100-sxm5-80gb, hours: 10, target_usd: 900}}]
market:
  rates: {{EUR: 1.2}}
  gscore: {{price: 0.6, reliability: 0.2, availability: 0.2, gpus: 4}}
  providers:
    runpod: {{base_url: "{url}/runpod", recording: true}}
    vast: {{base_url: "{url}/vast", recording: true}}
"""
MIN = "gpu_market_offer_min_usd_per_gpu_hour"


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_offers_and_plans_agree_with_the_series_of_the_same_agent(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "gputally.yml"
    with providers() as (_, provider):
        file.write_text(CONFIG.format(url=provider.url))
        running = site(f"--config.file={file}")
        scrape = running.wait_until(
            lambda s: len({dict(labels)["provider"] for labels in s.series(MIN)}) == 2, timeout=30
        )
    status, body, _ = running.get("/offers")
    listing = parse_listing(json.loads(body))
    assert status == 200
    assert {(report.provider, report.source) for report in listing.market.providers} == {
        ("runpod", "recording"),
        ("vast", "recording"),
    }
    assert (listing.weights.price, listing.weights.gpus) == (Decimal("0.6"), 4)
    assert (listing.own.usd_per_kwh, listing.own.gpus[0].card) == (Decimal("0.3"), "h100-sxm5-80gb")
    assert running.get("/offers")[1] == body
    assert '<a href="/offers">' in running.get("/")[1]
    url = f"http://{running.address[0]}:{running.address[1]}"
    asked = gputally("offers", f"--site.url={url}", "--format=csv", folder=tmp_path)
    assert asked.status == 0
    offers = rows(asked.out)
    lowest: dict[frozenset[tuple[str, str]], float] = {}
    for row in offers:
        keys = ("provider", "card", "price_tier", "host_tier")
        labels = frozenset({(key, row[key]) for key in keys} | {("region", "all")})
        lowest[labels] = min(lowest.get(labels, 1e9), float(row["usd_per_gpu_hour"]))
    series = scrape.series(MIN)
    assert len(lowest) > 10
    assert {labels: pytest.approx(usd, abs=1e-8) for labels, usd in lowest.items()} == {
        labels: series[labels] for labels in lowest
    }
    planned = gputally(
        *("plan", "--gpus=4", "--card=h100-sxm5-80gb", "--hours=10", f"--site.url={url}", "--format=csv"),
        folder=tmp_path,
    )
    best = rows(planned.out)[0]
    assert float(best["usd"]) == pytest.approx(scrape.value("gpu_plan_cheapest_usd", plan="sweep"))
    assert scrape.value("gpu_plan_gpus", plan="sweep", provider=best["provider"], card=best["card"]) == float(
        best["gpus"]
    )
    assert rows(planned.out)[-1]["kind"] == "own"


def test_an_agent_without_a_market_says_so_and_a_reload_brings_one(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "gputally.yml"
    file.write_text("{}\n")
    running = site(f"--config.file={file}")
    url = f"http://{running.address[0]}:{running.address[1]}"
    answer = gputally("offers", f"--site.url={url}", folder=tmp_path)
    assert answer.status == 1
    assert answer.err == (
        f"gputally: error: {url}: this site agent asks no provider: its market.providers are empty\n"
    )
    with providers() as (_, provider):
        file.write_text(CONFIG.format(url=provider.url))
        running.signal(signal.SIGHUP)
        running.wait_until(lambda s: s.series(MIN, provider="runpod"), timeout=30)
    assert "h100-sxm5-80gb" in running.get("/offers")[1]


def test_the_password_of_the_metrics_is_that_of_the_offers(
    new_site: Callable[..., RunningSite], tmp_path: Path
) -> None:
    users = f"basic_auth_users: {{ada: '{bcrypt.hashpw(b's3cret', bcrypt.gensalt(4)).decode()}'}}\n"
    (tmp_path / "web.yml").write_text(users)
    (tmp_path / "password").write_text("s3cret\n")
    running = new_site(f"--web.config.file={tmp_path / 'web.yml'}").start(serving=False)
    running.until(lambda: bool(running.lines("serving http on")), timeout=20)
    url = f"http://{running.address[0]}:{running.address[1]}"
    assert running.get("/offers")[0] == 401
    answer = gputally("offers", f"--site.url={url}", folder=tmp_path)
    assert (answer.status, "user and password are missing or wrong" in answer.err) == (1, True)
    secret = f"--site.password-file={tmp_path / 'password'}"
    answer = gputally("offers", f"--site.url={url}", "--site.user=ada", secret, folder=tmp_path)
    assert "this site agent asks no provider" in answer.err
