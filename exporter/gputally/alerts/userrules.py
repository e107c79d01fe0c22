"""Rules of one's own: what they may be about, and the expression that each of them becomes."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from gputally.alerts.recorded import RECORDED
from gputally.catalogue import BY_NAME

COMPARISONS = ("above", "below")
SEVERITIES = ("critical", "warning", "info")
RECEIVERS = ("mail", "page", "slack", "discord", "webhook")  # the routes of alertmanager.yml
_SELDOM_SECONDS = 300  # what is recorded no more often is not always there at the instant of asking
_INSTANT = re.compile(r"\w+_(time|timestamp)_seconds")


@dataclass(frozen=True, slots=True)
class Metric:
    """A family that is scraped, or a series that a rule records. `labels` has those of the target, too."""

    name: str
    labels: tuple[str, ...]
    unit: str = ""
    is_counter: bool = False
    recorded_seconds: int = 0  # how often it is recorded; 0: it is scraped

    @property
    def is_instant(self) -> bool:
        """Whether it is a point in time: a threshold that is right today is wrong tomorrow."""
        return _INSTANT.fullmatch(self.name) is not None


@dataclass(frozen=True, slots=True)
class UserRule:
    """One rule, checked: all that is in it goes together. Durations are as Prometheus writes them."""

    name: str
    metric: Metric
    comparison: str
    threshold: Decimal
    hold: str  # `for`
    severity: str
    per: str | None = None
    where: tuple[tuple[str, str], ...] = ()
    receiver: str | None = None
    summary: str | None = None

    @property
    def expression(self) -> str:
        """PromQL that has a sample for everything that is beyond the threshold."""
        matchers = ", ".join(
            f"{label}={json.dumps(value, ensure_ascii=False)}" for label, value in self.where
        )
        series = f"{self.metric.name}{{{matchers}}}" if matchers else self.metric.name
        if self.per is not None:
            series = f"increase({series}[{self.per}])"
        elif self.metric.recorded_seconds >= _SELDOM_SECONDS:
            minutes = self.metric.recorded_seconds // 60 + 5
            series = f"last_over_time({series}[{minutes}m])"
        return f"{series} {'>' if self.comparison == 'above' else '<'} {self.threshold:f}"


def metric(name: str) -> Metric | None:
    """The family or recorded series of this name, if there is one."""
    if (family := BY_NAME.get(name)) is not None:
        labels = (*family.labels, "instance", "cluster")
        return Metric(name, labels, family.unit, family.type == "counter")
    if (recorded := RECORDED.get(name)) is not None:
        return Metric(name, recorded.labels, recorded_seconds=recorded.seconds)
    return None


def metric_names() -> Iterator[str]:
    """All that a rule may be about."""
    yield from BY_NAME
    yield from RECORDED
