"""This time and the time before: only where Prometheus has as much of the one as of the other."""

from dataclasses import replace

from grafana.ledger import COST, EMPTY, MONEY, before, per_hour, total
from grafana.overrides import of_query, overridden
from grafana.overtime import MEAN
from grafana.panels import Look, stat, timeseries
from grafana.queries import Json, instant, series
from grafana.tables import Column
from grafana.unknown import BLANK, told

from gputally.report import questions
from gputally.report.questions import Measure

_WEEK = "7d"
_PART = Look("percentunit", decimals=0, minimum=0, maximum=1, sparkline=False)
OF_BEFORE = "Blank where Prometheus does not have all of the time before: it keeps 30 days."


def week() -> Json:
    """Has it become dearer?"""
    now = questions.tiles(COST, (), _WEEK, EMPTY)
    return told(
        stat(
            "Week on week",
            "What the seven days up to the end of the time range cost, in parts of what the seven before "
            "them cost: 120 % is a fifth more. Nothing before Prometheus has two weeks.",
            instant(f"{now} / ({before(COST, span=_WEEK)})", "of the week before"),
            replace(_PART, missing="2 weeks needed"),
        )
    )


def week_over_time() -> Json:
    """When was it dearer?"""
    now = per_hour(COST)
    earlier = now.replace("[$__interval]", f"[$__interval] offset {_WEEK}")
    line: Json = {
        "color": {"fixedColor": "orange", "mode": "fixed"},
        "custom.drawStyle": "line",
        "custom.fillOpacity": 0,
        "custom.lineWidth": 2,
    }
    body = timeseries(
        "Cost per hour, and a week before ($currency)",
        f"Bars: what an hour of the last seven days cost, {MEAN}. Line: the same hour of the week before; "
        "none where Prometheus is younger.",
        [series(now, "this week"), series(f"{earlier} or NaN * {now}", "a week before")],
        Look(MONEY.unit, minimum=0, hourly=True, colors={"this week": "green"}),
    )
    return overridden(body, [of_query("B", line)]) | {"timeFrom": _WEEK}


def range_before(measure: Measure = COST) -> Json:
    """The page's range against as long a time before it."""
    return told(
        stat(
            "Of the time before",
            "What the time range cost, of what the same length of time before it cost: 120 % is a fifth "
            f"more. {OF_BEFORE}",
            instant(f"{total(measure)} / ({before(measure)})", "of the time before"),
            replace(_PART, missing="not known"),
        )
    )


def columns(earlier: str) -> list[Column]:
    """Next to a column of the cost: what it was before, as `before` asks it."""
    return [
        Column("Before", expr=earlier, look=MONEY, width=90, mappings=(BLANK,)),
        Column("Of before", made_of=("Cost", "/", "Before"), look=Look("percentunit", decimals=0), width=85),
    ]
