"""Plain rows: `date,provider,gpu_type,cost[,team]`, as CSV or JSON. Each stands for itself, by its key.

The key is day, provider, GPU and team, in small letters: a row with the same key is the same row, told again.
The currency is no part of it, so that a row whose currency was wrong is corrected and not doubled.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gputally.site.ledger.fields import Rejected, currency, day, label, money, number
from gputally.site.ledger.focus import Knowledge
from gputally.site.ledger.money import attos
from gputally.site.ledger.reading import Source
from gputally.site.ledger.staging import PLAIN, StagedBill, Staging
from gputally.site.ledger.tables import known_as
from gputally.site.ledger.tally import Tally

MOST_JSON = 64 << 20
COST = "cost"
_GPU = ("gputype", "gpu")
_NEEDED = ("date", "provider")
_OPTIONAL = ("team", "currency", "gpuhours")
_MOST_HOURS = Decimal(1_000_000_000)
# In the name of a column.
_CURRENCIES = frozenset(
    "aed ars aud bdt bgn brl cad chf clp cny cop czk dkk egp eur gbp hkd huf idr ils inr isk jpy kes krw kzt "  # noqa: SIM905
    "mad mxn myr ngn nok nzd pen php pkr pln qar ron rsd sar sek sgd thb try twd uah usd uyu vnd zar".split()
)


@dataclass(frozen=True, slots=True)
class PlainColumns:
    """Which columns a file has, by their names as `tables.known_as` has them."""

    gpu: str
    cost: str
    currency: str  # that of the name of the column, such as cost_usd; "" where it has none


def find_columns(names: Iterable[str]) -> tuple[PlainColumns | None, list[str]]:
    """What plain rows are read by, or what is missing for that."""
    have = list(dict.fromkeys(map(known_as, names)))
    costs = [
        name
        for name in have
        if name == COST or (name.startswith(COST) and name.removeprefix(COST) in _CURRENCIES)
    ]
    gpus = [name for name in _GPU if name in have]
    missing = [name for name in _NEEDED if name not in have]
    missing += [word for word, found in (("gpu_type", gpus), (COST, costs)) if not found]
    if missing or len(costs) > 1:
        return None, missing or [f"one of {' and '.join(costs)}"]
    return PlainColumns(gpus[0], costs[0], costs[0].removeprefix(COST).upper()), []


def unused(names: Iterable[str], found: PlainColumns) -> list[str]:
    """Columns that are not read."""
    read = {*_NEEDED, *_OPTIONAL, found.gpu, found.cost}
    return [name for name in names if known_as(name) not in read]


class PlainRows:
    """Rows of one file, each a mapping from a column to its text."""

    def __init__(
        self, found: PlainColumns | None, unit: str, knowledge: Knowledge, into: tuple[Staging, Tally]
    ) -> None:
        """Columns are those of the file; None: each row has its own."""
        self._found, self._unit = found, unit
        self._knowledge = knowledge
        self._staging, self._tally = into

    def provider(self, row: Mapping[str, str]) -> str:
        """The provider of a row that was rejected, if it has one."""
        name = row.get("provider", "")
        return self._knowledge.machines.provider(name)[:64] if name.isprintable() else ""

    def take(self, row: Mapping[str, str], line: int) -> None:
        """Stage a row. Raises Rejected."""
        found = self._found or _columns_of(row)
        date = day("date", row.get("date", "").strip())
        provider = self._knowledge.machines.provider(label("provider", row.get("provider", "")))
        gpu = label("gpu_type", row.get(found.gpu, ""))
        gpu_type = self._knowledge.catalogue.card_of(gpu) or gpu.lower()
        cost = money(found.cost, row.get(found.cost, ""))
        unit = currency("currency", row.get("currency", "").strip() or found.currency or self._unit)
        if found.currency not in {"", unit}:
            raise Rejected(f"currency: {unit}, but the name of the cost says {found.currency}")
        team = self._knowledge.naming.team(row.get("team", ""))
        hours = _hours(row.get("gpuhours", "").strip())
        bill = self._staging.bill(StagedBill(0, PLAIN, provider))
        key = bill.number, date, gpu_type, team, "usage", unit
        told = f"{gpu}\n{' '.join(row.get('team', '').split())}".lower()
        if (first := self._staging.first_line(key, line, told)) != line:
            raise Rejected(
                f"the same day, provider, GPU and team as line {first}: add them up, or name their teams"
            )
        self._staging.add(key, attos(cost), hours)
        self._tally.taken += 1
        bill.rows += 1
        bill.last_day = max(bill.last_day, date)


def _columns_of(row: Mapping[str, str]) -> PlainColumns:
    found, missing = find_columns(row)
    if found is None:
        raise Rejected(f"the row lacks {', '.join(missing)}")
    return found


def _hours(text: str) -> int | None:
    if not text:
        return None
    hours = number("gpu_hours", text)
    if abs(hours) > _MOST_HOURS:
        raise Rejected(f"gpu_hours: more than {_MOST_HOURS:,}")
    return attos(hours) // 10**9


def json_rows(source: Source) -> Iterator[tuple[int, Mapping[str, str] | Rejected]]:
    """Objects of a JSON file with the line that each begins in: an array, `{"rows": [...]}`, or one a line.

    Raises BadFile for what is no JSON, or breaks off.
    """
    text = source.text(MOST_JSON)
    at, closing = _begin(text)
    line, counted = 1, 0
    while True:
        at = _skip(text, at, " \t\r\n," if closing else " \t\r\n")
        line, counted = line + text.count("\n", counted, at), at
        if at >= len(text):
            if closing:
                raise source.bad("the JSON ends too early: is the file whole?", line)
            return
        if closing and text[at] == closing[0]:
            _end(source, text, at, closing)
            return
        value, at = _decoded(source, text, at, line)
        yield line, _texts(value)


def _begin(text: str) -> tuple[int, str]:
    """Where the first object begins, and what has to follow after the last one."""
    at = _skip(text, 0, " \t\r\n")
    if text[at : at + 1] == "[":
        return at + 1, "]"
    inside = _skip(text, at + 1, " \t\r\n")
    for name in ('"rows"', '"charges"'):
        if text.startswith(name, inside):
            colon = _skip(text, inside + len(name), " \t\r\n")
            begin = _skip(text, colon + 1, " \t\r\n")
            if text[colon : colon + 1] == ":" and text[begin : begin + 1] == "[":
                return begin + 1, "]}"
    return at, ""


def _end(source: Source, text: str, at: int, closing: str) -> None:
    rest = "".join(text[at:].split())
    if rest != closing:
        what = "the JSON ends too early: is the file whole?" if closing.startswith(rest) else (
            "expected nothing after the list of rows"
        )  # fmt: skip
        raise source.bad(what, text.count("\n", 0, at) + 1)


def _skip(text: str, at: int, what: str) -> int:
    while at < len(text) and text[at] in what:
        at += 1
    return at


def _decoded(source: Source, text: str, at: int, line: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or "Unterminated" in error.msg:
            raise source.bad("the JSON ends too early: is the file whole?", line) from None
        raise source.bad(f"not JSON: {error.msg}", error.lineno) from None
    except (ValueError, RecursionError) as error:
        raise source.bad(f"not JSON: {error}", line) from None


def _refused(constant: str) -> object:
    raise ValueError(f"{constant} is no number")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = {known_as(key): value for key, value in pairs}
    if len(found) < len(pairs):
        return {"twice": True}
    return found


# Numbers stay the text that they are.
_DECODER = json.JSONDecoder(
    parse_float=str, parse_int=str, parse_constant=_refused, object_pairs_hook=_object
)


def _texts(value: object) -> Mapping[str, str] | Rejected:
    if not isinstance(value, dict):
        return Rejected("expected an object with date, provider, gpu_type and cost")
    if value.get("twice") is True:
        return Rejected("a key is there twice")
    row = {key: text for key, text in value.items() if text is not None}
    strange = next((key for key, text in row.items() if not isinstance(text, str)), None)
    if strange is not None:
        return Rejected(f"{strange}: expected a text or a number")
    return row
