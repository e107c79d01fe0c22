"""The shape of a catalogue row, and the checks that every row passes when the package is imported."""

import re
from dataclasses import dataclass

UNITS = frozenset(
    {"", "watts", "joules", "seconds", "bytes", "celsius", "hertz", "ratio", "grams"},
)
DEVICE_LABELS = ("gpu", "uuid")
MAX_LABELS = 10
_NAME = re.compile(r"^(gpu|host|site|gputally|process)_[a-z0-9_]+$")
_LABEL = re.compile(r"^[a-z][a-z0-9_]*$")
_RESERVED = frozenset({"instance", "job", "le", "quantile", "host", "hostname"})


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family. `record` and `key` say which field of the snapshot it shows.

    A key whose field is a mapping takes the mapping's keys as the values of the last label.
    """

    name: str
    type: str  # gauge | counter
    unit: str  # base unit, "" for counts, states and info
    labels: tuple[str, ...]
    help: str
    source: str  # the driver call, field or file that it comes from
    section: str  # heading of docs/metrics.md
    record: str = ""  # description | fast | slow | counters | host | report | web | site | market | reservations | ledger | budgets; "" = by hand in collect
    key: str = ""
    since: str = "0.1"

    def __post_init__(self) -> None:
        """Raise ValueError for a row that breaks a law of the catalogue."""
        complaint = _complaint(self)
        if complaint:
            raise ValueError(f"catalogue row {self.name}: {complaint}")

    @property
    def base_name(self) -> str:
        """Name as OpenMetrics declares it: a counter without its `_total`."""
        return self.name.removesuffix("_total") if self.type == "counter" else self.name


def _complaint(row: Family) -> str:
    rules = {
        "name must be snake_case with one of our prefixes": _NAME.match(row.name),
        "type must be gauge or counter": row.type in {"gauge", "counter"},
        "a counter, and only a counter, ends in _total": row.name.endswith("_total")
        == (row.type == "counter"),
        "unknown unit": row.unit in UNITS,
        "the name must end in its unit": not row.unit or row.base_name.endswith(f"_{row.unit}"),
        "too many labels": len(row.labels) <= MAX_LABELS,
        "a label is reserved or not snake_case": all(
            _LABEL.match(label) and label not in _RESERVED for label in row.labels
        ),
        "labels repeat": len(set(row.labels)) == len(row.labels),
        "help must be a sentence": (row.help[:1].isupper() or row.help[:1].isdigit())
        and row.help.endswith("."),
    }
    return next((message for message, holds in rules.items() if not holds), "")
