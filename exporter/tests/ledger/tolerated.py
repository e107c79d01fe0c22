"""How near to the truth a figure has to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.ledger.answers import Answer

METERED_PERCENT, INTEGRATED_PERCENT = 0.05, 0.5
BAND_PERCENT = 0.1  # of all energy


def assert_true(found: Iterable[Answer], least: int) -> None:
    """Every figure is as near to the truth as promised."""
    found = list(found)
    wrong = [str(answer) for answer in found if not abs(answer.error_percent) <= _tolerated(answer)]
    assert not wrong, "\n".join(wrong)
    assert len(found) >= least


def _tolerated(answer: Answer) -> float:
    return METERED_PERCENT if answer.metered else INTEGRATED_PERCENT


def is_band(answer: Answer) -> bool:
    return answer.what.startswith("energy by")


def assert_bands_true(found: Iterable[Answer], least: int) -> None:
    """As a part of all energy.

    What is between the last scrape and the end of the range, increase() guesses by the average of the whole
    range; but there a band holds, or it does not.
    """
    found = list(found)
    energy = {answer.who: answer.true for answer in found if answer.what == "energy"}
    bands = [answer for answer in found if is_band(answer)]
    for answer in bands:
        off_percent = abs(answer.found - answer.true) / energy[answer.who] * 100
        assert off_percent <= max(BAND_PERCENT, _tolerated(answer) - METERED_PERCENT), answer
    assert len(bands) >= least
