"""One provider asked turn by turn: what is kept, counted and said, and when it is due again."""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from gputally.config.market import ProviderSettings
from gputally.model.market import FAILURES, Fetched, Offer, ProviderReport
from gputally.site.market.asker import Asker
from gputally.site.market.http import FetchFailed
from tests.site.declaring import StoppedClock

if TYPE_CHECKING:
    from collections.abc import Iterator

OFFER = Offer("vast", "h100-sxm5-80gb", Decimal(2))
GOOD = Fetched((OFFER,), {"unmapped": 2}, ("H20", "Radeon VII"))
START = 1_796_000_000


class Provider:
    """Replies in turn; each takes a second."""

    def __init__(self, *replies: Fetched | Exception, **settings) -> None:
        self.clock = StoppedClock(START * 1_000_000_000)
        self._replies: Iterator[Fetched | Exception] = iter(replies)
        told = ProviderSettings("vast", "vast", **settings)
        report = ProviderReport("vast", "instance", "127.0.0.1", told.max_age_seconds)
        self.asker = Asker(told, self._reply, self.clock, lambda: 0.5, report)

    def _reply(self) -> Fetched:
        self.clock.wall_ns += 1_000_000_000
        reply = next(self._replies)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def turns(self, count: int) -> list[float]:
        return [self.asker.turn() for _ in range(count)]


@pytest.fixture(autouse=True)
def _all_levels(caplog):
    caplog.set_level(logging.INFO, "gputally")


def test_a_good_reply_is_kept_with_its_time_and_is_due_again_in_an_interval():
    provider = Provider(GOOD, interval_seconds=900.0)
    assert provider.turns(1) == [900]
    report = provider.asker.report
    assert (report.fetched, report.success_seconds, report.duration_seconds) == (GOOD, START + 1, 1)
    assert (report.fetches, dict(report.failures)) == (1, {})


@pytest.mark.parametrize("reason", FAILURES)
def test_whatever_goes_wrong_is_counted_and_changes_nothing_that_was_good(reason):
    provider = Provider(GOOD, FetchFailed(reason, "why"), GOOD)
    provider.turns(1)
    before = provider.asker.report
    provider.turns(1)
    after = provider.asker.report
    assert (after.fetched, after.success_seconds) == (before.fetched, before.success_seconds)
    assert (after.fetches, dict(after.failures)) == (2, {reason: 1})
    provider.turns(1)
    assert provider.asker.report.success_seconds == START + 3
    assert dict(provider.asker.report.failures) == {reason: 1}


def test_a_reply_without_offers_is_a_failure(caplog):
    provider = Provider(GOOD, Fetched(()))
    provider.turns(2)
    assert provider.asker.report.fetched is GOOD
    assert dict(provider.asker.report.failures) == {"empty": 1}
    assert "market: vast: no prices (empty): a good reply without any offer" in caplog.messages


def test_a_reply_that_nobody_has_thought_of_costs_no_more_than_the_reply(caplog):
    provider = Provider(GOOD, KeyError("gpu"), KeyError("gpu"), GOOD)
    provider.turns(3)
    assert dict(provider.asker.report.failures) == {"schema": 2}
    assert provider.asker.report.fetched is GOOD
    assert [record.levelname for record in caplog.records if record.exc_info] == ["ERROR"]
    provider.turns(1)
    assert provider.asker.report.fetches == 4


def test_a_passing_failure_is_repeated_twice_and_said_once(caplog):
    down = FetchFailed("network", "refused")
    provider = Provider(GOOD, *[down] * 6, GOOD, interval_seconds=600.0)
    assert provider.turns(8) == [600, 2, 10, 600, 2, 10, 600, 600]
    assert dict(provider.asker.report.failures) == {"network": 6}
    assert caplog.messages == [
        "market: vast: 1 offers, 2 rows rejected",
        "market: vast: 2 cards unknown: H20, Radeon VII",
        "market: vast: no prices (network): refused",
        "market: vast: 1 offers, 2 rows rejected",
    ]


def test_a_failure_that_passes_within_the_turn_is_counted_and_not_said(caplog):
    provider = Provider(GOOD, FetchFailed("http", "503", status=503), GOOD)
    assert provider.turns(3) == [600, 2, 600]
    assert dict(provider.asker.report.failures) == {"http": 1}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_refusal_is_not_repeated_and_another_reason_is_said_too(caplog):
    provider = Provider(
        *[FetchFailed("auth", "401")] * 2, FetchFailed("schema", "no rows"), FetchFailed("auth", "401")
    )
    assert provider.turns(4) == [600] * 4
    assert caplog.messages == [
        "market: vast: no prices (auth): 401",
        "market: vast: no prices (schema): no rows",
    ]


@pytest.mark.fault("provider-refuses")
def test_after_five_failures_in_a_row_it_is_asked_less_often_which_is_said_once(caplog):
    provider = Provider(*[FetchFailed("parse", "HTML")] * 7, GOOD, FetchFailed("parse", "HTML"))
    assert provider.turns(9) == [600] * 4 + [3600] * 3 + [600] * 2
    assert [message for message in caplog.messages if "less often" in message] == [
        "market: vast: asked less often, after 5 failures in a row"
    ]
    assert len([message for message in caplog.messages if "no prices" in message]) == 2


@pytest.mark.fault("provider-refuses")
def test_a_wish_to_be_left_alone_is_granted():
    limited = FetchFailed("rate_limited", "429", 7200.0, 429)
    provider = Provider(limited, GOOD)
    assert provider.turns(1) == [7200]
    assert not provider.asker.may_be_nudged()
    provider.clock.wall_ns += 7199 * 1_000_000_000
    assert not provider.asker.may_be_nudged()
    provider.clock.wall_ns += 1_000_000_000
    assert provider.asker.may_be_nudged()


def test_who_fails_may_be_tried_before_its_time_but_not_at_once_and_who_answers_may_not():
    provider = Provider(FetchFailed("auth", "401"), GOOD)
    assert not provider.asker.may_be_nudged()
    provider.turns(1)
    assert not provider.asker.may_be_nudged()
    provider.clock.wall_ns += 5_000_000_000
    assert provider.asker.may_be_nudged()
    provider.turns(1)
    provider.clock.wall_ns += 5_000_000_000
    assert not provider.asker.may_be_nudged()


def test_cards_that_nobody_knows_are_said_again_only_if_they_are_others(caplog):
    other = Fetched((OFFER,), {"unmapped": 40}, tuple(f"card {number}" for number in range(40)))
    Provider(GOOD, GOOD, other, other).turns(4)
    said = [message for message in caplog.messages if "unknown" in message]
    assert said[0] == "market: vast: 2 cards unknown: H20, Radeon VII"
    assert said[1].startswith("market: vast: 40 cards unknown: card 0, card 1, ")
    assert said[1].endswith(", card 9")
    assert len(said) == 2
