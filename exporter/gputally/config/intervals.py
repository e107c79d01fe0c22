"""Prices or carbon intensities by interval, from a CSV or JSON file that somebody else renews.

start,end,price_per_kwh
2026-10-25T00:00:00+02:00,2026-10-25T01:00:00+02:00,0.0873

or `[{"start": ..., "end": ..., "price_per_kwh": 0.0873}, ...]`. Instants with an offset, ends exclusive, one
interval after the other. `price_per_mwh`, as markets publish it, is read as well.
"""

import csv
import json
import re
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from gputally.config.yamltree import ConfigError, quote, read_regular_file
from gputally.tariff.declared import Series

MAX_BYTES = 8 << 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,12})?")
Row = tuple[int, dict[str, str]]  # line (of JSON: number of the item) and what stands there


def read_series(path: Path, column: str, scale: int) -> Series:
    """Read a file of intervals; values become whole numbers of 1/scale.

    Raises ConfigError, naming file and line, for a gap, an overlap and whatever is not an interval.
    """
    name = str(path)
    try:
        text = read_regular_file(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(name, "expected UTF-8") from None
    rows = _from_json(name, text) if text.lstrip()[:1] in ("[", "{") else _from_csv(name, text)
    starts, values = array("q"), array("q")
    end_ns = 0
    for line, row in rows:
        start_ns, until_ns = _instant(name, line, row, "start"), _instant(name, line, row, "end")
        if until_ns <= start_ns:
            raise ConfigError(name, "an interval must end after it begins", line, 1, "end")
        if starts and start_ns != end_ns:
            what = "a gap before" if start_ns > end_ns else "an overlap with the interval before"
            raise ConfigError(name, f"{what} {quote(row['start'])}", line, 1, "start")
        starts.append(start_ns)
        values.append(_value(name, line, row, column, scale))
        end_ns = until_ns
    if not starts:
        raise ConfigError(name, f"no interval in it; expected start,end,{column}")
    return Series(starts, values, end_ns)


def _from_csv(name: str, text: str) -> Iterator[Row]:
    reader = csv.DictReader(text.splitlines(), strict=True)
    try:
        for row in reader:
            yield reader.line_num, {key: value or "" for key, value in row.items() if isinstance(key, str)}
    except csv.Error as error:
        raise ConfigError(name, f"not CSV: {error}", reader.line_num, 1) from None


def _from_json(name: str, text: str) -> Iterator[Row]:
    try:
        data = json.loads(text, parse_float=str, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise ConfigError(name, f"not JSON: {error}", getattr(error, "lineno", 0), 1) from None
    if not isinstance(data, list):
        raise ConfigError(name, "expected a list of intervals")
    for number, item in enumerate(data):
        if not isinstance(item, dict):
            raise ConfigError(name, f"item {number}: expected an interval")
        yield number + 1, {key: value for key, value in item.items() if isinstance(value, str)}


def _instant(name: str, line: int, row: dict[str, str], key: str) -> int:
    text = row.get(key, "")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        what = "an instant with its offset, such as 2026-10-25T01:00:00+02:00"
        raise ConfigError(name, f"expected {what}, found {quote(text)}", line, 1, key)
    return int((moment - _EPOCH).total_seconds()) * 1_000_000_000


def _value(name: str, line: int, row: dict[str, str], column: str, scale: int) -> int:
    per_mwh = column.replace("_per_kwh", "_per_mwh")
    key = column if column in row else per_mwh
    text = row.get(key, "").strip()
    try:
        if not _NUMBER.fullmatch(text):
            raise InvalidOperation
        number = Decimal(text) * scale / (1000 if key == per_mwh else 1)
    except InvalidOperation:
        raise ConfigError(name, f"expected a number, found {quote(text)}", line, 1, column) from None
    # Half a nano-unit of a kWh is nothing that anybody bills.
    return int(number.to_integral_value())
