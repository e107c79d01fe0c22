"""`gputally site` with reservations: what is booked shows at its instant, and a bad file changes nothing."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import gputally
from tests.site.running import RunningSite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ACTIVE = "gpu_reservation_active"
GOOD = "gputally_config_last_reload_success"
TEAMS = "teams: [{name: vision, users: [carol, 'v-*']}]\n"


@pytest.fixture
def new_site(tmp_path: Path) -> Iterator[Callable[..., RunningSite]]:
    """Site agents that end with their test; the booking file is `tmp_path/etc/r.yml`."""
    made: list[RunningSite] = []
    (tmp_path / "etc").mkdir()
    config = tmp_path / "etc" / "gputally.yml"
    config.write_text(f"reservations: {{file: r.yml}}\n{TEAMS}")

    def make() -> RunningSite:
        made.append(RunningSite(tmp_path / f"site-{len(made)}", f"--config.file={config}"))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def put(file: Path, *rows: tuple[str, datetime, datetime], rest: str = "") -> None:
    """Another file in the place of the one that is there."""
    lines = [
        f"- {{id: {name}, team: vision, users: [bob], host: gpu01, gpus: [0], start: {stamp(start)}, "
        f"end: {stamp(end)}}}"
        for name, start, end in rows
    ]
    new = file.with_suffix(".new")
    new.write_text("\n".join(["reservations:", *(lines or ["  []"]), rest, ""]))
    new.replace(file)


def names(site: RunningSite) -> set[str]:
    return {dict(labels)["reservation"] for labels in site.scrape().series(ACTIVE)}


def test_a_booking_begins_and_ends_at_its_very_instant(new_site, tmp_path):
    start = now() + timedelta(seconds=6)
    end = start + timedelta(seconds=2)
    put(tmp_path / "etc" / "r.yml", ("a", start, end), ("b", end, end + timedelta(hours=1)))
    site = new_site().start()
    seen: list[tuple[float, float, set[str]]] = []
    while time.time() < end.timestamp() + 0.4:
        asked = time.time()
        seen.append((asked, time.time(), names(site)))
    assert {frozenset(found) for _, _, found in seen} == {frozenset(), frozenset("a"), frozenset("b")}
    for instant, before, after in ((start, set(), {"a"}), (end, {"a"}, {"b"})):
        late = instant.timestamp() + 0.25  # of a machine that does much else
        assert all(found != after for asked, _, found in seen if asked < instant.timestamp() - 0.05)
        assert all(found != before for asked, _, found in seen if asked > late)


def test_the_series_of_a_scrape(new_site, tmp_path):
    start, end = now() - timedelta(hours=1), now() + timedelta(hours=3)
    put(tmp_path / "etc" / "r.yml", ("a", start, end), rest="price: {per_gpu_hour: 1.2, currency: EUR}")
    scrape = new_site().start().scrape()
    assert scrape.value(ACTIVE, reservation="a", machine="gpu01", gpu="0", team="vision") == 1
    users = {dict(labels)["user"] for labels in scrape.series("gpu_reservation_allowed", machine="gpu01")}
    assert users == {"bob", "carol"}
    assert scrape.value("gpu_reservation_state", state="active") == 1
    assert scrape.value("gpu_reservation_start_timestamp_seconds") == start.timestamp()
    assert scrape.value("gpu_reservation_end_timestamp_seconds") == end.timestamp()
    assert scrape.value("gpu_reservation_cost_per_hour", currency="EUR") == 1.2
    assert scrape.value("gpu_reservation_cost", currency="EUR") == pytest.approx(4.8)
    assert scrape.value("gpu_reservation_conflicts") == 0
    assert scrape.value(GOOD, config="reservations") == 1
    assert scrape.value("gputally_left_out_families") == 0


@pytest.mark.fault("bookings-bad")
def test_a_file_is_followed_and_a_bad_one_leaves_what_was_good_in_force(new_site, tmp_path):
    file = tmp_path / "etc" / "r.yml"
    start, end = now() - timedelta(hours=1), now() + timedelta(hours=3)
    put(file, ("a", start, end))
    site = new_site().start()
    read_seconds = site.scrape().value(f"{GOOD}ful_timestamp_seconds", config="reservations")
    put(file, ("b", start, end))
    site.until(lambda: names(site) == {"b"}, 15, "another file is read")
    put(file, ("c", start, end), ("d", start, end), ("e", start, end))
    site.until(lambda: site.scrape().value("gpu_reservation_conflicts") == 2, 15, "conflicts are told")
    scrape = site.scrape()
    assert names(site) == {"b"}
    assert scrape.value("gpu_reservation_config_valid") == 0
    assert scrape.value(GOOD, config="reservations") == 0
    assert scrape.value(GOOD, config="main") == 1
    kept = [line for line in site.log if "the reservations of before stay in force" in line]
    assert len(kept) == 1
    assert "d (line 3) and c (line 2) both want GPU 0 of gpu01" in kept[0]
    file.write_text("reservations: [\n")
    site.until(lambda: site.scrape().value("gpu_reservation_conflicts") == 0, 15, "it has none by now")
    scrape = site.scrape()
    assert scrape.value(GOOD, config="reservations") == scrape.value("gpu_reservation_config_valid") == 0
    file.unlink()
    time.sleep(6)
    assert names(site) == {"b"}
    put(file, ("f", start, end))
    site.until(lambda: names(site) == {"f"}, 15, "a good file is read again")
    scrape = site.scrape()
    assert scrape.value(GOOD, config="reservations") == scrape.value("gpu_reservation_config_valid") == 1
    assert scrape.value(f"{GOOD}ful_timestamp_seconds", config="reservations") > read_seconds


def test_what_a_command_books_is_shown_and_a_reload_takes_the_file_too(new_site, tmp_path):
    folder = tmp_path / "etc"
    put(folder / "r.yml")
    site = new_site().start()
    made = gputally(
        *("reservations", "add", "a", "--file=r.yml", "--team=vision", "--host=gpu01", "--gpus=3"),
        *("--start=now", "--for=1h"),
        folder=folder,
    )
    assert made.status == 0, made
    site.signal(signal.SIGHUP)
    site.until(lambda: names(site) == {"a"}, 4, "a reload reads it at once")
    assert gputally("reservations", "cancel", "a", "--file=r.yml", folder=folder).status == 0
    site.until(lambda: names(site) == set(), 15, "it is given back")
    assert site.scrape().value("gpu_reservation_state", reservation="a", state="cancelled") == 1


def test_reservations_come_and_go_with_the_configuration(new_site, tmp_path):
    config = tmp_path / "etc" / "gputally.yml"
    put(tmp_path / "etc" / "r.yml", ("a", now(), now() + timedelta(hours=1)))
    site = new_site().start()
    site.until(lambda: names(site) == {"a"}, 5, "it begins")
    config.write_text("{}\n")
    site.signal(signal.SIGHUP)
    site.until(lambda: names(site) == set(), 10, "nothing is booked here any more")
    scrape = site.scrape()
    assert not any(name.startswith("gpu_reservation") for name in scrape.families())
    assert scrape.value(GOOD, config="reservations") is None
    config.write_text("reservations: {file: gone.yml}\n")
    site.signal(signal.SIGHUP)
    site.until(
        lambda: site.scrape().value(GOOD, config="main") == 0, 10, "it refuses a file that is not there"
    )


@pytest.mark.fault("bookings-bad")
def test_a_bad_file_at_the_start_is_one_line_and_status_2(new_site, tmp_path):
    file = tmp_path / "etc" / "r.yml"
    put(file, ("a", now(), now() + timedelta(hours=1)), ("b", now(), now() + timedelta(hours=1)))
    site = new_site().start(serving=False)
    assert site.wait() == 2
    (line,) = [line for line in site.log if "error" in line]
    assert "r.yml:3:1 reservations: b (line 3) and a (line 2) both want GPU 0 of gpu01" in line
