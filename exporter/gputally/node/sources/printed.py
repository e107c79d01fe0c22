"""Values as programs print them for people: number and unit taken apart, bounded by what is possible.

Knows units and the words by which drivers say that there is no value; knows no program and no layout.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# The card or driver has no such value, or this user may not ask. No fault: the reading is simply absent.
_ABSENT = frozenset(
    {
        *("", "n/a", "none", "null", "not supported", "not found", "function not found"),
        *("insufficient permissions", "requested functionality has been deprecated"),
    }
)
# Words that stand in place of every value of a GPU that no longer answers -> reason.
_GONE = {
    "gpu is lost": "lost",
    "gpu requires reset": "reset_required",
    "gpu requires restart": "reset_required",
}
_FLAGS = {"yes": True, "no": False, "enabled": True, "disabled": False, "active": True, "not active": False}
_NUMBER = re.compile(r"([+-]?\d{1,20}(?:\.\d{1,12})?)\s{0,8}([^\s\d.+-]{0,12}|bank\(s\))", re.ASCII)
MOST_BYTES = 1 << 50


@dataclass(frozen=True, slots=True)
class Unit:
    """How a printed number becomes an SI one. `word` is what stands behind it, if anything does."""

    word: str = ""
    multiply: int = 1
    divide: int = 1


WATTS = Unit("W")
CELSIUS = Unit("C")
PERCENT = Unit("%", divide=100)  # -> ratio
MEBIBYTES = Unit("MiB", multiply=1 << 20)  # -> bytes
BYTES = Unit()
MEGAHERTZ = Unit("MHz", multiply=1_000_000)  # -> hertz
MICROSECONDS = Unit("us", multiply=1000)  # -> nanoseconds
LANES = Unit("x")
PLAIN = Unit()


def is_absent(text: str | None) -> bool:
    """Whether the text says that there is no value."""
    return text is None or _bare(text) in _ABSENT


def word(text: str | None) -> str | None:
    """A name or a version as printed; None where there is none."""
    if text is None or is_absent(text) or _bare(text) in _GONE or _bare(text) == "unknown error":
        return None
    return " ".join(text.split()) or None


@dataclass(slots=True)
class Sheet:
    """Takes the readings of one GPU off a page, and notes what was wrong with them.

    `gone` is the reason when the page says that the GPU no longer answers.
    """

    rejected: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    gone: str = ""

    def number(self, reading: str, text: str | None, unit: Unit, low: float, high: float) -> float | None:
        """The value in SI units, if there is one and it lies in [low, high] as printed.

        What is out of bounds goes to `rejected`, what is an error or no number of that unit to `failed`.
        """
        if text is None or self._is_no_value(reading, text):
            return None
        match = _NUMBER.fullmatch(text.strip())
        if match is None or match[2] not in ("", unit.word):
            self.failed[reading] = "garbage"
            return None
        value = float(match[1]) + 0.0  # no -0.0
        if not low <= value <= high:
            self.rejected.append(reading)
            return None
        return value * unit.multiply / unit.divide

    def count(
        self, reading: str, text: str | None, low: int = 0, high: int = 1 << 48, unit: Unit = PLAIN
    ) -> int | None:
        """As `number`, for what is whole: counters, bytes, states."""
        value = self.number(reading, text, unit, low, high)
        return None if value is None else round(value)

    def flag(self, reading: str, text: str | None) -> bool | None:
        """Yes or no, in any of the ways that programs have."""
        if text is None or self._is_no_value(reading, text):
            return None
        flag = _FLAGS.get(_bare(text))
        if flag is None:
            self.failed[reading] = "garbage"
        return flag

    def memory(
        self, texts: Mapping[str, str | None], unit: Unit = MEBIBYTES, prefix: str = ""
    ) -> dict[str, int | None]:
        """Bytes by reading; `memory_total_bytes` bounds the others (2 % more for what is rounded)."""
        total = self.count(
            f"{prefix}memory_total_bytes",
            texts.get("memory_total_bytes"),
            1,
            MOST_BYTES // unit.multiply,
            unit,
        )
        most = MOST_BYTES if total is None else int(total * 1.02) + unit.multiply
        others = {
            name: self.count(f"{prefix}{name}", text, 0, most // unit.multiply, unit)
            for name, text in texts.items()
            if name != "memory_total_bytes"
        }
        return {"memory_total_bytes": total, **others}

    def _is_no_value(self, reading: str, text: str) -> bool:
        bare = _bare(text)
        if bare in _ABSENT:
            return True
        if bare in _GONE:
            self.gone = _GONE[bare]
        elif bare == "unknown error" or bare.startswith("err"):
            self.failed[reading] = "unknown"
        elif bare == "timeout":
            self.failed[reading] = "driver_timeout"
        else:
            return False
        return True


def _bare(text: str) -> str:
    """Lower case, without the brackets that tables put around words: [N/A]."""
    return text.strip().removeprefix("[").removesuffix("]").strip().lower()
