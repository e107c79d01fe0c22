"""Amounts of the page's time range: what `gputally report` asks, of what the reader has chosen.

Hourly tiles, so that a month is as quick as a day: the latest whole hours, the last of which has ended within
the hour. Money is of the one currency that the page has chosen.
"""

from dataclasses import replace

from grafana.panels import Look

from gputally.report import questions
from gputally.report.questions import NOBODY, Measure

RANGE = "$__range"
EMPTY = " "  # between braces: room for the page's variables

COST = Measure("cost", "cluster:gpu_energy_cost:increase1h", "gpu_energy_cost_total", money=True)
KWH = Measure("kwh", "cluster:gpu_energy_kwh:increase1h", "gpu_energy_joules_total")
BUSY_HOURS = Measure("busy_hours", "cluster:gpu_busy_hours:increase1h", "gpu_busy_seconds_total")
GRAMS = Measure("grams", "cluster:gpu_emissions_grams:increase1h", "gpu_emissions_grams_total")
BANDS = Measure("kwh", "cluster:gpu_energy_by_tariff_kwh:increase1h", "gpu_energy_by_tariff_joules_total")
TEAM_GRAMS = Measure(
    "grams", "team_user_model:gpu_emissions_grams:increase1h", "gpu_team_emissions_grams_total"
)
NOBODY_COST, NOBODY_KWH = NOBODY["unused_cost"], NOBODY["unused_kwh"]
NO_ONE = "(nobody)"  # in the column of teams

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
    return questions.tiles(measure, by, RANGE, EMPTY)


def per_hour(measure: Measure, *by: str) -> str:
    """The same hour by hour, or as the mean of the hours where the screen is too narrow for each."""
    labels = ", ".join(measure.labels(by))
    return f"sum by ({labels}) (avg_over_time({measure.rule}{{}}[$__interval]))"


def with_nobody(amount: str, nobodys: str) -> str:
    """By team, and what is no team's as a row of its own: together they are the cluster's."""
    return f'{amount} or label_replace({nobodys}, "team", "{NO_ONE}", "", "")'
