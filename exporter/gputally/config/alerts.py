"""The block `alerts`: thresholds that differ from the defaults, and rules of one's own.

alerts:
  thresholds: {GpuIdleAllocated: 0.02, GpuCostPerDay: 500}
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gputally.alerts.thresholds import DEFAULTS, THRESHOLDS
from gputally.config.strict import Section


@dataclass(frozen=True, slots=True)
class Alerts:
    """What the file says of alerts."""

    thresholds: Mapping[str, float] = field(default_factory=lambda: DEFAULTS)  # of every alert that has one


def read_alerts(root: Section) -> Alerts:
    """Read the block. Raises ConfigError with file, line and key."""
    alerts = root.mapping("alerts")
    return Alerts(_thresholds(alerts.mapping("thresholds")))


def _thresholds(section: Section) -> dict[str, float]:
    return {
        row.alert: section.number(row.alert, row.default, minimum=row.minimum, maximum=row.maximum)
        for row in THRESHOLDS.values()
    }
