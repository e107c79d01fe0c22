"""The manual's worked example, computed anew: hours, money, lists and messages are those of the program."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import gputally
from gputally.cli.bookwords import booked, free_slots
from gputally.config.reservations import parse_reservations
from gputally.config.strict import ConfigError
from gputally.site.reservations import changes
from gputally.site.reservations.hours import charged
from gputally.tables.listed import as_table
from tests.reservations.booking import HOUR_NS, NS

MANUAL = Path(gputally.__file__).parents[2] / "docs" / "reservations.md"
TEXT = MANUAL.read_text()
FILE = next(
    block for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL) if "# reservations.yml" in block
)
SAID = re.findall(r"^( *)```text\n(.*?)^ *```", TEXT, re.DOTALL | re.MULTILINE)
BOOK = parse_reservations(FILE.encode(), "reservations.yml")
AT_NS = int(datetime(2026, 11, 21, tzinfo=UTC).timestamp()) * NS
FLAGS = {"states": (), "teams": (), "hosts": (), "gpus": 2, "for_ns": 8 * HOUR_NS}
ZONE = ZoneInfo("UTC")


def said(first_words: str) -> str:
    (found,) = [text for _, text in SAID if text.strip().startswith(first_words)]
    return found.rstrip("\n")


def test_the_list_is_what_the_command_prints():
    assert as_table(booked(BOOK, FLAGS, AT_NS, ZONE)) == said("reservations: 2 of 2")


def test_the_free_slots_are_what_the_command_prints():
    assert as_table(free_slots(BOOK, FLAGS, AT_NS, ZONE)) == said("free:")


def test_the_hours_and_the_money_are_those_of_the_file():
    rush, sweep = charged(BOOK.reservations, 0, 2**62)
    assert (rush.gpu_hours, rush.amount) == (114, Decimal("136.8"))
    assert (sweep.gpu_hours, sweep.amount) == (48, 24)
    for text in ("**114 GPU hours**", "**136.80 EUR**", "**48 GPU hours**", "**24.00 EUR**"):
        assert text in " ".join(TEXT.split())


def test_cancelled_it_comes_to_what_it_held_until_then():
    made = changes.cancel(FILE.encode(), "reservations.yml", "cvpr-rush", AT_NS)
    (rush, _) = charged(made.book.reservations, 0, 2**62)
    assert (rush.gpu_hours, rush.amount) == (32, Decimal("38.4"))
    assert "comes to 32 GPU hours and 38.40 EUR" in " ".join(TEXT.split())


def test_the_conflict_is_told_in_these_words():
    times = "start: 2026-11-22T08:00Z, end: 2026-11-22T20:00Z"
    late = f"  - {{id: late, team: nlp, host: gpu01, gpus: [0], {times}}}\n"
    text = FILE.replace("policy:", f"{late}policy:")
    with pytest.raises(ConfigError) as caught:
        parse_reservations(text.encode(), "reservations.yml")
    assert str(caught.value) == " ".join(said("reservations.yml:13").split())
