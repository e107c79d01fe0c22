"""What Prometheus answers, as samples; what is no such answer is said in one line."""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from gputally.report.failures import ReportError
from gputally.tables.text import printable

_MOST_SHOWN = 300
_LARGEST = Decimal("1e40")  # of any unit: what is more is a mistake of a rule, and cannot be rounded
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]{1,3})?|[+-]?Inf|NaN")


class Sample(NamedTuple):
    """One series at one instant; a label that is not there is ""."""

    labels: Mapping[str, str]
    value: Decimal  # as it was written: nothing is lost on the way

    def key(self, by: Sequence[str]) -> tuple[str, ...]:
        """The values of some labels."""
        return tuple(self.labels.get(label, "") for label in by)


def read_answer(url: str, body: bytes) -> tuple[Sequence[Sample], Sequence[str]]:
    """Samples and warnings of an instant answer. NaN is no amount and left out. Raises ReportError."""
    try:
        answer = json.loads(body)
        data = answer["data"]
        result = data["result"] if data["resultType"] == "vector" else _scalar(data)
        samples = [Sample(_labels(series["metric"]), _amount(series["value"])) for series in result]
        warnings = [printable(" ".join(str(one).split()))[:_MOST_SHOWN] for one in answer.get("warnings", ())]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise ReportError(
            f"{url}: answers with something that is not Prometheus' JSON (--prometheus.url)"
        ) from None
    for sample in samples:
        if sample.value.is_infinite():
            raise ReportError(f"{url}: an infinite amount for {_named(sample.labels)}")
        if not sample.value.is_nan() and abs(sample.value) > _LARGEST:
            raise ReportError(f"{url}: an amount of {sample.value:.1e} for {_named(sample.labels)}")
    return [sample for sample in samples if sample.value.is_finite()], warnings


def read_error(body: bytes) -> tuple[str, str]:
    """The kind and the message of an error; "" where it is none of Prometheus'."""
    try:
        answer = json.loads(body)
        kind, message = answer["errorType"], answer["error"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return "", ""
    return str(kind), printable(" ".join(str(message).split()))[:_MOST_SHOWN]


def _scalar(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    if data["resultType"] != "scalar":
        raise ValueError(data["resultType"])
    return [{"metric": {}, "value": data["result"]}]


def _labels(labels: object) -> Mapping[str, str]:
    """Text that can be written; half a surrogate pair cannot. Raises ValueError, TypeError."""
    if not isinstance(labels, dict):
        raise TypeError(labels)
    for text in (*labels, *labels.values()):
        str.encode(text)
    return labels


def _amount(value: Sequence[object]) -> Decimal:
    """What Prometheus writes, not all that Decimal would take. Raises ValueError, TypeError."""
    _at, text = value
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return Decimal(text)


def _named(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{printable(name)}={value!r}" for name, value in sorted(labels.items())) + "}"
