"""Prices or carbon intensities by interval, from a CSV or JSON file that somebody else renews.

start,end,price_per_kwh
2026-10-25T00:00:00+02:00,2026-10-25T01:00:00+02:00,0.0873

or `[{"start": "...", "end": "...", "price_per_kwh": 0.0873}, ...]`. Instants with an offset, ends exclusive,
one interval after the other. `price_per_mwh`, as markets publish it, is read as well. As strict as the
configuration: a column that nobody reads may be one that changes what the others mean.
"""

import csv
import json
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from gputally.config.bands import YEARS
from gputally.config.yamltree import ConfigError, quote, read_regular_file
from gputally.model.clock import NS_PER_SECOND
from gputally.tariff.declared import Series

MAX_BYTES = 8 << 20
PRICE, GRAMS = "price_per_kwh", "grams_per_kwh"
_PRICE_MWH = "price_per_mwh"
_COLUMNS = {PRICE: (PRICE, _PRICE_MWH), GRAMS: (GRAMS,)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,2})?")
_BLANK = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True, slots=True)
class _Row:
    """One interval as it stands in the file."""

    name: str
    line: int
    column: int
    cells: dict[str, str]

    def error(self, key: str, message: str) -> ConfigError:
        return ConfigError(self.name, message, self.line, self.column, key)

    def expected(self, key: str, what: str) -> ConfigError:
        cell = self.cells.get(key)
        return self.error(key, f"expected {what}, found {'nothing' if not cell else quote(cell)}")


def read_series(path: Path, column: str, scale: int, most: Decimal) -> Series:
    """Read a file of intervals; values become whole numbers of 1/scale.

    `column` is PRICE or GRAMS, `most` what a kWh may cost or emit. Raises ConfigError, with file and line,
    for a gap, an overlap and whatever is not an interval.
    """
    name = str(path)
    data = read_regular_file(path, MAX_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(name, f"expected UTF-8, found byte 0x{data[error.start]:02x}", line, 1) from None
    rows = (
        _from_json(name, text, column) if text.lstrip()[:1] in ("[", "{") else _from_csv(name, text, column)
    )
    starts, values, end_ns = array("q"), array("q"), 0
    for row in rows:
        start_ns, until_ns = _instant_ns(row, "start"), _instant_ns(row, "end")
        if until_ns <= start_ns:
            raise row.error("end", "an interval must end after it begins")
        if starts and start_ns != end_ns:
            what = "a gap before" if start_ns > end_ns else "an overlap with what comes before"
            raise row.error("start", f"{what} {quote(row.cells['start'])}")
        starts.append(start_ns)
        values.append(_value(row, column, scale, most))
        end_ns = until_ns
    if not starts:
        raise ConfigError(name, f"no interval in it; expected start, end and {column}")
    if column == GRAMS and 0 < max(values) < scale:
        raise ConfigError(name, "less than a gram in all of it; expected grams, not kilograms", key=GRAMS)
    return Series(starts, values, end_ns)


def _refuse_keys(name: str, keys: Sequence[str], column: str, line: int, at: int) -> None:
    """Columns of a table or keys of an item: start, end and one for the value, each once."""
    values = _COLUMNS[column]
    what = f"start, end and {' or '.join(values)}"
    for key in keys:
        if key not in ("start", "end", *values):
            raise ConfigError(name, f"unknown column, expected {what}", line, at, quote(key))
        if keys.count(key) > 1:
            raise ConfigError(name, "a column that is there twice", line, at, key)
    if {"start", "end"} - set(keys) or sum(key in values for key in keys) != 1:
        raise ConfigError(name, f"expected {what}, found {', '.join(keys) or 'nothing'}", line, at)


def _from_csv(name: str, text: str, column: str) -> Iterator[_Row]:
    reader = csv.reader(text.splitlines(), strict=True)
    header: list[str] = []
    try:
        for fields in reader:
            cells = [field.strip() for field in fields]
            if not any(cells):
                continue
            if not header:
                header = cells
                _refuse_keys(name, header, column, reader.line_num, 1)
            elif len(cells) != len(header):
                what = f"expected {len(header)} fields with commas between them, found {len(cells)}"
                raise ConfigError(name, what, reader.line_num, 1)
            else:
                yield _Row(name, reader.line_num, 1, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise ConfigError(name, f"not CSV: {error}", reader.line_num, 1) from None


class _Item(list[tuple[str, object]]):
    """An object of JSON with every key as often as it stands there."""


def _from_json(name: str, text: str, column: str) -> Iterator[_Row]:
    line, newline, before = 1, -1, 0
    for at, item in _items(name, text):
        line += text.count("\n", before, at)
        newline, before = max(newline, text.rfind("\n", before, at)), at
        col = at - newline
        if not isinstance(item, _Item):
            raise ConfigError(name, "expected an interval, {...}", line, col)
        _refuse_keys(name, [key for key, _ in item], column, line, col)
        for key, value in item:
            if not isinstance(value, str):
                raise ConfigError(name, "expected a number or a string", line, col, key)
        yield _Row(name, line, col, {key: str(value).strip() for key, value in item})


def _items(name: str, text: str) -> Iterator[tuple[int, object]]:
    """The items of the list that the text is, each with its place. Numbers come as they are written."""
    decoder = json.JSONDecoder(object_pairs_hook=_Item, parse_float=str, parse_int=str, parse_constant=str)
    try:
        decoder.decode(text)
    except json.JSONDecodeError as error:
        raise ConfigError(name, f"not JSON: {error.msg}", error.lineno, error.colno) from None
    except RecursionError:
        raise ConfigError(name, "not JSON: nested too deep") from None
    at = _skip(text, 0)
    if text[at] != "[":
        raise ConfigError(name, "expected a list of intervals, [{...}, ...]", 1, 1)
    while text[at := _skip(text, at + 1)] != "]":  # behind the bracket or a comma
        item, end = decoder.raw_decode(text, at)
        yield at, item
        if text[at := _skip(text, end)] == "]":
            return


def _skip(text: str, at: int) -> int:
    """The place of what comes after blanks."""
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _instant_ns(row: _Row, key: str) -> int:
    what = "an instant with its offset, such as 2026-10-25T01:00:00+02:00"
    try:
        moment = datetime.fromisoformat(row.cells[key])
    except ValueError:
        raise row.expected(key, what) from None
    if moment.tzinfo is None or moment.microsecond:
        raise row.expected(key, what)
    if moment.year not in YEARS:
        raise row.expected(key, f"a year from {YEARS[0]} to {YEARS[-1]}")
    return (moment - _EPOCH) // _SECOND * NS_PER_SECOND


def _value(row: _Row, column: str, scale: int, most: Decimal) -> int:
    key = next(key for key in _COLUMNS[column] if key in row.cells)
    text = row.cells[key]
    if not _NUMBER.fullmatch(text):
        raise row.expected(key, "a number with a decimal point")
    number = Decimal(text) / (1000 if key == _PRICE_MWH else 1)
    least = -most if column == PRICE else Decimal(0)
    if not least <= number <= most:
        hint = f" (prices of a MWh belong into a column {_PRICE_MWH})" if key == PRICE else ""
        raise row.expected(key, f"from {least} to {most} for one kWh{hint}")
    return int((number * scale).to_integral_value())  # half a billionth is nothing that anybody bills
