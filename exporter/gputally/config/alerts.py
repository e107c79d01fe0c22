"""The block `alerts`: thresholds that differ from the defaults, and rules of one's own.

alerts:
  thresholds: {GpuIdleAllocated: 0.02, GpuCostPerDay: 500}
  rules:
    - name: BigCardNearlyFull
      metric: gpu_memory_used_bytes
      where: {gpu: 0}
      comparison: above
      threshold: 75000000000
      for: 10m
      severity: warning
      receiver: mail
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gputally.alerts.shipped import SHIPPED
from gputally.alerts.thresholds import DEFAULTS, THRESHOLDS
from gputally.alerts.userrules import (
    COMPARISONS,
    RECEIVERS,
    SEVERITIES,
    Metric,
    UserRule,
    metric,
    metric_names,
)
from gputally.config.durations import format_ns
from gputally.config.strict import Section, Value
from gputally.config.yamltree import quote

PER_MIN_NS = 60_000_000_000  # four scrapes
PER_MAX_NS = 86_400_000_000_000
FOR_MAX_NS = 7 * PER_MAX_NS
LONGEST_NAME = 64
LONGEST_SUMMARY = 200
KEYS = (
    *("name", "metric", "per", "where", "comparison", "threshold"),
    *("for", "severity", "receiver", "summary"),
)
_CAMEL_CASE = re.compile(r"[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Alerts:
    """What the file says of alerts."""

    thresholds: Mapping[str, float] = field(default_factory=lambda: DEFAULTS)  # of every alert that has one
    rules: tuple[UserRule, ...] = ()


def read_alerts(root: Section) -> Alerts:
    """Read the block. Raises ConfigError with file, line and key."""
    alerts = root.mapping("alerts")
    thresholds = _thresholds(alerts.mapping("thresholds"))
    rules: dict[str, UserRule] = {}
    for value in alerts.list("rules"):
        section = value.mapping()
        rule = _rule(section)
        if rule.name in rules:
            raise section.error("name", f"{rule.name} is there twice")
        rules[rule.name] = rule
    return Alerts(thresholds, tuple(rules.values()))


def _thresholds(section: Section) -> dict[str, float]:
    return {
        row.alert: section.number(row.alert, row.default, minimum=row.minimum, maximum=row.maximum)
        for row in THRESHOLDS.values()
    }


def _rule(section: Section) -> UserRule:
    for key in KEYS:
        section.get(key)
    section.finish()  # a key that is misspelt is not called missing
    name, about = _name(section), _metric(section)
    return UserRule(
        name=name,
        metric=about,
        per=_per(section, about),
        where=_where(section, about),
        comparison=section.choice("comparison", COMPARISONS),
        threshold=section.decimal("threshold"),
        hold=format_ns(section.duration_ns("for", maximum=FOR_MAX_NS)),
        severity=section.choice("severity", SEVERITIES),
        receiver=section.choice("receiver", RECEIVERS, None),
        summary=_summary(section.get("summary")),
    )


def _name(section: Section) -> str:
    name = section.string("name")
    if not _CAMEL_CASE.fullmatch(name) or len(name) > LONGEST_NAME:
        raise section.error(
            "name",
            f"expected a name in CamelCase of at most {LONGEST_NAME} letters and digits, such as "
            "BigCardNearlyFull",
        )
    if name in SHIPPED or name in THRESHOLDS:
        raise section.error("name", f"{name} comes with gputally: choose another name")
    return name


def _metric(section: Section) -> Metric:
    name = section.string("metric")
    found = metric(name)
    if found is None:
        import difflib  # noqa: PLC0415 - a quarter of a MiB for who makes no mistake

        near = difflib.get_close_matches(name, list(metric_names()), n=1)
        hint = f"did you mean {near[0]}?" if near else "docs/metrics.md and docs/rules.md list them"
        raise section.error("metric", f"there is no metric {quote(name)}, {hint}")
    if found.is_instant:
        raise section.error("metric", f"{name} is a point in time: no threshold is right for long")
    return found


def _per(section: Section, about: Metric) -> str | None:
    per_ns = section.duration_ns("per", None, minimum=PER_MIN_NS, maximum=PER_MAX_NS)
    if about.is_counter and per_ns is None:
        raise section.value.error(
            f"missing key per: {about.name} is a counter: its gain is compared, such as per: 5m"
        )
    if per_ns is not None and not about.is_counter:
        raise section.error("per", f"{about.name} is no counter: leave per out")
    return format_ns(per_ns) if per_ns is not None else None


def _where(section: Section, about: Metric) -> tuple[tuple[str, str], ...]:
    where = section.mapping("where")
    for label in about.labels:
        where.get(label)  # known: `finish` complains about all others
    where.finish()
    return tuple((label, value.string("the value of a label")) for label, value in where.items())


def _summary(value: Value | None) -> str | None:
    if value is None:
        return None
    text = value.string("a sentence")
    if not text.isprintable() or len(text) > LONGEST_SUMMARY or "{{" in text:
        raise value.error(f"expected one line of at most {LONGEST_SUMMARY} characters, without {{{{")
    return text
