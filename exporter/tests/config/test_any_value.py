"""Files of the manual with anything in any place: one line about it, or figures that can be published."""

from __future__ import annotations

import copy
import math
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import promql_parser
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gputally
from gputally.alerts.rulefile import render
from gputally.cli.alerts import declared
from gputally.cli.options import combine
from gputally.config.settings import NodeSettings, SiteSettings
from tests.site.declaring import FULL, StoppedClock, publisher

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(gputally.__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(yaml|csv|json)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = [
    block
    for name in ("configuration", "tariffs", "market", "thresholds")
    for block in BLOCK.findall((DOCS / f"{name}.md").read_text())
]
MOMENTS = [datetime(2026, 7, 1, 12, tzinfo=UTC), datetime(2026, 10, 25, 0, 59, tzinfo=UTC)]
ODD = r"""
~;'';.nan;-.inf;1e400;0;-1;0.0000000001;1e3;010;1_000;12:30;true;no;[];{};[[]];{a: 1};[~];x;<b>;../x;/dev/null
file:///x;http://169.254.169.254/;http://u:p@h/;mars/phobos;Europe/Berlin;UTC;EUR;usd;2026-02-30;2026-10-25
0000-01-01;9999-12-31;24:00-25:00;22:00-06:00;00:00-24:00;mon-sun;sun-mon;jan-dec;1ns;10y;5m;le;__x;(a+)+$;'a''b'
"\0";"\u202e";99999999999999999999;1.5;0.5;-0.0;100%;"1,5";power_watts;rtx4090-24gb;vast;day
"""
Node = yaml.Node


def read(folder: Path, text: str) -> tuple[str, str]:
    """What each agent complains of; "" where the file is good. Figures of a good one are published."""
    path = folder / "gputally.yml"
    path.write_text(text)
    complaints = []
    for agent in (NodeSettings, SiteSettings):
        try:
            told = combine(path, {}, agent)
        except click.UsageError as error:
            complaints.append(error.message)
        else:
            complaints.append("")
            if isinstance(told, SiteSettings):
                publish(told)
                for rule in yaml.safe_load(render(declared(path).rules))["groups"][0]["rules"]:
                    promql_parser.parse(rule["expr"])
    assert all(not line or (line.startswith("/") and line.isprintable()) for line in complaints)
    return complaints[0], complaints[1]


def publish(told: SiteSettings) -> None:
    clock = StoppedClock()
    clock.set(MOMENTS[0])
    one = publisher(told, clock)
    for moment in MOMENTS:
        clock.set(moment)
        one.publish()
        site = one.latest.site
        assert all(math.isfinite(price) for price in (*site.prices.values(), *site.price_now.values()))
        assert 1 <= site.pue_ratio <= 10


def places(node: Node) -> Iterator[tuple[list[object], int]]:
    """Every value below a node, as the list that it stands in and where; a key and its value are one."""
    if isinstance(node, yaml.CollectionNode):
        for at, inner in enumerate(node.value):
            yield node.value, at
            yield from places(inner[1] if isinstance(inner, tuple) else inner)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that examples name."""
    made = tmp_path_factory.mktemp("any-value")
    (made / "reservations.yml").write_text("reservations: []\n")
    for kind, text in BLOCKS:
        if kind != "yaml":
            (made / f"{'carbon' if 'grams_per_kwh' in text else 'prices'}.{kind}").write_text(text)
    return made


GOOD = [FULL, *(text for kind, text in BLOCKS if kind == "yaml" and "tls_server_config" not in text)]
TREES = [yaml.compose(text) for text in GOOD]
VALUES = [yaml.compose(text) for text in re.split("[;\n]", ODD.strip())] + [
    value[1] if isinstance(value := where[at], tuple) else value
    for tree in TREES
    for where, at in places(tree)
]


@st.composite
def spoiled(draw: st.DrawFn) -> str:
    """An example in which up to three values are others, are gone, or stand twice or under another key."""
    tree = copy.deepcopy(draw(st.sampled_from(TREES)))
    for _ in range(draw(st.integers(1, 3))):
        where, at = draw(st.sampled_from(list(places(tree))))
        value = copy.deepcopy(draw(st.sampled_from(VALUES)))
        kind = draw(st.sampled_from(["value", "value", "value", "key", "gone", "twice"]))
        if kind == "gone":
            del where[at]
        elif kind == "twice":
            where.append(copy.deepcopy(where[at]))
        elif isinstance(where[at], tuple):
            where[at] = (where[at][0], value) if kind == "value" else (value, where[at][1])
        else:
            where[at] = value
        if not list(places(tree)):
            break
    return yaml.serialize(tree, allow_unicode=True)


def test_examples_are_good_before_they_are_spoiled(folder: Path) -> None:
    complaints = [read(folder, yaml.serialize(tree)) for tree in TREES]
    assert complaints == [("", "")] * len(TREES)


@pytest.mark.fault("config-values", "config-tariffs", "config-market")
@settings(max_examples=200, deadline=2_000, suppress_health_check=[HealthCheck.too_slow])
@given(text=spoiled())
def test_any_value_in_any_place_is_one_line_or_figures_that_can_be_published(folder: Path, text: str) -> None:
    node, site = read(folder, text)
    assert (node == "") == (site == "")
