"""Which GPU a row of a FOCUS bill is about: FOCUS has no column for it, so it follows from the machine.

In this order: what the details of the SKU name, what the provider's own columns name, the words of a
description. Nothing is guessed from a price.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gputally.site.ledger.machines import LONGEST, Machines
from gputally.site.market.cards import Catalogue

# Columns, as `tables.known_as` has them, in the order in which they are believed.
COLUMNS = (
    "skupricedetails",
    "xinstancetype",
    "xskuinstancetype",
    "xskudetails",
    "xusagetype",
    "skumeter",
    "xskumetername",
    "chargedescription",
    "xskudescription",
)
_DETAILS = ("skupricedetails", "xskudetails")
_MACHINE_KEYS = ("instancetype", "xinstancetype", "servicetype", "vmsize")
_CARD_KEYS = ("gputype", "xgputype", "gpumodel", "xgpumodel", "xgpuname")
_COUNT_KEYS = ("gpucount", "xgpucount")
_BY_NAME = re.compile(r"\b(?:nvidia|amd) ([\w .-]{1,40}?) gpu\b", re.IGNORECASE)
_CONTRACTS = ("spot", "low", "priority")
_MOST_KNOWN = 20_000


@dataclass(frozen=True, slots=True)
class RowGpu:
    """What a row pays for."""

    gpu_type: str
    count: int | None  # GPUs of one machine; None: nobody knows
    missing: str = ""  # a machine that sounds like GPUs and is not in the table


class GpuRows:
    """Reads it from rows; the same texts are read once."""

    def __init__(self, columns: Mapping[str, int], machines: Machines, catalogue: Catalogue) -> None:
        self._at = tuple((name, columns[name]) for name in COLUMNS if name in columns)
        self._machines, self._catalogue = machines, catalogue
        self._known: dict[tuple[str, ...], RowGpu | None] = {}

    def of(self, fields: list[str]) -> RowGpu | None:
        """The GPU; None for a row that has none."""
        texts = tuple([fields[at] for _, at in self._at])
        try:
            return self._known[texts]
        except KeyError:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[texts] = self._find(texts)
            return found

    def _find(self, texts: tuple[str, ...]) -> RowGpu | None:
        named = {name: text for (name, _), text in zip(self._at, texts, strict=True) if text}
        details = {key: value for name in _DETAILS for key, value in _object(named.pop(name, "")).items()}
        count = _count(details)
        for name in _machines(details, named):
            instance = self._machines.instances.get(name)
            if instance is not None:
                return RowGpu(instance.gpu, count or instance.count)
        card = self._card(details, named)
        if card is not None:
            return RowGpu(card, count or 1)
        for text in (*_machines(details, named), *named.values()):
            word = self._machines.named(text)
            instance = self._machines.instances.get(word or "")
            if instance is not None:
                return RowGpu(instance.gpu, count or instance.count)
            if word is not None or (count and text):
                return RowGpu(word or text.lower()[:LONGEST], count, word or text.lower()[:LONGEST])
        return RowGpu("unknown", count, "a machine without a name") if count else None

    def _card(self, details: Mapping[str, Any], named: Mapping[str, str]) -> str | None:
        given = [str(details[key]) for key in _CARD_KEYS if isinstance(details.get(key), str)]
        given += [found[1] for text in named.values() for found in [_BY_NAME.search(text[:1000])] if found]
        return next((card for text in given if (card := self._catalogue.card_of(text)) is not None), None)


def _machines(details: Mapping[str, Any], named: Mapping[str, str]) -> Iterator[str]:
    """What may be the name of the machine, as the table has names."""
    for key in _MACHINE_KEYS:
        if isinstance(value := details.get(key), str) and value:
            yield _plain(value)
    for column in ("xinstancetype", "xskuinstancetype"):
        if column in named:
            yield _plain(named[column])
    if "xusagetype" in named:  # such as EUC1-BoxUsage:p5.48xlarge
        yield _plain(named["xusagetype"].rpartition(":")[2])
    for column in ("skumeter", "xskumetername"):  # such as ND96isr H100 v5 Spot
        words = [word for word in named.get(column, "").lower().split() if word not in _CONTRACTS]
        if words:
            yield f"standard_{'_'.join(words)}"


def _plain(name: str) -> str:
    """Without what a service puts before it, such as ml.p5.48xlarge."""
    return name.strip().lower().removeprefix("ml.")


def _object(text: str) -> dict[str, Any]:
    """Keys as `tables.known_as` has them; nothing where it is no object: details only help."""
    if not text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(key).replace("_", "").lower(): value for key, value in found.items()}


def _count(details: Mapping[str, Any]) -> int | None:
    for key in _COUNT_KEYS:
        value = details.get(key)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 5:
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 1024:
            return value
    return None
