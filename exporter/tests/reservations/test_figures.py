"""The series of reservations as a scrape shows them, and a reader that nothing confuses."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from gputally.catalogue import BY_NAME, RESERVATIONS
from gputally.collect.exposition import Format
from gputally.collect.page import Page
from gputally.collect.sites import site_families
from gputally.config.reservations import parse_reservations
from gputally.config.strict import ConfigError
from gputally.config.teams import TeamRule
from gputally.model import Instant
from gputally.model.reservation import Book
from gputally.model.site import SiteSnapshot
from gputally.site.reservations.calendar import Calendar
from tests.reservations.booking import FULL, HOUR_NS, T0_NS, book, reservation


def scrape(calendar, at_ns=T0_NS + HOUR_NS):
    figures, _ = calendar.at(at_ns)
    snapshot = SiteSnapshot(at=Instant(1, at_ns), reservations=figures)
    text = Page(lambda: snapshot, site_families).render(Format.TEXT).decode()
    assert "gputally_left_out_families 0\n" in text
    families = text_string_to_metric_families(text)
    return [sample for family in families for sample in family.samples if "reservation" in sample.name]


def test_every_family_is_shown_with_the_labels_of_the_catalogue():
    found = scrape(Calendar(book(), [TeamRule("vision", users=("carol",))]))
    assert {sample.name for sample in found} == {row.name for row in RESERVATIONS}
    assert all(set(sample.labels) == set(BY_NAME[sample.name].labels) for sample in found)


def test_the_text_of_figures_that_stay_is_written_once():
    calendar = Calendar(book())
    asked = [
        {row.name: ask for row, ask in site_families(SiteSnapshot(at=Instant(n, n), reservations=figures))}
        for n, figures in enumerate([calendar.at(T0_NS)[0], calendar.at(T0_NS + 1)[0]])
    ]
    assert all(asked[0][row.name] is asked[1][row.name] for row in RESERVATIONS)


@pytest.mark.fault("bookings-many")
def test_a_thousand_reservations_are_a_bounded_scrape():
    users = tuple(f"u{number}" for number in range(64))
    many = tuple(
        reservation(f"r{n}", 0, 2, host=f"h{n}", gpus=tuple(map(str, range(8))), count=8, users=users)
        for n in range(1000)
    )
    found = scrape(Calendar(Book(many)))
    names = [sample.name for sample in found]
    (dropped,) = [sample.value for sample in found if sample.name == "gpu_reservation_dropped"]
    assert names.count("gpu_reservation_active") == 8000
    assert names.count("gpu_reservation_allowed") == 15_000 // 64 * 64
    assert names.count("gpu_reservation_state") == 200
    assert dropped == 1000 - 200
    assert len(found) < 30_000


@pytest.mark.fault("bookings-many")
def test_gpus_of_more_reservations_than_there_is_room_for_are_dropped_whole():
    gpus = tuple(map(str, range(64)))
    many = tuple(reservation(f"r{n}", 0, 2, host=f"h{n}", gpus=gpus, count=64) for n in range(300))
    found = scrape(Calendar(Book(many)))
    shown = [sample.labels["reservation"] for sample in found if sample.name == "gpu_reservation_active"]
    assert len(shown) == 15_000 // 64 * 64
    assert set(shown) == {f"r{n}" for n in range(15_000 // 64)}


@pytest.mark.fault("bookings-bad")
@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_a_damaged_file_is_one_line_or_a_book(seed):
    dice = random.Random(seed)  # noqa: S311 - damage
    data = bytearray(FULL.encode())
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(data))
        size = dice.choice([1, 1, 4, 40])
        data[at : at + size] = dice.choice([b"", bytes([dice.randrange(256)]), data[at // 2 : at // 2 + 9]])
    found, complaint = (), ""
    try:
        found = parse_reservations(bytes(data), "r.yml").reservations
    except ConfigError as error:
        complaint = str(error)
    assert "\n" not in complaint
    assert complaint.startswith("r.yml" if complaint else "")
    assert all(one.start_ns < one.end_ns and one.count > 0 for one in found)
