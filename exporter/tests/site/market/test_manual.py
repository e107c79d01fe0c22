"""docs/market.md against the program: its configuration, its figures, its example of a provider."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

import gputally
from gputally.cli.options import combine
from gputally.config.market import KINDS, GScore
from gputally.config.settings import SiteSettings
from gputally.model.market import BASES, FAILURES, HOST_TIERS, PRICE_TIERS, REJECTIONS
from gputally.site.market import cards
from gputally.site.market.gscore import gscore
from gputally.site.market.http import Http
from gputally.site.market.registry import PROVIDERS
from tests.report.answering import Answer, speaking
from tests.site.market.asked import only, settings

PAGE = (Path(gputally.__file__).parents[2] / "docs" / "market.md").read_text()
HOURS_PER_YEAR = 8766


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", blocks("yaml"))
def test_every_example_of_a_configuration_is_one(tmp_path, block):
    file = tmp_path / "gputally.yml"
    file.write_text(block)
    assert combine(file, {}, SiteSettings).market.providers


def test_the_first_example_has_every_kind_of_provider(tmp_path):
    file = tmp_path / "gputally.yml"
    file.write_text(blocks("yaml")[0])
    told = combine(file, {}, SiteSettings)
    assert {one.kind for one in told.market.providers} == set(KINDS)
    assert told.market.gscore == GScore()
    assert (len(told.rentals), len(told.plans)) == (1, 1)


def test_every_word_that_labels_have_is_explained():
    for word in (*FAILURES, *PRICE_TIERS, *HOST_TIERS):
        assert f"`{word}`" in PAGE, word
    for reason in REJECTIONS:
        assert f"`{reason}`" in PAGE or f'reason="{reason}"' in PAGE, reason
    for kind, provider in PROVIDERS.items():
        rows = re.findall(r"^\| (`\w+`[^|]*) \| `(\w+)` \|", PAGE, re.MULTILINE)
        bases = {name.strip("`"): basis for cell, basis in rows for name in re.findall(r"`\w+`", cell)}
        assert bases["aws" if kind == "clouds" else kind] == provider.basis
        assert provider.basis in BASES


def test_the_example_of_a_score_is_right():
    score = gscore(GScore(), Decimal("1.60"), Decimal("1.52"), 0.985, 4)
    assert f"= **{score.ratio:.2f}**" in PAGE


def test_the_example_of_rent_or_own_is_right():
    write_off, upkeep = (30000 - 4000) / (4 * HOURS_PER_YEAR), 1200 / HOURS_PER_YEAR
    kwh = 0.12 * 1.3
    idle, marginal, rent, use = 0.070 * kwh, (0.620 - 0.070) * kwh, 2.10, 0.6
    fixed = write_off + upkeep + idle
    own = fixed + use * marginal
    for name, value in (("write-off", write_off), ("upkeep", upkeep), ("idle power", idle)):
        assert re.search(rf"^\| {name} \| .* \| {value:.4f} \|$", PAGE, re.MULTILINE), name
    assert f"| **F** | | **{fixed:.4f}** |" in PAGE
    assert re.search(rf"^\| \*\*M\*\* \| .* \| \*\*{marginal:.4f}\*\* \|$", PAGE, re.MULTILINE)
    assert f"**{fixed / (rent - marginal):.1%} %**".replace("% %", " %") in PAGE
    text = " ".join(PAGE.split())
    assert f"= {own:.4f} owned" in text
    assert f"= {use * rent:.4f} rented" in text
    saved = use * rent - own
    assert f"saves {saved:.4f} USD an hour, {saved * 24 * 30.4375:.0f} USD in a mean month" in text


def test_the_example_of_a_provider_reads_what_it_asks_for():
    (code,) = blocks("python")
    names: dict[str, object] = {}
    exec(compile(code, "docs/market.md", "exec"), names)  # noqa: S102 - the manual's own example
    machine = {"gpu": "H100 SXM", "gpu_memory_gb": 80, "gpu_count": 8, "usd_per_hour": 16, "region": "Oslo"}
    reply = {"machines": [machine, machine | {"gpu_count": None}]}
    with speaking(lambda _: Answer(body=json.dumps(reply).encode())) as provider:
        told = settings("vast", name="example", base_url=provider.url)
        fetched = names["fetch"](Http(), told, cards.load())
    offer = only(fetched)
    assert (offer.card, offer.usd_per_gpu_hour, offer.node_gpus) == ("h100-sxm5-80gb", 2, 8)
    assert fetched.rejected == {"no_count": 1}
    assert provider.seen[0].path == "/v1/machines"
