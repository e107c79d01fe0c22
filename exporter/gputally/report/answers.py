"""What Prometheus answers, as samples; what is no such answer is said in one line."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from gputally.report.failures import ReportError

_MOST_SHOWN = 300


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
        samples = [Sample(series["metric"], Decimal(series["value"][1])) for series in result]
        warnings = [str(warning) for warning in answer.get("warnings", ())]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, InvalidOperation, RecursionError):
        raise ReportError(
            f"{url}: answers with something that is not Prometheus' JSON (--prometheus.url)"
        ) from None
    for sample in samples:
        if sample.value.is_infinite():
            raise ReportError(f"{url}: an infinite amount for {_named(sample.labels)}")
    return [sample for sample in samples if sample.value.is_finite()], warnings


def read_error(body: bytes) -> tuple[str, str]:
    """The kind and the message of an error; "" where it is none of Prometheus'."""
    try:
        answer = json.loads(body)
        kind, message = answer["errorType"], answer["error"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return "", ""
    return str(kind), " ".join(str(message).split())[:_MOST_SHOWN]


def _scalar(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    if data["resultType"] != "scalar":
        raise ValueError(data["resultType"])
    return [{"metric": {}, "value": data["result"]}]


def _named(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}={value!r}" for name, value in sorted(labels.items())) + "}"
