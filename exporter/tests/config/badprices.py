"""Files of prices that must be refused, each with the words that say where and why.

A message is what stands behind the file's name; None is one in words that are not ours.
"""

DAY = "2026-10-25T"
_HINT = "(prices of a MWh belong into a column price_per_mwh)"
ROW = f"{DAY}00:00Z,{DAY}01:00Z,0.1\n"
HEAD = "start,end,price_per_kwh\n"
_INSTANT = "expected an instant with its offset, such as 2026-10-25T01:00:00+02:00, found"
_COLUMNS = "expected start, end and price_per_kwh or price_per_mwh"
_JSON = f'{{"start": "{DAY}00:00Z", "end": "{DAY}01:00Z", "price_per_kwh": 0.1}}'

BAD: dict[str, tuple[str | bytes, str | None]] = {
    "empty": ("", ": no interval in it; expected start, end and price_per_kwh"),
    "header only": (HEAD, ": no interval in it; expected start, end and price_per_kwh"),
    "no header": (ROW, f':1:1 "2026-10-25T00:00Z": unknown column, {_COLUMNS}'),
    "semicolons": (HEAD.replace(",", ";"), f':1:1 "start;end;price_per_kwh": unknown column, {_COLUMNS}'),
    "no end": ("start,price_per_kwh\n", f":1:1: {_COLUMNS}, found start, price_per_kwh"),
    "no price": ("start,end\n", f":1:1: {_COLUMNS}, found start, end"),
    "two prices": (
        f"{HEAD[:-1]},price_per_mwh\n",
        f":1:1: {_COLUMNS}, found start, end, price_per_kwh, price_per_mwh",
    ),
    "another column": (f"{HEAD[:-1]},currency\n", f':1:1 "currency": unknown column, {_COLUMNS}'),
    "a column twice": (f"{HEAD[:-1]},end\n", ":1:1 end: a column that is there twice"),
    "carbon as price": (HEAD.replace("price", "grams"), f':1:1 "grams_per_kwh": unknown column, {_COLUMNS}'),
    "too few fields": (
        HEAD + ROW + f"{DAY}01:00Z\n",
        ":3:1: expected 3 fields with commas between them, found 1",
    ),
    "too many fields": (
        HEAD + ROW[:-1] + ",5\n",
        ":2:1: expected 3 fields with commas between them, found 4",
    ),
    "decimal comma": (
        HEAD + ROW.replace("0.1", '"0,1"'),
        ':2:1 price_per_kwh: expected a number with a decimal point, found "0,1"',
    ),
    "open quote": (HEAD + '"' + ROW, ":2:1: not CSV: unexpected end of data"),
    "local time": (HEAD + ROW.replace("Z", ""), f':2:1 start: {_INSTANT} "2026-10-25T00:00"'),
    "date only": (HEAD + ROW.replace("T00:00Z", ""), f':2:1 start: {_INSTANT} "2026-10-25"'),
    "Unix time": (HEAD + ROW.replace(f"{DAY}00:00Z", "1792886400"), f':2:1 start: {_INSTANT} "1792886400"'),
    "no time": (HEAD + ROW.replace(f"{DAY}01:00Z", ""), f":2:1 end: {_INSTANT} nothing"),
    "half a second": (
        HEAD + ROW.replace("00:00Z", "00:00:00.5Z"),
        f':2:1 start: {_INSTANT} "2026-10-25T00:00:00.5Z"',
    ),
    "the far future": (
        HEAD + ROW.replace("2026", "2300"),
        ':2:1 start: expected a year from 2000 to 2199, found "2300-10-25T00:00Z"',
    ),
    "the year 1": (
        HEAD + ROW.replace("2026", "0001"),
        ':2:1 start: expected a year from 2000 to 2199, found "0001-10-25T00:00Z"',
    ),
    "backwards": (HEAD + ROW.replace("01:00", "00:00"), ":2:1 end: an interval must end after it begins"),
    "gap": (
        HEAD + ROW + "\n" + ROW.replace("T01", "T03").replace("T00", "T02"),
        ':4:1 start: a gap before "2026-10-25T02:00Z"',
    ),
    "overlap": (
        HEAD + ROW + ROW.replace("T01", "T02"),
        ':3:1 start: an overlap with what comes before "2026-10-25T00:00Z"',
    ),
    "summer time without its offset": (
        HEAD + f"{DAY}02:00+02:00,{DAY}03:00+02:00,0.1\n{DAY}03:00+01:00,{DAY}04:00+01:00,0.1\n",
        ':3:1 start: a gap before "2026-10-25T03:00+01:00"',
    ),
    "no number": (
        HEAD + ROW.replace("0.1", "n/a"),
        ':2:1 price_per_kwh: expected a number with a decimal point, found "n/a"',
    ),
    "nothing": (
        HEAD + ROW.replace("0.1", ""),
        ":2:1 price_per_kwh: expected a number with a decimal point, found nothing",
    ),
    "infinity": (
        HEAD + ROW.replace("0.1", "inf"),
        ':2:1 price_per_kwh: expected a number with a decimal point, found "inf"',
    ),
    "price of a MWh": (
        HEAD + ROW.replace("0.1", "87.30"),
        f':2:1 price_per_kwh: expected from -25 to 25 for one kWh {_HINT}, found "87.30"',
    ),
    "huge price": (
        HEAD.replace("kwh", "mwh") + ROW.replace("0.1", "1e99"),
        ':2:1 price_per_mwh: expected from -25 to 25 for one kWh, found "1e99"',
    ),
    "Latin-1": (HEAD.encode() + b"\xe9\n", ":2:1: expected UTF-8, found byte 0xe9"),
    "binary": (b"\0" * 40, None),
    "JSON, no list": (f'{{"prices": [{_JSON}]}}', ":1:1: expected a list of intervals, [{...}, ...]"),
    "JSON, empty": (" [ ] ", ": no interval in it; expected start, end and price_per_kwh"),
    "JSON, cut off": (f"[{_JSON},\n", ":2:1: not JSON: Expecting value"),
    "JSON, comma at the end": (f"[{_JSON},\n]", None),
    "JSON, two lists": (f"[{_JSON}][]", ":1:83: not JSON: Extra data"),
    "JSON, numbers": ("[1]", ":1:2: expected an interval, {...}"),
    "JSON, a key twice": (
        f'[{_JSON},\n  {_JSON[:-1]}, "end": "x"}}]',
        ":2:3 end: a column that is there twice",
    ),
    "JSON, another key": (f'[\n{_JSON[:-1]}, "zone": "DE"}}]', f':2:1 "zone": unknown column, {_COLUMNS}'),
    "JSON, no key": ("[{}]", f":1:2: {_COLUMNS}, found nothing"),
    "JSON, null": (f"[{_JSON.replace('0.1', 'null')}]", ":1:2 price_per_kwh: expected a number or a string"),
    "JSON, true": (f"[{_JSON.replace('0.1', 'true')}]", ":1:2 price_per_kwh: expected a number or a string"),
    "JSON, nested": (f"[{_JSON.replace('0.1', '{}')}]", ":1:2 price_per_kwh: expected a number or a string"),
    "JSON, NaN": (
        f"[{_JSON.replace('0.1', 'NaN')}]",
        ':1:2 price_per_kwh: expected a number with a decimal point, found "NaN"',
    ),
    "JSON, Unix time": (
        f"[{_JSON}, {_JSON.replace(chr(34) + DAY + '00:00Z' + chr(34), '1792886400')}]",
        f':1:84 start: {_INSTANT} "1792886400"',
    ),
    "JSON, gap": (
        f"[{_JSON},\n {_JSON.replace('T01', 'T03').replace('T00', 'T02')}]",
        ':2:2 start: a gap before "2026-10-25T02:00Z"',
    ),
    "JSON, deep": ("[" * 100_000, None),
}
