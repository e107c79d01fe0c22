"""Documents beside the metrics: their type, gzip, passwords, and that none is rendered for nobody."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gputally.web.exposition import Format
from gputally.web.handlers import OFFERS_PATH, check_telemetry_path
from gputally.web.landing import Landing
from tests.web.harness import Running, ask, basic, hashed, write_users

Serve = Callable[..., Running]


class Offers:
    """A document whose version a test sets."""

    def __init__(self) -> None:
        self.version, self.renders = 1, 0

    def render(self, _fmt: Format) -> bytes:
        self.renders += 1
        return json.dumps({"version": self.version, "offers": ["ü"] * 200}).encode()


@pytest.fixture
def offers() -> Offers:
    return Offers()


def test_it_is_json_and_rendered_once_for_all_who_ask(serve: Serve, offers: Offers) -> None:
    running = serve(documents={OFFERS_PATH: offers})
    assert offers.renders == 0
    answers = [ask(running.address, "/offers?x=1", Accept=kind) for kind in ("*/*", "text/html", "a/b")]
    assert {(answer.code, answer.body) for answer in answers} == {(200, answers[0].body)}
    assert json.loads(answers[0].body)["version"] == 1
    assert answers[0].headers["Content-Type"] == "application/json; charset=utf-8"
    assert answers[0].headers["X-Content-Type-Options"] == "nosniff"
    packed = ask(running.address, "/offers", Accept_Encoding="gzip")
    assert gzip.decompress(packed.body) == answers[0].body
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert ask(running.address, "/offers", "HEAD").body == b""
    assert ask(running.address, "/offers", "POST").code == 405
    assert offers.renders == 1
    offers.version = 2
    assert json.loads(ask(running.address, "/offers").body)["version"] == 2
    assert offers.renders == 2


def test_without_a_document_there_is_no_such_path(serve: Serve) -> None:
    assert ask(serve().address, "/offers").code == 404


def test_whoever_needs_a_password_for_the_metrics_needs_it_here(
    serve: Serve, offers: Offers, tmp_path: Path
) -> None:
    write_users(tmp_path / "web.yml", {"ada": hashed(b"s3cret")})
    address = serve(tmp_path / "web.yml", documents={OFFERS_PATH: offers}).address
    assert ask(address, "/offers").code == 401
    assert offers.renders == 0
    assert ask(address, "/offers", Authorization=basic("ada", "s3cret")).code == 200


@pytest.mark.fault("page-fails")
def test_a_fault_in_it_costs_the_metrics_nothing(serve: Serve, offers: Offers) -> None:
    running = serve(documents={OFFERS_PATH: offers})
    offers.render = lambda _fmt: 1 / 0  # type: ignore[method-assign]
    assert ask(running.address, "/offers").code == 500
    assert ask(running.address).code == 200


def test_the_page_leads_there_and_the_metrics_cannot_take_its_place(serve: Serve, offers: Offers) -> None:
    running = serve(documents={OFFERS_PATH: offers})
    running.agent.page = Landing("gputally site", "1", "-", ((OFFERS_PATH, "what is <on> offer"),))
    page = ask(running.address, "/").body
    assert b'<a href="/offers"><code>/offers</code> <span>what is &lt;on&gt; offer</span></a>' in page
    with pytest.raises(ValueError, match="taken by the offers of the market"):
        check_telemetry_path("/offers")
