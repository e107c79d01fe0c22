"""The blocks `site`, `tariff` and `carbon`: what a kWh costs and emits, and whose calendar counts.

site: {name: lab, timezone: Europe/Berlin, pue: 1.3}
tariff:
  currency: EUR
  holidays: [2026-12-25, 2026-12-26]
  versions:
    - bands: [{name: flat, price_per_kwh: 0.30}]
    - valid_from: 2026-04-01
      surcharges_per_kwh: {grid: 0.08}
      bands:
        - {name: day, days: [mon-fri], hours: ["06:00-22:00"], price_per_kwh: 0.22}
        - {name: night, price_per_kwh: 0.14}
carbon: {grams_per_kwh: 380}
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gputally.config.intervals import read_series
from gputally.config.strict import Section, Value
from gputally.tariff.countries import GRAMS_PER_KWH
from gputally.tariff.declared import (
    ALL_DAYS,
    ALL_MONTHS,
    DAY_NAMES,
    DEFAULT,
    HOLIDAY,
    MINUTES,
    MONTH_NAMES,
    Band,
    Carbon,
    Series,
    Tariff,
    Version,
    complaint,
)
from gputally.tariff.rates import MILLIGRAMS, NANO, PUE_SCALE

MOST_BANDS = 24  # names over all versions: each is a series of every GPU, team and job
MOST_PRICE = Decimal(1_000_000)
MOST_GRAMS = Decimal(5_000)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_SITE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])")
_RESERVED = ("default",)
PRICES, CARBON = "prices", "carbon"


@dataclass(frozen=True, slots=True)
class SiteDeclaration:
    """What is said of the site, and the files that prices and carbon are read from."""

    name: str = ""
    tariff: Tariff = DEFAULT
    files: tuple[tuple[str, Path], ...] = ()  # (prices | carbon, file), to be read again when they change


ReadSeries = Callable[[Path, str, int], Series]


def read_site(root: Section, folder: Path, read: ReadSeries = read_series) -> SiteDeclaration:
    """Read the three blocks; files are relative to `folder`. Raises ConfigError with file, line and key."""
    reader = _Reader(folder, read)
    site, block, carbon = root.mapping("site"), root.mapping("tariff"), root.mapping("carbon")
    name = site.get("name")
    timezone = _timezone(site)
    pue_e4 = _pue(site)
    emits = reader.carbon(carbon)
    if block.present:
        tariff = reader.tariff(block, timezone, pue_e4, emits)
    else:
        tariff = Tariff(
            DEFAULT.currency, DEFAULT.versions, timezone, pue_e4=pue_e4, carbon=emits, source="default"
        )
    return SiteDeclaration(
        _matching(name, _SITE_NAME, "a name of letters, digits, blanks and ._-") if name is not None else "",
        tariff,
        tuple(reader.files),
    )


class _Reader:
    """Notes the files that it comes across."""

    def __init__(self, folder: Path, read: ReadSeries) -> None:
        self._folder, self._read = folder, read
        self.files: list[tuple[str, Path]] = []

    def carbon(self, section: Section) -> Carbon:
        grams = section.decimal("grams_per_kwh", None, minimum=Decimal(0), maximum=MOST_GRAMS)
        country = section.choice("country", tuple(GRAMS_PER_KWH), None)
        if grams is not None and country is not None:
            raise section.error("country", "either grams_per_kwh or country")
        series = self._series(CARBON, section.get("file"), "grams_per_kwh", MILLIGRAMS)
        if grams is not None:
            return Carbon(_scaled(section, "grams_per_kwh", grams, MILLIGRAMS), "declared", series)
        if country is not None:
            return Carbon(GRAMS_PER_KWH[country] * MILLIGRAMS, "country", series)
        return Carbon(series=series)

    def tariff(self, block: Section, timezone: str, pue_e4: tuple[int, ...], carbon: Carbon) -> Tariff:
        currency = block.get("currency")
        if currency is None:
            raise block.error("currency", "missing: three letters such as EUR")
        holidays = frozenset(_date(value) for value in block.list("holidays"))
        versions = self._versions(block, ALL_DAYS if holidays else ALL_DAYS - {HOLIDAY})
        names = {band.name for v in versions for band in v.bands} | {v.prices_name for v in versions} - {""}
        if len(names) > MOST_BANDS:
            raise block.error("versions", f"at most {MOST_BANDS} names of bands, found {len(names)}")
        until = block.get("valid_until")
        return Tariff(
            _matching(currency, _CURRENCY, "three capital letters such as EUR"),
            versions,
            timezone,
            holidays,
            pue_e4,
            carbon,
            valid_until=_date(until) if until is not None else None,
        )

    def _versions(self, block: Section, kinds: frozenset[int]) -> tuple[Version, ...]:
        listed = block.list("versions")
        if not listed:
            return (self._version(block, kinds),)
        versions: list[Version] = []
        for value in listed:
            section = value.mapping()
            version = self._version(section, kinds)
            if versions and version.valid_from is None:
                raise section.error("valid_from", "missing: only the first version can do without")
            before = versions[-1].valid_from if versions else None
            if before is not None and version.valid_from is not None and version.valid_from <= before:
                raise section.error("valid_from", f"versions must follow each other, this is not after {before}")
            section.finish()
            versions.append(version)
        if block.get("bands") is not None or block.get("price_per_kwh") is not None:
            raise block.error("versions", "either versions or one price or bands beside them")
        return tuple(versions)

    def _version(self, section: Section, kinds: frozenset[int]) -> Version:
        since = section.get("valid_from")
        valid_from = _date(since) if since is not None else None
        surcharge_nano = sum(
            _nano(value, minimum=Decimal(0)) for _, value in section.mapping("surcharges_per_kwh").items()
        )
        prices = section.mapping("prices")
        flat, listed = section.get("price_per_kwh"), section.list("bands")
        if (flat is None) == (not listed):
            what = "bands or price_per_kwh" + (", as prices where the file has none" if prices.present else "")
            raise section.value.error(f"expected either of {what}")
        if flat is not None:
            name = "fallback" if prices.present else "flat"
            return self._with(prices, valid_from, (Band(name, _nano(flat) + surcharge_nano, rest=True),), surcharge_nano)
        bands = tuple(_band(value, surcharge_nano) for value in listed)
        _refuse_doubles(listed, bands)
        version = self._with(prices, valid_from, bands, surcharge_nano)
        if wrong := complaint(version, kinds):
            raise section.error("bands", wrong)
        return version

    def _with(
        self, prices: Section, valid_from: date | None, bands: tuple[Band, ...], surcharge_nano: int
    ) -> Version:
        if not prices.present:
            return Version(bands, valid_from)
        file, name = prices.get("file"), prices.get("name")
        if file is None:
            raise prices.error("file", "missing: where the prices are")
        series = self._series(PRICES, file, "price_per_kwh", NANO)
        if series is None:  # cannot be: there is a file
            raise prices.error("file", "missing")
        shifted = Series(series.starts_ns, [value + surcharge_nano for value in series.values], series.end_ns)
        return Version(bands, valid_from, shifted, "dynamic" if name is None else _name(name))

    def _series(self, kind: str, file: Value | None, column: str, scale: int) -> Series | None:
        if file is None:
            return None
        path = self._folder / file.string("a file")
        self.files.append((kind, path))
        return self._read(path, column, scale)


def _timezone(site: Section) -> str:
    value = site.get("timezone")
    if value is None:
        return DEFAULT.timezone
    name = value.string("a time zone such as Europe/Berlin")
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise value.error(f"unknown time zone {name!r}, expected one such as Europe/Berlin") from None
    return name


def _pue(site: Section) -> tuple[int, ...]:
    value = site.get("pue")
    if value is None:
        return DEFAULT.pue_e4
    if value.node.entries is None:
        return (_pue_e4(value),) * 12
    months = value.mapping()
    given = [months.get(name) for name in MONTH_NAMES]
    for name, month in zip(MONTH_NAMES, given, strict=True):
        if month is None:
            raise months.error(name, "missing: a PUE by month wants all twelve")
    months.finish()
    return tuple(_pue_e4(month) for month in given if month is not None)


def _pue_e4(value: Value) -> int:
    return _whole(value, value.decimal(Decimal(1), Decimal(5)), PUE_SCALE)


def _band(value: Value, surcharge_nano: int) -> Band:
    section = value.mapping()
    name, price = section.get("name"), section.get("price_per_kwh")
    if name is None or price is None:
        raise value.error("a band wants a name and a price_per_kwh")
    days, hours, months = section.list("days"), section.list("hours"), section.list("months")
    band = Band(
        _name(name),
        _nano(price) + surcharge_nano,
        frozenset(_several(days, DAY_NAMES)) or ALL_DAYS,
        tuple(pair for one in hours for pair in _minutes(one)) or ((0, MINUTES),),
        frozenset(month + 1 for month in _several(months, MONTH_NAMES)) or ALL_MONTHS,
        rest=not (days or hours or months),
    )
    section.finish()
    return band


def _refuse_doubles(values: tuple[Value, ...], bands: tuple[Band, ...]) -> None:
    """A name may be there twice, for a price with two sets of hours, but not with two prices."""
    known: dict[str, int] = {}
    for value, band in zip(values, bands, strict=True):
        if known.setdefault(band.name, band.price_nano) != band.price_nano:
            raise value.error(f"band {band.name} has another price above")


def _several(values: tuple[Value, ...], names: tuple[str, ...]) -> list[int]:
    """Places of names, and of all from one to another: `mon`, `mon-fri`, `nov-feb`."""
    found: list[int] = []
    for value in values:
        first, dash, last = value.string(f"one of {', '.join(names)}").partition("-")
        if first not in names or (dash and last not in names):
            raise value.expected(f"one of {', '.join(names)}, or two of them such as {names[0]}-{names[4]}")
        start, end = names.index(first), names.index(last or first)
        ring = 7 if names is DAY_NAMES and HOLIDAY not in (start, end) else len(names)
        found += [(start + step) % ring for step in range((end - start) % ring + 1)]
    return found


def _minutes(value: Value) -> tuple[tuple[int, int], ...]:
    """Minutes since midnight; what goes over midnight is the end and the beginning of the same days."""
    text = value.string('hours such as "06:00-22:00"')
    match = _HOURS.fullmatch(text)
    if match is None:
        raise value.expected('hours such as "06:00-22:00"')
    start, end = (int(match[at]) * 60 + int(match[at + 1]) for at in (1, 3))
    if end > MINUTES or start == end:
        raise value.expected('hours such as "06:00-22:00"')
    return ((start, end),) if start < end else tuple(pair for pair in ((start, MINUTES), (0, end)) if pair[1])


def _date(value: Value) -> date:
    text = value.string("a date such as 2026-12-25")
    try:
        if len(text) != len("2026-12-25"):
            raise ValueError
        found = date.fromisoformat(text)
    except ValueError:
        raise value.expected("a date such as 2026-12-25") from None
    if not 2000 <= found.year <= 2200:
        raise value.expected("a date from 2000 to 2200")
    return found


def _name(value: Value) -> str:
    name = _matching(value, _NAME, "a name of at most 32 small letters, digits, - and _")
    if name in _RESERVED:
        raise value.error(f"{name!r} is the name of the price that holds without a tariff")
    return name


def _matching(value: Value, pattern: re.Pattern[str], what: str) -> str:
    text = value.string(what)
    if not pattern.fullmatch(text):
        raise value.expected(what)
    return text


def _nano(value: Value, minimum: Decimal = -MOST_PRICE) -> int:
    return _whole(value, value.decimal(minimum, MOST_PRICE), NANO)


def _scaled(section: Section, key: str, number: Decimal, scale: int) -> int:
    value = section.get(key)
    return _whole(value, number, scale) if value is not None else 0


def _whole(value: Value, number: Decimal, scale: int) -> int:
    scaled = number * scale
    if scaled != int(scaled):
        raise value.expected(f"at most {len(str(scale)) - 1} decimals")
    return int(scaled)
