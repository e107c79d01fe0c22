"""Days of the site's calendar: today, yesterday, the month, what the month will come to, and day by day.

The nodes count days by themselves, so these figures are of whole days to the second, unlike sums of tiles.
"""

from dataclasses import replace

from grafana.charts import Bars, bars
from grafana.ledger import ENERGY, MONEY, RANGE
from grafana.panels import Look, stat
from grafana.queries import Json, instant, rows
from grafana.transformations import sort_by
from grafana.unknown import told

_COST = "cluster:gpu_cost_day:sum{}"
_KWH = "cluster:gpu_energy_day_kwh:sum{}"
_TODAY = "sum(cluster:gpu_cost_today:sum{})"
_IS_TODAY = "on (cluster, day) site_day_info{}"
_MONTH = '"month", "$1", "day", "(.{7}).*"'
# The days that the site agent named from a week to a day ago: the seven before today, however long they were.
_WEEK = "on (cluster, day) max_over_time(site_day_info{}[6d:10m] offset 1d)"
_DAY_S = 86400
_AMOUNT = replace(MONEY, missing="no data")
_OTHER_SIZE = 34  # in pixels: today is larger than all others, however wide the screen


def month_to_date() -> str:
    """What the days of this month have cost, day by day."""
    days = f"label_replace(max_over_time({_COST}[31d]), {_MONTH})"
    return f"{days} and on (cluster, month) label_replace(site_day_info{{}}, {_MONTH})"


def forecast() -> str:
    """What the month will have cost: its days so far, and the mean of the last seven whole days for the rest.

    Today counts as such a mean, too, until it has cost more. Unknown before the first whole day.
    """
    mean = f"avg(sum by (day) (max_over_time({_COST}[8d]) and {_WEEK}))"
    past = f"(sum({month_to_date()} unless {_IS_TODAY}) or vector(0))"
    days = _days_after_today()
    # The greater of: today and the days after it, those days and one more: one mean, asked for once.
    whole = _of("today", days) + " or " + _of("mean", f"{days} + 1")
    today = _of("today", _TODAY) + " or " + _of("mean", "vector(0)")
    return f"{past} + max({mean} * on () group_right () ({whole}) + on (of) ({today}))"


def _of(name: str, amount: str) -> str:
    return f'label_replace({amount}, "of", "{name}", "", "")'


def _days_after_today() -> str:
    """Of this month. Only the site knows its date, as text; by UTC it is the same day or the next to it."""
    day = 'label_replace(site_day_info{}, "number", "$1", "day", ".*-0?(.+)")'
    found = []
    for moved_s in (0, _DAY_S, -_DAY_S):
        moment = f"vector(time() + {moved_s})"
        number = f"day_of_month({moment})"
        left = f'(days_in_month({moment}) - {number}) * on () group_right () count_values("number", {number})'
        found.append(f"{day} * on (number) group_left () ({left})")
    return f"max({' or '.join(found)})"


def today() -> Json:
    """The large number."""
    return stat(
        "Today ($currency)",
        "What today has cost so far, by the site's calendar, whatever the time range.",
        instant(_TODAY, "today"),
        replace(_AMOUNT, steps=((None, "green"),)),
    )


def month() -> list[Json]:
    """This month: so far, and what it will come to."""
    return [
        smaller(
            stat(
                "This month ($currency)",
                "What this month has cost so far: its days together, as far back as Prometheus keeps them.",
                instant(f"sum({month_to_date()})", "month"),
                _AMOUNT,
            )
        ),
        smaller(
            told(
                stat(
                    "Forecast ($currency)",
                    "What this month will have cost: its days so far, and for today and each day that is "
                    "left the mean of the last seven whole days (of fewer, if Prometheus has seen fewer). "
                    "Days of the month from before Prometheus are not in it.",
                    instant(f"{forecast()} or NaN * {_TODAY}", "month"),
                    replace(_AMOUNT, missing="no whole day yet"),
                )
            )
        ),
    ]


def yesterday() -> Json:
    """The agents show two days: that which is not today is yesterday."""
    published = "count by (cluster, day) (gpu_cost_day{})"
    amount = f"{_COST} and on (cluster, day) ({published} unless {_IS_TODAY})"
    return told(
        stat(
            "Yesterday ($currency)",
            "What yesterday cost.",
            instant(f"sum({amount}) or NaN * {_TODAY}", "yesterday"),
            replace(_AMOUNT, missing="not seen"),
        )
    )


def smaller(body: Json) -> Json:
    """A tile beside the large number."""
    return body | {"options": body["options"] | {"text": {"valueSize": _OTHER_SIZE}}}


def cost_by_day() -> Json:
    """What each day cost."""
    return _by_day(
        "Cost by calendar day ($currency)",
        "What each day cost",
        _COST,
        "Cost",
        Look(MONEY.unit, ((None, "green"),), decimals=2, minimum=0),
    )


def energy_by_day() -> Json:
    """What each day used."""
    return _by_day(
        "Energy by calendar day",
        "What all GPUs used on each day, without PUE",
        _KWH,
        "Energy",
        Look(ENERGY.unit, ((None, "yellow"),), minimum=0),
    )


def _by_day(title: str, about: str, of_day: str, name: str, look: Look) -> Json:
    days = f"sum by (day) (max_over_time({of_day}[{RANGE}]))"
    return bars(
        title,
        f"{about}, by the site's calendar: the days of the time range and, because agents show two, the one "
        "before or two. Today is still growing.",
        [rows(f'label_replace({days}, "short", "$1", "day", "....-(.*)")')],
        look,
        Bars({"short": "Day", "Value": name}, without=["day"], steps=[sort_by("day")]),
    )
