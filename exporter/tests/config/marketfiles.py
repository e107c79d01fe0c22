"""Blocks of the market, rentals and plans from text, as the agents read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gputally.config import strict
from gputally.config.market import MarketSettings, Plan, Rental, read_market, read_plans, read_rentals
from gputally.config.strict import ConfigError

FOLDER = Path("/etc/gputally")
CARDS = ("h100-sxm5-80gb", "rtx4090-24gb", "l40s-48gb")


def check_card(slug: str) -> None:
    """A catalogue of three cards."""
    if slug not in CARDS:
        raise ValueError(f"no card is called {slug}")


def read(text: str) -> tuple[MarketSettings | None, tuple[Rental, ...], tuple[Plan, ...]]:
    root = strict.parse(text.encode(), "g.yml")
    found = (
        read_market(root, FOLDER, check_card),
        read_rentals(root, check_card),
        read_plans(root, check_card),
    )
    root.finish()
    return found


def market(text: str) -> MarketSettings:
    """Of what stands between the braces of the block."""
    found = read(f"market: {{{text}}}")[0]
    assert found is not None
    return found


def complaint(text: str) -> str:
    """The one line about what cannot be read, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix("g.yml")
