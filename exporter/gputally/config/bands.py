"""What a band of a tariff consists of: name, price, days, hours, months. What could be misread is refused.

- {name: peak, days: [mon-fri], hours: ["07:00-09:00", "17:00-20:00"], months: [nov-feb], price_per_kwh: 0.36}
"""

import re
from datetime import date
from decimal import Decimal
from itertools import pairwise

from gputally.config.strict import Value
from gputally.tariff.declared import ALL_DAYS, ALL_MONTHS, DAY_NAMES, HOLIDAY, MINUTES, MONTH_NAMES, Band
from gputally.tariff.rates import NANO

# Currencies of which one unit buys a kWh or more: prices beyond these are of cents or of MWh. What markets
# allow themselves is higher than what anybody signs: 4 EUR and 9 USD for a kWh, 20 AUD.
STRONG = frozenset({"AUD", "BHD", "CAD", "CHF", "EUR", "GBP", "JOD", "KWD", "NZD", "OMR", "SGD", "USD"})
MOST_SIGNED, MOST_TRADED = Decimal(5), Decimal(25)
MOST_PRICE = Decimal(1_000_000)
YEARS = range(2000, 2200)
_RESERVED = ("default",)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])")
_SEVERAL_DAYS = "one of mon, tue, wed, thu, fri, sat, sun and holiday, or from one to another such as mon-fri"
_SEVERAL_MONTHS = f"one of {', '.join(MONTH_NAMES)}, or from one to another such as nov-feb"


def read_band(value: Value, currency: str, surcharge_nano: int, kinds_of_day: frozenset[int]) -> Band:
    """Read one band; surcharges are added to its price. Raises ConfigError with file, line and key."""
    section = value.mapping()
    name, price = section.get("name"), section.get("price_per_kwh")
    days, hours, months = section.get("days"), section.get("hours"), section.get("months")
    section.finish()
    if name is None or price is None:
        raise value.error("a band wants a name and a price_per_kwh")
    band = Band(
        read_name(name),
        read_price_nano(price, currency) + surcharge_nano,
        _days(days) if days is not None else ALL_DAYS,
        _hours(hours) if hours is not None else ((0, MINUTES),),
        _months(months) if months is not None else ALL_MONTHS,
        rest=days is None and hours is None and months is None,
    )
    if hours is not None and not kinds_of_day <= band.days and _is_over_midnight(hours):
        raise hours.error(
            "whose morning is it? With days, hours over midnight must be said in two: "
            '"22:00-24:00" and "00:00-06:00"'
        )
    return band


def refuse_two_prices(values: tuple[Value, ...], bands: tuple[Band, ...]) -> None:
    """A name may be there twice, for a price with two sets of days, but not with two prices."""
    known: dict[str, int] = {}
    for value, band in zip(values, bands, strict=True):
        if known.setdefault(band.name, band.price_nano) != band.price_nano:
            raise value.error(f"band {band.name} has another price above")


def read_name(value: Value) -> str:
    """Read the name of a band, which becomes a label."""
    what = "a name of at most 32 small letters, digits, - and _"
    name = value.string(what)
    if not _NAME.fullmatch(name):
        raise value.expected(what)
    if name in _RESERVED:
        raise value.error(f'"{name}" is the name of the price that holds without a tariff')
    return name


def read_price_nano(value: Value, currency: str, *, lowest: Decimal | None = None) -> int:
    """Read the price of a kWh in billionths of the currency."""
    most = MOST_SIGNED if currency in STRONG else MOST_PRICE
    least = -most if lowest is None else lowest
    number = value.decimal()
    if not least <= number <= most:
        raise value.expected(f"{currency} for one kWh, from {least} to {most}")
    return whole(value, number, NANO)


def whole(value: Value, number: Decimal, scale: int) -> int:
    """How many 1/scale a number is; one with more decimals than that is refused."""
    scaled = number * scale
    if scaled != int(scaled):
        raise value.expected(f"at most {len(str(scale)) - 1} decimals")
    return int(scaled)


def read_date(value: Value) -> date:
    """Read a day of the calendar."""
    what = f"a date such as 2026-12-25, from {YEARS[0]} to {YEARS[-1]}"
    text = value.string(what)
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.isoformat() != text or found.year not in YEARS:
        raise value.expected(what)
    return found


def _days(value: Value) -> frozenset[int]:
    return _several(value, DAY_NAMES, HOLIDAY, _SEVERAL_DAYS)  # a range goes round from Sunday to Monday


def _months(value: Value) -> frozenset[int]:
    return frozenset(1 + at for at in _several(value, MONTH_NAMES, len(MONTH_NAMES), _SEVERAL_MONTHS))


def _several(value: Value, names: tuple[str, ...], ring: int, what: str) -> frozenset[int]:
    """Places of names, and of all from one to another within the first `ring` of them."""
    found: set[int] = set()
    for item in _some(value, what):
        first, dash, last = item.string(what).partition("-")
        if first not in names or (dash and (last not in names[:ring] or first not in names[:ring])):
            raise item.expected(what)
        start = names.index(first)
        steps = (names.index(last) - start) % ring if dash else 0
        these = {(start + step) % ring if dash else start for step in range(steps + 1)}
        if twice := sorted(found & these):
            raise item.error(f"{names[twice[0]]} is there twice")
        found |= these
    return frozenset(found)


def _some(value: Value, what: str) -> tuple[Value, ...]:
    items = value.list()
    if not items:
        raise value.error(f"expected {what}, found an empty list")
    return items


def _hours(value: Value) -> tuple[tuple[int, int], ...]:
    """Minutes since midnight; what goes over midnight becomes the end and the beginning of a day."""
    pairs: list[tuple[int, int]] = []
    for item in _some(value, 'hours such as "06:00-22:00"'):
        start, end = _from_to(item)
        pairs += [(start, end)] if start < end else [(start, MINUTES), (0, end)]
        if any(before[1] > after[0] for before, after in pairwise(sorted(pairs))):
            raise item.error("overlaps with other hours of this band")
    return tuple(pair for pair in pairs if pair[0] < pair[1])


def _is_over_midnight(value: Value) -> bool:
    return any(0 < end < start for start, end in map(_from_to, value.list()))


def _from_to(value: Value) -> tuple[int, int]:
    what = 'hours such as "06:00-22:00"'
    match = _HOURS.fullmatch(value.string(what))
    if match is None:
        raise value.expected(what)
    start, end = (int(match[at]) * 60 + int(match[at + 1]) for at in (1, 3))
    if end > MINUTES or start == end:
        raise value.expected(what)
    return start, end
