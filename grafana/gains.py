"""What counters have gained, asked so that a month of a thousand GPUs is as quick as an hour.

increase() reads every scrape of its range. Here only the ends of each step are read and subtracted: our
counters never step back, and one that has begun anew counts as nothing for one step.
"""

from collections.abc import Sequence

from grafana.panels import Look, timeseries
from grafana.queries import Json

STEP_SECONDS = "($__interval_ms / 1000)"
_CLOSEST = "30s"  # two scrapes: below it a step would hold none, or one
# Each point compares every GPU with itself a step before; as wide as a wall, a graph would ask for 1,000.
_POINTS, _BARS = 240, 120
_FEW = 4  # up to which an axis of whole numbers goes at least


def gained(counter: str, by: str = "") -> str:
    """What came in each step of a graph; `counter` with its braces, as in `x_total{}`."""
    return _sum(by, _between(counter, "$__interval"))


def per_second(counter: str, by: str = "") -> str:
    """The same by the second."""
    return f"{gained(counter, by)} / {STEP_SECONDS}"


def in_range(counter: str, by: str = "") -> str:
    """What came in the time range; where the series is younger than the range, what came in its last hour."""
    return _sum(by, f"{_between(counter, '$__range')} or increase({counter}[1h])")


def _between(counter: str, span: str) -> str:
    return f"clamp_min(last_over_time({counter}[5m]) - last_over_time({counter}[5m] offset {span}), 0)"


def _sum(by: str, expression: str) -> str:
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"


def at_least(body: Json, high: float, low: float | None = None) -> Json:
    """The graph with an axis that spans this much: one where nothing goes wrong does not reach up to 100."""
    custom = body["fieldConfig"]["defaults"]["custom"]
    custom["axisSoftMax"] = high
    if low is not None:
        custom["axisSoftMin"] = low
    return body


def counts(title: str, description: str, targets: Sequence[Json], look: Look) -> Json:
    """Lines of how many there are."""
    return at_least(timeseries(title, description, targets, look), _FEW)


def lines(title: str, description: str, targets: Sequence[Json], look: Look) -> Json:
    """Lines of what was gained by the second."""
    return timeseries(title, description, targets, look) | {"interval": _CLOSEST, "maxDataPoints": _POINTS}


def bars(title: str, description: str, targets: Sequence[Json], look: Look) -> Json:
    """What came, as bars that stand on each other; each is about the time before it."""
    body = timeseries(title, description, targets, look)
    custom = body["fieldConfig"]["defaults"]["custom"]
    custom |= {"barAlignment": -1, "drawStyle": "bars", "fillOpacity": 70}
    custom["stacking"] = {"group": "A", "mode": "normal"}
    return at_least(body, _FEW) | {"interval": _CLOSEST, "maxDataPoints": _BARS}
