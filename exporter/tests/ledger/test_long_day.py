"""The day on which the clocks are set back: 25 hours, of which the agent misses some seconds twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.ledger import answers
from tests.ledger.days import BEFORE_S, HOUR, long_day
from tests.ledger.play import Play
from tests.ledger.prices import SECOND_NS, on_the_wall
from tests.ledger.tolerated import assert_bands_true, assert_true, is_band

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.ledger.play import Played

TICK_S = 30
DAY, LONG_S = "2025-10-26", 25 * HOUR
UNTIL_S = BEFORE_S + LONG_S + 600
FROM_S = UNTIL_S - LONG_S


@pytest.fixture(scope="module")
def day(fake_nvml_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """The day, played once."""
    played = Play(long_day(TICK_S), tmp_path_factory.mktemp("day"), fake_nvml_library).run()
    yield played
    played.prometheus.stop()


@pytest.mark.fault("clock-steps")
def test_the_day_has_25_hours_and_all_of_them_count(day: Played) -> None:
    assert_true(answers.of_days(day, DAY, BEFORE_S, BEFORE_S + LONG_S, UNTIL_S), 4)


def test_a_range_over_it(day: Played) -> None:
    found = [*answers.of_gpus(day, FROM_S, UNTIL_S), *answers.of_teams(day, FROM_S, UNTIL_S)]
    assert_true((answer for answer in found if not is_band(answer)), 15)
    assert_bands_true(found, 12)


def test_the_night_has_nine_hours(day: Played) -> None:
    """The truth itself, which all of this rests on."""
    seconds = range(BEFORE_S, BEFORE_S + LONG_S, 60)
    walls = [on_the_wall(day.story.wall_ns(second) // SECOND_NS) for second in seconds]
    assert {date for date, _ in walls} == {DAY}
    assert sum(band == "night" for _, band in walls) == 9 * 60


def test_every_job(day: Played) -> None:
    assert_true(answers.of_jobs(day), 5 * 8)
