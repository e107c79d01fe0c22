"""How the text of one field becomes a value, or a reason why the row cannot be taken."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache

from gputally.config.checked import CURRENCY
from gputally.config.yamltree import quote
from gputally.site.ledger.money import MOST

LONGEST = 128  # characters of a name
FIRST_YEAR, LAST_YEAR = 2000, 2100
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]{1,60}(?:\.[0-9]{0,60})?|\.[0-9]{1,60})(?:[eE][+-]?[0-9]{1,3})?", re.ASCII
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class Rejected(Exception):
    """A row that cannot be taken; `str()` says why, of one column."""


def number(column: str, text: str) -> Decimal:
    """A finite number, exactly. Raises Rejected."""
    if not _NUMBER.fullmatch(text):
        raise Rejected(f"{column}: expected a number, found {quote(text)}")
    return Decimal(text)


def money(column: str, text: str) -> Decimal:
    """An amount that the ledger can hold; negative where money came back. Raises Rejected."""
    amount = number(column, text.strip())
    if abs(amount) > MOST:
        raise Rejected(f"{column}: more than {MOST:,}: {quote(text)}")
    return amount


def currency(column: str, text: str) -> str:
    """Three capital letters. Raises Rejected."""
    if not CURRENCY.fullmatch(text):
        raise Rejected(f"{column}: expected a currency by its three capital letters, found {quote(text)}")
    return text


def label(column: str, text: str) -> str:
    """A name that can be shown. Raises Rejected."""
    name = " ".join(text.split())
    if not name:
        raise Rejected(f"{column}: is empty")
    if len(name) > LONGEST or not name.isprintable():
        raise Rejected(f"{column}: expected at most {LONGEST} printable characters, found {quote(name)}")
    return name


@lru_cache(4096)
def day(column: str, text: str) -> str:
    """A date as YYYY-MM-DD. Raises Rejected."""
    try:
        found = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        found = None
    if found is None or not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise Rejected(f"{column}: expected a day such as 2026-11-29, found {quote(text)}")
    return text


@lru_cache(65536)
def instant(column: str, text: str) -> str:
    """As YYYY-MM-DDTHH:MM:SSZ; one without a zone is of UTC, as FOCUS wants it. Raises Rejected."""
    given = text.removesuffix(" UTC")
    try:
        found = datetime.fromisoformat(given) if given.isascii() else None
        utc = found if found is None or found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        utc = None
    if utc is None or not FIRST_YEAR <= utc.year <= LAST_YEAR:
        raise Rejected(f"{column}: expected an instant such as 2026-11-29T00:00:00Z, found {quote(text)}")
    return utc.strftime("%Y-%m-%dT%H:%M:%SZ")
