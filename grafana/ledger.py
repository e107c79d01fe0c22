"""Amounts of the page's time range: what `gputally report` asks, of what the reader has chosen.

Hourly tiles, so that a month is as quick as a day: the latest whole hours, the last of which has ended within
the hour. Money is of the one currency that the page has chosen.
"""

from collections.abc import Iterable
from dataclasses import replace

from grafana.folded import folded
from grafana.panels import Look

from gputally.report import questions
from gputally.report.questions import NOBODY, Measure

RANGE = "$__range"
EMPTY = " "  # between braces: room for the page's variables
FEW = 10  # colours that can be told apart

COST = Measure("cost", "cluster:gpu_energy_cost:increase1h", "gpu_energy_cost_total", money=True)
KWH = Measure("kwh", "cluster:gpu_energy_kwh:increase1h", "gpu_energy_joules_total")
BUSY_HOURS = Measure("busy_hours", "cluster:gpu_busy_hours:increase1h", "gpu_busy_seconds_total")
GRAMS = Measure("grams", "cluster:gpu_emissions_grams:increase1h", "gpu_emissions_grams_total")
# A machine's, rather than its cards' by where they are now: they move, and machines are taken away.
NODE_COST = Measure("cost", "instance:gpu_energy_cost:increase1h", "gpu_energy_cost_total", money=True)
NODE_KWH = Measure("kwh", "instance:gpu_energy_kwh:increase1h", "gpu_energy_joules_total")
BANDS = Measure("kwh", "cluster:gpu_energy_by_tariff_kwh:increase1h", "gpu_energy_by_tariff_joules_total")
TEAM_GRAMS = Measure(
    "grams", "team_user_model:gpu_emissions_grams:increase1h", "gpu_team_emissions_grams_total"
)
NOBODY_COST, NOBODY_KWH = NOBODY["unused_cost"], NOBODY["unused_kwh"]
NO_ONE = "(nobody)"  # in the column of teams
UNNAMED = "(none)"  # jobs that name no model, users of no team

# In the first hour of a new Prometheus there is none yet.
_HOURLY = Look("none", sparkline=False, missing="no whole hour")
_RATIO = replace(_HOURLY, unit="percentunit", decimals=0, minimum=0, maximum=1)
MONEY = replace(_HOURLY, decimals=2)
PRICE = replace(_HOURLY, decimals=4)
ENERGY = replace(_HOURLY, unit="kwatth")
HOURS = replace(_HOURLY, decimals=1)
CARBON = replace(_HOURLY, unit="massg")
SHARE = replace(_RATIO, steps=((None, "blue"),))
PART = replace(_RATIO, steps=((None, "green"),))
WASTE = replace(_RATIO, steps=((None, "orange"),))


def total(measure: Measure, *by: str) -> str:
    """What the time range comes to, by labels."""
    return _tiles(measure, by, RANGE)


def _tiles(measure: Measure, by: Iterable[str], span: str, moved: str = "") -> str:
    return folded(measure, by, lambda tile, where: questions.tiles(tile, by, span, where, moved))


def before(measure: Measure, *by: str, span: str = RANGE) -> str:
    """What the same length of time before it came to: NaN unless it has about as many tiles as this one.

    Half a week would pass for a cheap one.
    """
    back = f"offset {span}"
    hours = f"max(count_over_time({KWH.rule}{{}}[{span}]"
    is_known = f"{hours} {back})) > 0.95 * {hours}))"
    then, lately = _tiles(measure, by, span, back), _tiles(measure, by, "2h")
    return f"{then} and on () ({is_known}) or NaN * {lately}"


def per_hour(measure: Measure, *by: str, only: str = "") -> str:
    """The same hour by hour, or as the mean of the hours where the screen is too narrow for each."""
    return _drawn(measure, by, "avg_over_time", only)


def per_day(measure: Measure, *by: str, only: str = "") -> str:
    """The same day by day, in a panel whose points are days."""
    return _drawn(measure, by, "sum_over_time", only)


def _drawn(measure: Measure, by: Iterable[str], over_time: str, only: str) -> str:
    labels = ", ".join(measure.labels(by))

    def ask(tile: Measure, where: str) -> str:
        matchers = ", ".join(part for part in (where.strip(), only) if part) or EMPTY
        return f"sum by ({labels}) ({over_time}({tile.rule}{{{matchers}}}[$__interval]))"

    return folded(measure, by, ask)


def most(measure: Measure, label: str, moved: str = "", few: int = FEW) -> str:
    """The few who have most of the range; over time the same few at every point, if moved to its end."""
    return f"topk({few}, {_tiles(measure, (label,), RANGE, moved)})"


def named(amount: str, label: str) -> str:
    """By a label that may be empty: legends have a word for that, too."""
    return f'label_replace({amount}, "{label}", "{UNNAMED}", "{label}", "")'


def with_nobody(amount: str, nobodys: str) -> str:
    """By team, and what is no team's as a row of its own: together they are the cluster's."""
    return f'{amount} or label_replace({nobodys}, "team", "{NO_ONE}", "", "")'
