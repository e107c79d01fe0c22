"""Files of prices and carbon that change beneath a running agent: the good is taken, the bad is not."""

import logging
import os
from datetime import UTC, datetime, timedelta

import pytest

from gputally.cli.options import combine
from gputally.cli.pricefiles import AGAIN_SECONDS, PriceFiles
from gputally.config.settings import SiteSettings
from gputally.model import Instant
from gputally.tariff import Schedule

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
BOTH = """
tariff: {currency: EUR, price_per_kwh: 0.5, surcharges_per_kwh: {grid: 0.01}, prices: {file: p.csv}}
carbon: {file: c.csv}
"""


class World:
    """A folder with a configuration and its files, and a clock that stands still."""

    def __init__(self, folder, text=BOTH):
        self.folder, self.seconds = folder, 0.0
        self.prices("0.1")
        self.carbon("200")
        (folder / "c.yml").write_text(text)
        self.watch()

    def watch(self):
        told = combine(self.folder / "c.yml", {}, SiteSettings)
        self.files = PriceFiles(self.folder / "c.yml", told.config_text, told.site, self.clock)
        self.declared = told.site

    def clock(self):
        boot_ns = int(self.seconds * 1e9)
        return Instant(boot_ns=boot_ns, wall_ns=int(NOW.timestamp() * 1e9) + boot_ns)

    def prices(self, value, name="p.csv"):
        """As careful programs do: a new file takes the old one's place."""
        self.write(name, "price_per_kwh", value)

    def carbon(self, value):
        self.write("c.csv", "grams_per_kwh", value)

    def write(self, name, column, value):
        end = NOW + timedelta(hours=1)
        new = self.folder / f"{name}.new"
        new.write_text(f"start,end,{column}\n{NOW.isoformat()},{end.isoformat()},{value}\n")
        new.replace(self.folder / name)

    def look(self, after=10.0):
        """Whether there was anything new."""
        self.seconds += after
        found = self.files.look()
        self.declared = found or self.declared
        return found is not None

    @property
    def now(self):
        """(price in nano-units, carbon in milligrams) as declared at this moment."""
        rate = Schedule(self.declared.tariff).at(self.clock().wall_ns).rate
        return rate.price_nano, rate.carbon_mg


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_files_that_stay_as_they_are_are_not_read_again(world, monkeypatch):
    assert not world.look()
    monkeypatch.setattr("gputally.cli.pricefiles.read_series", lambda *_: pytest.fail("was read"))
    assert not world.look()
    assert world.files.success == {"prices": True, "carbon": True}


def test_a_new_file_in_the_old_ones_place_is_taken_and_only_that_one_read(world, caplog):
    caplog.set_level(logging.INFO)
    world.look()
    before = dict(world.files.seconds)
    world.prices("0.2")
    assert world.look()
    assert world.now == (210_000_000, 200_000)
    assert [record.getMessage() for record in caplog.records] == [f"read again: {world.folder / 'p.csv'}"]
    assert world.files.seconds["prices"] == world.clock().wall_seconds > before["prices"]
    assert world.files.seconds["carbon"] == before["carbon"]
    assert not world.look()


def test_a_file_written_in_place_or_with_the_same_time_and_size_is_taken_too(world):
    world.look()
    path = world.folder / "p.csv"
    path.write_text(path.read_text().replace(",0.1\n", ",0.3\n"))
    assert world.look()
    assert world.now[0] == 310_000_000
    stat = path.stat()
    world.prices("0.4")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    assert world.look()
    assert world.now[0] == 410_000_000


def test_what_was_written_between_the_start_and_the_first_look_is_taken(world):
    world.prices("0.6")
    assert world.look()
    assert world.now[0] == 610_000_000


@pytest.mark.fault("prices-bad")
@pytest.mark.parametrize("how", ["broken", "gone", "folder", "pipe"])
def test_a_bad_file_keeps_its_old_values_is_said_once_and_costs_the_other_nothing(world, how, caplog):
    world.look()
    path = world.folder / "p.csv"
    path.unlink()
    if how == "broken":
        path.write_text("start,end,price_per_kwh\nnow,then,1\n")
    elif how == "folder":
        path.mkdir()
    elif how == "pipe":
        os.mkfifo(path)
    world.carbon("300")
    assert world.look()
    assert world.now == (110_000_000, 300_000)
    assert world.files.success == {"prices": False, "carbon": True}
    for _ in range(20):
        assert not world.look()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"the old values stay: {path}")
    stamp = world.files.seconds["prices"]
    if how == "folder":
        path.rmdir()
    world.prices("0.7")
    assert world.look()
    assert world.now == (710_000_000, 300_000)
    assert world.files.success == {"prices": True, "carbon": True}
    assert world.files.seconds["prices"] > stamp


def test_the_same_fault_after_a_good_file_is_said_again(world, caplog):
    world.look()
    for _ in range(2):
        (world.folder / "p.csv").unlink()
        world.look()
        world.prices("0.1")
        world.look()
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 2


def test_a_file_that_could_not_be_read_is_tried_again_though_it_looks_the_same(world, monkeypatch):
    """As on a file server that is away for a while."""
    from gputally.cli import pricefiles  # noqa: PLC0415 - what is patched
    from gputally.config.strict import ConfigError  # noqa: PLC0415

    world.look()
    good = pricefiles.read_series
    monkeypatch.setattr(
        pricefiles, "read_series", lambda path, *_: (_ for _ in ()).throw(ConfigError(str(path), "stale"))
    )
    world.prices("0.2")
    assert not world.look()
    assert not world.files.success["prices"]
    monkeypatch.setattr(pricefiles, "read_series", good)
    assert not world.look(after=AGAIN_SECONDS - 1)
    assert world.look(after=1)
    assert world.now[0] == 210_000_000
    assert world.files.success["prices"]


def test_a_file_that_was_never_good_since_the_start_is_no_end_of_the_declaration(world, caplog):
    """Replaced by a bad one between the reading of the configuration and the first look."""
    (world.folder / "p.csv").write_text("nothing\n")
    assert not world.look()
    assert not world.files.success["prices"]
    assert len(caplog.records) == 1
    assert world.now == (110_000_000, 200_000)
    world.prices("0.2")
    assert world.look()
    assert world.now == (210_000_000, 200_000)
    assert world.files.success == {"prices": True, "carbon": True}


def test_what_is_written_in_the_configuration_meanwhile_waits_for_a_reload(world):
    world.look()
    (world.folder / "c.yml").write_text(BOTH.replace("grid: 0.01", "grid: 0.09"))
    world.prices("0.2")
    assert world.look()
    assert world.now[0] == 210_000_000
    (world.folder / "c.yml").write_text("no: yes\n")
    world.prices("0.3")
    assert world.look()
    assert world.now[0] == 310_000_000


def test_one_file_may_be_asked_for_by_several_versions_and_for_prices_and_carbon(tmp_path):
    text = """
tariff:
  currency: EUR
  versions:
    - {price_per_kwh: 0.5, prices: {file: p.csv}}
    - {valid_from: 2026-07-01, price_per_kwh: 0.5, surcharges_per_kwh: {grid: 1}, prices: {file: p.csv}}
"""
    world = World(tmp_path, f"site: {{timezone: UTC}}\n{text}")
    assert not world.look()
    world.prices("0.2")
    assert world.look()
    assert world.now[0] == 1_200_000_000
    assert [v.prices.values[0] for v in world.declared.tariff.versions] == [200_000_000, 1_200_000_000]
    (tmp_path / "p.csv").unlink()
    assert not world.look()
    assert world.files.success == {"prices": False}


def test_without_files_there_is_nothing_to_look_at(tmp_path):
    world = World(tmp_path, "{}")
    assert not world.files.exist
    assert not world.look()
    assert world.files.success == {}
    assert World(tmp_path).files.exist
    assert not PriceFiles(None, b"", SiteSettings().site, world.clock).exist
