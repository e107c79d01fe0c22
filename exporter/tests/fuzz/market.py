"""What others say over HTTP: providers of GPUs, our own site agent, and Prometheus."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scripts.recorded_market import PATHS, RECORDINGS, SPEAKERS

from gputally.model.market import FAILURES, Fetched, Market
from gputally.report.answers import read_answer, read_error
from gputally.report.failures import ReportError
from gputally.site.market.http import FetchFailed
from gputally.site.market.listing import Listing, ListingError, parse_listing, write_listing
from gputally.site.market.registry import PROVIDERS
from tests.fuzz.target import Target, declared, one_line
from tests.site.market import asked
from tests.site.market.fitting import CATALOGUE, assert_can_be_shown, shortened
from tests.site.market.marketplace import H100, NOW, RTX4090, market, offer

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("vast", "akash", "ionet", "runpod", "lambda", "verda")
_URL = "http://127.0.0.1:9090"


class Saying:
    """In place of the way to a provider: one reply after the other, the last again and again."""

    def __init__(self, replies: list[Any]) -> None:
        self._replies = replies

    def get_json(self, _url: str, **_: object) -> object:
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]

    def post_json(self, url: str, _body: object, **_: object) -> object:
        return self.get_json(url)


class Noting:
    """The recordings, and in which order they were asked for."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def get_json(self, url: str, **_: object) -> object:
        return self.post_json(url, {})

    def post_json(self, url: str, body: Any, **_: object) -> object:
        name = PATHS[urlsplit(url).path][1]
        recorded = json.loads((RECORDINGS / f"{name}.json").read_text())
        self.said.append(shortened(SPEAKERS[name](recorded, body, NOW)))
        return self.said[-1]


@cache
def _told(kind: str) -> Any:
    return asked.settings(kind, base_url=f"https://example.com/{kind}")


def provider(data: bytes) -> bool:
    """A kind in a line, then a JSON list of replies: a failure of those that are declared, or offers."""
    first, _, body = data.partition(b"\n")
    kind = KINDS[sum(first) % len(KINDS)] if first.decode(errors="replace") not in KINDS else first.decode()
    try:
        replies = json.loads(body, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return False  # refused before any provider's own parser sees it
    if not isinstance(replies, list) or not replies:
        replies = [replies]
    try:
        fetched = PROVIDERS[kind].fetch(Saying(replies), _told(kind), CATALOGUE)
    except FetchFailed as failure:
        declared(failure.reason, FAILURES, failure.message)
        return False
    assert_can_be_shown(kind, fetched)
    return True


def _no_json(constant: str) -> object:
    raise ValueError(constant)


def offers(data: bytes) -> bool:
    """What `gputally offers` reads: refused in a line, or written and read again without a difference."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return False
    try:
        found = parse_listing(document)
    except ListingError as error:
        one_line(str(error))
        return False
    for report in found.market.providers:
        assert report.fetched is not None
        assert all(Decimal(0) < one.usd_per_gpu_hour < Decimal(10) ** 13 for one in report.fetched.offers)
    try:
        written = write_listing(found)
    except UnicodeEncodeError:
        return False  # half a surrogate pair, which no agent of ours writes
    again = parse_listing(json.loads(written))
    assert write_listing(again) == written
    return True


def answer(data: bytes) -> bool:
    """An answer of Prometheus: finite samples with labels that are text, or a line."""
    kind, message = read_error(data)
    assert message.isprintable() or message == ""
    assert isinstance(kind, str)
    try:
        samples, warnings = read_answer(_URL, data)
    except ReportError as error:
        one_line(str(error), 100_000)
        return False
    assert all(sample.value.is_finite() and abs(sample.value) <= Decimal("1e40") for sample in samples)
    assert all(isinstance(text, str) for sample in samples for text in sample.labels.values())
    assert all(warning == "" or warning.isprintable() for warning in warnings)
    return True


def _replies() -> Iterator[bytes]:
    for kind in KINDS:
        noting = Noting()
        fetched = PROVIDERS[kind].fetch(noting, _told(kind), CATALOGUE)
        assert isinstance(fetched, Fetched)
        yield kind.encode() + b"\n" + json.dumps(noting.said).encode()


def _listings() -> Iterator[bytes]:
    few = market(
        offer("vast", H100, "2.5", 8, 8, region="eu", country="DE", reliability_ratio=0.99, nvlink=True),
        offer("vast", RTX4090, "0.31", price_tier="spot", host_tier="community"),
        offer("lambda", H100, "2.99", note="a note"),
    )
    first = replace(few.providers[0], fetched=replace(few.providers[0].fetched, rejected={"price": 2}))
    yield write_listing(Listing(NOW, Market((first, *few.providers[1:]))))


_ANSWERS = (
    {
        "status": "success",
        "data": {
            "resultType": "vector",
            "result": [
                {"metric": {"gpu": "0", "team": "nlp"}, "value": [1795000000.1, "1.5"]},
                {"metric": {}, "value": [1, "NaN"]},
                {"metric": {"a": "\u00fc"}, "value": [1, "-2e-05"]},
            ],
        },
        "warnings": ["w"],
    },
    {"status": "success", "data": {"resultType": "scalar", "result": [1795000000.1, "1e+20"]}},
    {"status": "error", "errorType": "bad_data", "error": "parse error"},
)
TARGETS = (
    Target("provider", provider, _replies, 8192),
    Target("offers", offers, _listings),
    Target("prometheus", answer, lambda: [json.dumps(one).encode() for one in _ANSWERS], 1024),
)
