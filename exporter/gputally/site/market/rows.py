"""What every provider file does with foreign JSON: read it by type, and gather offers or count why not.

Two kinds of wrong are kept apart. A reply that has not the shape that was recorded raises `FetchFailed`
(`rows_at`, `listed`, `mapping`): the last good one stays. A row that is wrong in itself is counted by a
reason of `REJECTIONS` and left out; readers answer None or "" for what is missing or of another type, and
never a default that could pass for a price or a count.

    gathering = Gathering("ionet", catalogue)
    for row in rows_at(reply, "data", "hardware"):
        card = gathering.card(text(row, "name"), memory_gib=number(row, "vram_per_card"))
        usd = card and gathering.usd_per_gpu(card, number(row, "price"), whole(row, "num_cards"))
        if card and usd:
            gathering.keep(Offer("ionet", card.slug, usd, ...))
    return gathering.fetched()
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from gputally.model.market import MOST_AVAILABLE, REJECTIONS, Fetched, Offer
from gputally.site.market.cards import Card, Catalogue, partial
from gputally.site.market.http import FetchFailed

Row = Mapping[str, object]

LONGEST_TEXT = 128  # of what becomes a label or a cell of a table
MOST_GPUS = 100_000  # of one row
MOST_UNMAPPED = 50
_LARGEST = Decimal(10) ** 15
_MONEY = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,18})?")
_FORM = re.compile(r"pci-?e|sxm[2-9]?|nvl|oam")
_COUNTRY = re.compile(r"(?:.*,\s*)?([A-Z]{2})")


def mapping(value: object, where: str) -> Row:
    """A JSON object. Raises FetchFailed("schema") where it is something else."""
    if not isinstance(value, dict):
        raise FetchFailed("schema", f"expected an object at {where}, found {_kind(value)}")
    return value


def listed(reply: object, *path: str) -> tuple[Row, ...]:
    """The list of objects at a path of keys, which may be empty; no path: the reply itself.

    Raises:
        FetchFailed: "schema", the path does not lead to a list of objects.
    """
    value, where = reply, "the top"
    for key in path:
        inside = mapping(value, where)
        where = key if where == "the top" else f"{where}.{key}"
        if key not in inside:
            raise FetchFailed("schema", f"{where} is missing")
        value = inside[key]
    if not isinstance(value, list):
        raise FetchFailed("schema", f"expected a list at {where}, found {_kind(value)}")
    return tuple(mapping(row, f"{where}[{index}]") for index, row in enumerate(value))


def rows_at(reply: object, *path: str) -> tuple[Row, ...]:
    """As `listed`, but a list without a row is a failure: FetchFailed("empty")."""
    rows = listed(reply, *path)
    if not rows:
        raise FetchFailed("empty", f"no row at {'.'.join(path) or 'the top'}")
    return rows


def text(row: Row, key: str) -> str:
    """Text on one line that is safe to show; "" where there is none."""
    value = row.get(key)
    if not isinstance(value, str):
        return ""
    words = " ".join(value[: 8 * LONGEST_TEXT].split())
    return "".join(character for character in words if character.isprintable())[:LONGEST_TEXT]


def identity(row: Row, key: str) -> str:
    """An id that is sometimes text and sometimes a number, as text."""
    count = whole(row, key)
    return text(row, key) if count is None else str(count)


def number(row: Row, key: str) -> Decimal | None:
    """A finite number; `true` is none, nor is a number in quotes."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return exact if exact.is_finite() and abs(exact) <= _LARGEST else None


def money_text(row: Row, key: str) -> Decimal | None:
    """An amount that is published in quotes, such as "3.95"; a bare number is good, too."""
    value = row.get(key)
    if isinstance(value, str):
        return Decimal(value) if _MONEY.fullmatch(value) else None
    return number(row, key)


def whole(row: Row, key: str) -> int | None:
    """A whole number; 8.0 is one, 0.5 and `true` are not."""
    value = number(row, key)
    return int(value) if value is not None and value == value.to_integral_value() else None


def flag(row: Row, key: str) -> bool | None:
    """`true` or `false`; None for everything else."""
    value = row.get(key)
    return value if isinstance(value, bool) else None


def ratio(row: Row, key: str) -> float | None:
    """A number from 0 to 1; None for everything else."""
    value = number(row, key)
    return float(value) if value is not None and 0 <= value <= 1 else None


def country_of(place: str) -> str:
    """The ISO code where a place is written as one, or ends with one as "Czechia, CZ" does; else ""."""
    match = _COUNTRY.fullmatch(place)
    return match[1] if match else ""


def form_word(interface: str) -> str:
    """How a card is connected, where a provider's column says that; "" where it says something else."""
    return interface if _FORM.fullmatch(interface.lower()) else ""


def _kind(value: object) -> str:
    if value is None:
        return "null"
    words = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return words.get(type(value), "a number")


class Gathering:
    """Offers of one reply, and how many rows were left out for what."""

    def __init__(self, provider: str, catalogue: Catalogue) -> None:
        self.provider, self.catalogue = provider, catalogue
        self._offers: list[Offer] = []
        self._rejected: dict[str, int] = {}
        self._unmapped: dict[str, None] = {}  # a set that keeps its order

    def reject(self, reason: str) -> None:
        """Count a row that is left out."""
        if reason not in REJECTIONS:
            raise ValueError(reason)
        self._rejected[reason] = self._rejected.get(reason, 0) + 1

    def card(self, label: str, *, memory_gib: float | Decimal | None = None) -> Card | None:
        """The card that a label means; None: the row is counted as a slice of a card or as unmapped."""
        if partial(label):
            self.reject("mig")
            return None
        memory = None if memory_gib is None else float(memory_gib)
        slug = self.catalogue.card_of(label, memory_gib=memory)
        if slug is not None:
            return self.catalogue.cards[slug]
        self.reject("unmapped")
        if len(self._unmapped) < MOST_UNMAPPED:
            self._unmapped[label if memory is None else f"{label} ({memory:.4g} GiB)"] = None
        return None

    def usd_per_gpu(self, card: Card, usd: Decimal | None, gpus: int | None = 1) -> Decimal | None:
        """The price of one GPU, of a price for several; None: the row is counted by what is wrong.

        A row without a number of GPUs is never taken for one GPU: a node's price would pose as a GPU's.
        """
        if gpus is None or not 1 <= gpus <= MOST_GPUS:
            self.reject("no_count")
        elif usd is None or usd <= 0:
            self.reject("no_price")
        elif not card.low_usd <= usd / gpus <= card.high_usd:
            self.reject("implausible")
        else:
            return usd / gpus
        return None

    def keep(self, offer: Offer) -> None:
        """Take an offer; a number of GPUs to be had that cannot be is none."""
        if offer.available_gpus is not None and not 0 <= offer.available_gpus <= MOST_AVAILABLE:
            offer = replace(offer, available_gpus=None)
        self._offers.append(offer)

    def fetched(self, *, truncated: bool = False) -> Fetched:
        """All of it. Raises FetchFailed("empty") where no row was good."""
        if not self._offers:
            counts = ", ".join(f"{count} {reason}" for reason, count in self._rejected.items())
            raise FetchFailed("empty", f"no row could be used: {counts or 'there was none'}")
        return Fetched(tuple(self._offers), dict(self._rejected), tuple(self._unmapped), truncated)
