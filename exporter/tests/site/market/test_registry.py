"""All providers: those that the configuration knows, and everyone says where its prices come from."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gputally.config.market import KINDS
from gputally.model.market import BASES
from gputally.site.market import clouds
from gputally.site.market.registry import PROVIDERS, lacking, source_of
from tests.site.market.asked import settings


def test_the_configuration_and_the_registry_have_the_same_kinds():
    assert tuple(PROVIDERS) == KINDS


def test_every_provider_has_a_basis_and_somebody_to_ask():
    for kind, provider in PROVIDERS.items():
        assert provider.basis in BASES
        assert provider.url.startswith("https://") or provider.source, kind


@pytest.mark.parametrize(
    ("kind", "more", "source"),
    [
        ("vast", {}, "console.vast.ai"),
        ("runpod", {"base_url": "https://prices.example.com:8443/runpod"}, "prices.example.com"),
        ("lambda", {"base_url": "http://127.0.0.1:9/lambda", "recording": True}, "recording"),
        ("static", {"name": "render"}, "file"),
        ("clouds", {"name": "aws"}, "gpuhunt"),
    ],
)
def test_where_prices_come_from(kind, more, source):
    assert source_of(settings(kind, **{"recording": False} | more)) == source


def test_only_clouds_need_more_than_the_program(monkeypatch):
    monkeypatch.setattr(clouds, "LIBRARY", "nobody_has_this")
    assert [kind for kind in PROVIDERS if lacking(settings(kind))] == ["clouds"]
    assert "gputally[clouds]" in lacking(settings("clouds", name="aws"))
    assert "\n" not in lacking(settings("clouds", name="aws"))


def test_the_library_of_the_clouds_is_not_imported_to_know_that_it_is_there():
    code = (
        "import sys; from gputally.site.market import clouds, registry; clouds.is_installed();"
        "sys.exit('gpuhunt' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
