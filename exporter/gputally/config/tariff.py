"""The blocks `site`, `tariff` and `carbon`: what a kWh costs and emits, and whose calendar counts.

site: {name: lab, timezone: Europe/Berlin, pue: 1.3}
tariff:
  currency: EUR
  holidays: [2026-12-25, 2026-12-26]
  versions:
    - price_per_kwh: 0.30
    - valid_from: 2026-04-01
      surcharges_per_kwh: {grid: 0.08}
      bands:
        - {name: day, days: [mon-fri], hours: ["06:00-22:00"], price_per_kwh: 0.22}
        - {name: night, price_per_kwh: 0.14}
carbon: {grams_per_kwh: 380}
"""

import re
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from gputally.config.bands import (
    MOST_PRICE,
    MOST_TRADED,
    STRONG,
    read_band,
    read_date,
    read_name,
    read_price_nano,
    refuse_two_prices,
    whole,
)
from gputally.config.checked import CURRENCY, matching
from gputally.config.intervals import GRAMS, PRICE, read_series
from gputally.config.strict import Section, Value
from gputally.config.zones import read_zone
from gputally.tariff.countries import GRAMS_PER_KWH
from gputally.tariff.declared import (
    ALL_DAYS,
    DEFAULT,
    HOLIDAY,
    MONTH_NAMES,
    Band,
    Carbon,
    Series,
    Tariff,
    Version,
    complaint,
)
from gputally.tariff.rates import MILLIGRAMS, NANO, PUE_SCALE

MOST_GRAMS = Decimal(5_000)
MOST_BANDS = 24  # names over all versions: each is a series of every GPU, team and job
_SITE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
_OF_A_VERSION = ("valid_from", "surcharges_per_kwh", "price_per_kwh", "bands", "prices")
PRICES, CARBON = "prices", "carbon"

ReadSeries = Callable[[Path, str, int, Decimal], Series]


@dataclass(frozen=True, slots=True)
class SiteDeclaration:
    """What is said of the site, and the files that prices and carbon are read from."""

    name: str = ""
    tariff: Tariff = DEFAULT
    files: tuple[tuple[str, Path], ...] = ()  # (prices | carbon, file), to be read again when they change


def read_site(root: Section, folder: Path, read: ReadSeries = read_series) -> SiteDeclaration:
    """Read the three blocks; files are relative to `folder`. Raises ConfigError with file, line and key."""
    files = _Files(folder, read)
    site, block = root.mapping("site"), root.mapping("tariff")
    name, zone = site.get("name"), site.get("timezone")
    timezone = read_zone(zone) if zone is not None else DEFAULT.timezone
    pue_e4, carbon = _pue(site), _carbon(root.mapping("carbon"), files)
    if block.present:
        tariff = _TariffReader(block, files).read(timezone, pue_e4, carbon)
    else:
        tariff = Tariff(
            DEFAULT.currency, DEFAULT.versions, timezone, pue_e4=pue_e4, carbon=carbon, source="default"
        )
    if zone is None and _has_a_calendar(tariff):
        raise site.error("timezone", "missing: whose clocks and calendar are meant, such as Europe/Berlin")
    what = "a name of letters, digits, blanks and ._-"
    return SiteDeclaration(
        matching(name, _SITE_NAME, what) if name is not None else "", tariff, tuple(files.seen)
    )


class _Files:
    """Reads files and notes which."""

    def __init__(self, folder: Path, read: ReadSeries) -> None:
        self._folder, self._read = folder, read
        self.seen: list[tuple[str, Path]] = []

    def series(self, kind: str, file: Value, column: str, scale: int, most: Decimal) -> Series:
        path = self._folder / file.string("a file")
        self.seen.append((kind, path))
        return self._read(path, column, scale, most)


class _TariffReader:
    """Reads the block `tariff`."""

    def __init__(self, block: Section, files: _Files) -> None:
        self._block, self._files = block, files
        currency = block.get("currency")
        if currency is None:
            raise block.error("currency", "missing: three letters such as EUR")
        self._currency = matching(currency, CURRENCY, "three capital letters such as EUR")
        self._holidays = _holidays(block)
        self._kinds_of_day = ALL_DAYS if self._holidays else ALL_DAYS - {HOLIDAY}

    def read(self, timezone: str, pue_e4: tuple[int, ...], carbon: Carbon) -> Tariff:
        block = self._block
        until = block.get("valid_until")
        listed = block.get("versions")
        versions = self._versions(listed) if listed is not None else (self._version(block),)
        names = {name for version in versions for name in version.names}
        if len(names) > MOST_BANDS:
            raise block.error("versions", f"expected at most {MOST_BANDS} names of bands, found {len(names)}")
        valid_until = read_date(until) if until is not None else None
        begins = versions[-1].valid_from
        if until is not None and valid_until is not None and begins is not None and valid_until < begins:
            raise until.error(f"the last version begins after that, on {begins}")
        return Tariff(
            self._currency, versions, timezone, self._holidays, pue_e4, carbon, valid_until=valid_until
        )

    def _versions(self, listed: Value) -> tuple[Version, ...]:
        for key in _OF_A_VERSION:
            if (beside := self._block.get(key)) is not None:
                raise beside.error("beside versions: it belongs into each of them")
        versions: list[Version] = []
        for value in listed.list():
            section = value.mapping()
            version = self._version(section)
            section.finish()
            if versions:
                _refuse_before(section, version.valid_from, versions[-1].valid_from)
            versions.append(version)
        if not versions:
            raise listed.error("expected at least one version, found an empty list")
        return tuple(versions)

    def _version(self, section: Section) -> Version:
        since, surcharges = section.get("valid_from"), section.mapping("surcharges_per_kwh")
        flat, listed, prices = section.get("price_per_kwh"), section.get("bands"), section.mapping("prices")
        zero, currency = Decimal(0), self._currency
        extra_nano = sum(read_price_nano(one, currency, lowest=zero) for _, one in surcharges.items())
        file, name = prices.get("file"), prices.get("name")
        section.finish()
        valid_from = read_date(since) if since is not None else None
        if (flat is None) == (listed is None):
            what = "expected either price_per_kwh or bands"
            raise section.value.error(f"{what}, for when the file has no price" if prices.present else what)
        if flat is not None:
            nano = read_price_nano(flat, currency) + extra_nano
            bands: tuple[Band, ...] = (Band("fallback" if prices.present else "flat", nano, rest=True),)
        else:
            bands = self._bands(section, extra_nano)
        if not prices.present:
            return Version(bands, valid_from)
        if file is None:
            raise prices.error("file", "missing: where the prices are")
        prices_name = "dynamic" if name is None else read_name(name)
        if any(band.name == prices_name for band in bands):
            raise prices.error("name", f"{prices_name} is the name of a band, too")
        return Version(bands, valid_from, self._prices(file, extra_nano), prices_name)

    def _bands(self, section: Section, extra_nano: int) -> tuple[Band, ...]:
        listed = section.list("bands")
        bands = tuple(read_band(value, self._currency, extra_nano, self._kinds_of_day) for value in listed)
        refuse_two_prices(listed, bands)
        if wrong := complaint(Version(bands), self._kinds_of_day) if bands else "expected at least one band":
            raise section.error("bands", wrong)
        return bands

    def _prices(self, file: Value, extra_nano: int) -> Series:
        most = MOST_TRADED if self._currency in STRONG else MOST_PRICE
        series = self._files.series(PRICES, file, PRICE, NANO, most)
        with_extra = array("q", (nano + extra_nano for nano in series.values))
        return Series(series.starts_ns, with_extra, series.end_ns)


def _refuse_before(section: Section, valid_from: date | None, before: date | None) -> None:
    if valid_from is None:
        raise section.error("valid_from", "missing: only the first version can do without")
    if before is not None and valid_from <= before:
        raise section.error("valid_from", f"not after the version before, which begins on {before}")


def _holidays(block: Section) -> frozenset[date]:
    found: set[date] = set()
    for value in block.list("holidays"):
        day = read_date(value)
        if day in found:
            raise value.error(f"{day} is there twice")
        found.add(day)
    return frozenset(found)


def _has_a_calendar(tariff: Tariff) -> bool:
    """Whether it depends on a time zone what energy costs or emits."""
    changes = any(
        version.valid_from or not all(band.rest for band in version.bands) for version in tariff.versions
    )
    return changes or tariff.valid_until is not None or len(set(tariff.pue_e4)) > 1


def _carbon(section: Section, files: _Files) -> Carbon:
    grams, country, file = section.get("grams_per_kwh"), section.get("country"), section.get("file")
    if grams is not None and country is not None:
        raise country.error("either grams_per_kwh or country")
    series = files.series(CARBON, file, GRAMS, MILLIGRAMS, MOST_GRAMS) if file is not None else None
    if grams is not None:
        return Carbon(_grams_mg(grams), "declared", series)
    if country is not None:
        return Carbon(_country_mg(country), "country", series)
    return Carbon(series=series)


def _country_mg(value: Value) -> int:
    what = "a country of docs/tariffs.md by its two capital letters, such as DE"
    grams = GRAMS_PER_KWH.get(value.string(what))
    if grams is None:
        raise value.expected(what)
    return grams * MILLIGRAMS


def _grams_mg(value: Value) -> int:
    grams = value.decimal(Decimal(0), MOST_GRAMS)
    if 0 < grams < 1:
        raise value.expected("grams, not kilograms")
    return whole(value, grams, MILLIGRAMS)


def _pue(site: Section) -> tuple[int, ...]:
    value = site.get("pue")
    if value is None:
        return DEFAULT.pue_e4
    if value.node.entries is None:
        return (_pue_e4(value),) * 12
    months = site.mapping("pue")
    given = {name: months.get(name) for name in MONTH_NAMES}
    months.finish()
    for name, month in given.items():
        if month is None:
            raise months.error(name, "missing: a PUE by month wants all twelve")
    return tuple(_pue_e4(month) for month in given.values() if month is not None)


def _pue_e4(value: Value) -> int:
    return whole(value, value.decimal(Decimal(1), Decimal(5)), PUE_SCALE)
