"""Files of the manual with anything in any place: one line about it, or figures that can be published."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.config.manual import BLOCKS, complaints, put_files
from tests.site.declaring import FULL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ODD = r"""
~;'';.nan;-.inf;1e400;0;-1;0.0000000001;1e3;010;1_000;12:30;true;no;[];{};[[]];{a: 1};[~];x;<b>;../x;/dev/null
file:///x;http://169.254.169.254/;http://u:p@h/;mars/phobos;Europe/Berlin;UTC;EUR;usd;2026-02-30;2026-10-25
0000-01-01;9999-12-31;24:00-25:00;22:00-06:00;00:00-24:00;mon-sun;sun-mon;jan-dec;1ns;10y;5m;le;__x;(a+)+$;'a''b'
"\0";"\u202e";99999999999999999999;1.5;0.5;-0.0;100%;"1,5";power_watts;rtx4090-24gb;vast;day
"""
Node = yaml.Node


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
    put_files(made)
    return made


OTHERS = (
    "tls_server_config",
    "scrape_configs",
)  # files of other programs, and of the web server
GOOD = [FULL, *(text for kind, text in BLOCKS if kind == "yaml" and not any(key in text for key in OTHERS))]
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
    assert [complaints(folder, yaml.serialize(tree)) for tree in TREES] == [("", "")] * len(TREES)


@pytest.mark.fault("config-values", "config-tariffs", "config-market")
@settings(max_examples=200, deadline=2_000, suppress_health_check=[HealthCheck.too_slow])
@given(text=spoiled())
def test_any_value_in_any_place_is_one_line_or_figures_that_can_be_published(folder: Path, text: str) -> None:
    node, site = complaints(folder, text)
    assert (node == "") == (site == "")
