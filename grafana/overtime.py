"""An amount hour by hour and day by day, by whom: the ten who have most of the time range, and the others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from grafana.ledger import FEW, most, named, per_day, per_hour
from grafana.panels import Look, timeseries
from grafana.queries import Json, series

from gputally.report.questions import Measure

MEAN = "the mean of its hours where a bar stands for several"
WHOLE_DAYS = (
    "Whole days by the clock of whoever looks, up to an hour late; the day that goes on is not among them."
)
MANY = "user"  # by this label there are hundreds
# No colour of the palette is left for these, and they are nobody's in particular.
GREYS = {"nobody's": "text", "others": "#7d8590"}
_AT_END = "@ end()"
_BARS = Look("none", minimum=0, stacked=True, hourly=True, colors=GREYS)
_OTHERS = f"More than {FEW}: those with most of the time range, and the others together."


@dataclass(frozen=True)
class Split:
    """What is drawn: an amount by a label, and beside it what is nobody's."""

    measure: Measure
    label: str
    unit: str
    nobodys: Measure | None = None


def hourly(title: str, description: str, split: Split) -> Json:
    """One bar an hour."""
    return _bars(title, f"{description} {_OTHERS}", _queries(split, daily=False), split)


def daily(title: str, description: str, split: Split) -> Json:
    """One bar a day. Tiles know no midnight of the site's: for that there are the bars of calendar days."""
    body = _bars(title, f"{description} {_OTHERS} {WHOLE_DAYS}", _queries(split, daily=True), split)
    return body | {"interval": "1d"}


def _bars(title: str, description: str, targets: Sequence[Json], split: Split) -> Json:
    legends = {target["legendFormat"] for target in targets}
    colors = {legend: color for legend, color in _BARS.colors.items() if legend in legends}
    return timeseries(title, description, targets, replace(_BARS, unit=split.unit, colors=colors))


def _queries(split: Split, *, daily: bool) -> list[Json]:
    found = _of_many(split, daily=daily) if split.label == MANY else _of_few(split, daily=daily)
    nobodys = split.nobodys and series(_drawn(split.nobodys, daily=daily), "nobody's")
    return [*found, nobodys] if nobodys else found


def _of_few(split: Split, *, daily: bool) -> list[Json]:
    label = split.label
    amount = _drawn(split.measure, label, daily=daily)
    most_of_it = most(split.measure, label, _AT_END)
    # Nobody else is a zero and not an absence; of machines the cluster's tiles know as much of that.
    anything = replace(split.measure, rule=split.measure.rule.replace("instance:", "cluster:"))
    others = f"sum({amount} unless on ({label}) {most_of_it}) or 0 * sum({_drawn(anything, daily=daily)})"
    shown = named(f"{amount} and on ({label}) {most_of_it}", label)
    return [series(shown, f"{{{{{label}}}}}"), series(others, "others")]


def _of_many(split: Split, *, daily: bool) -> list[Json]:
    """Who has most is found once, by a variable of the page: to read everybody's tiles again takes long."""
    label = split.label
    # The end of an alternative: those without a name are never among the variable's.
    few = _drawn(split.measure, label, daily=daily, only=f'{label}=~"$top_{label}|"')
    whole = f"sum({_drawn(split.measure, daily=daily)})"
    # All of it on a day on which none of the few did anything.
    others = f"clamp_min({whole} - sum({few}) or {whole}, 0)"
    return [series(named(few, label), f"{{{{{label}}}}}"), series(others, "others")]


def _drawn(measure: Measure, *by: str, daily: bool, only: str = "") -> str:
    return (per_day if daily else per_hour)(measure, *by, only=only)
