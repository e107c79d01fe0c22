"""Rules of one's own as a file for Prometheus. The same rules are always the same bytes."""

from collections.abc import Iterable

import yaml

from gputally.alerts.userrules import Metric, UserRule

GROUP = "gputally_user.alerts"
RUNBOOK = "docs/thresholds.md#rules-of-ones-own"
_HEAD = """\
# Written by `gputally alerts render` from alerts.rules of the configuration; do not edit, render it anew.
# Prometheus reads it at its next reload.

"""
# How a value is shown, by the unit of its family. `humanize` is for units that people use with prefixes.
_SHOWN = {
    "ratio": "{{ $value | humanizePercentage }}",
    "bytes": "{{ $value | humanize1024 }}B",
    "celsius": '{{ $value | printf "%.3g" }} °C',
    "watts": "{{ $value | humanize }}W",
    "joules": "{{ $value | humanize }}J",
    "hertz": "{{ $value | humanize }}Hz",
    "grams": "{{ $value | humanize }}g",
    "seconds": "{{ $value | humanizeDuration }}",
    "": '{{ $value | printf "%.6g" }}',
}
_GPU = ("gpu", "uuid")


def render(rules: Iterable[UserRule]) -> str:
    """Write the file, in the order of the rules."""
    groups = [{"name": GROUP, "rules": [_alert(rule) for rule in rules]}]
    return _HEAD + yaml.safe_dump({"groups": groups}, sort_keys=False, allow_unicode=True, width=10_000)


def _alert(rule: UserRule) -> dict[str, object]:
    labels = {"severity": rule.severity}
    if rule.receiver is not None:
        labels["receiver"] = rule.receiver
    return {
        "alert": rule.name,
        "expr": rule.expression,
        "for": rule.hold,
        "labels": labels,
        "annotations": {
            "summary": rule.summary or f"{_subject(rule)} is {_beyond(rule)}.",
            "description": _description(rule),
            "runbook_url": RUNBOOK,
        },
    }


def _subject(rule: UserRule) -> str:
    return f"{rule.metric.name} per {rule.per}" if rule.per is not None else rule.metric.name


def _beyond(rule: UserRule) -> str:
    return f"{rule.comparison} {rule.threshold:f}"


def _description(rule: UserRule) -> str:
    """What is where, how much it is, and what to look at; by the labels that the series has."""
    value = _SHOWN[rule.metric.unit]
    if "currency" in rule.metric.labels:
        value += " {{ $labels.currency }}"
    hold = f" for {rule.hold}" if rule.hold != "0s" else ""
    return (
        f"{_subject(rule)}{_whose(rule.metric)} is {value}, {_beyond(rule)}{hold}. "
        f"First look: this series over the last hours, and the rule {rule.name} in the configuration."
    )


def _whose(metric: Metric) -> str:
    parts = []
    if "gpu" in metric.labels:
        parts.append("GPU {{ $labels.gpu }} ({{ $labels.uuid }})")
    elif "uuid" in metric.labels:
        parts.append("GPU {{ $labels.uuid }}")
    others = (label for label in metric.labels if label not in (*_GPU, "currency", "instance", "cluster"))
    parts += [f"{label} {{{{ $labels.{label} }}}}" for label in others]
    text = f" of {', '.join(parts)}" if parts else ""
    if "instance" in metric.labels:
        text += " on {{ $labels.instance }}"
    return f"{text}{{{{ with $labels.cluster }}}} in cluster {{{{ . }}}}{{{{ end }}}}"
