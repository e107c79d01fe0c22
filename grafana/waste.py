"""What was paid for and not used: GPUs that a job held idle, and GPUs that nobody held."""

from grafana.charts import made_of
from grafana.ledger import (
    COST,
    ENERGY,
    HOURS,
    MONEY,
    NOBODY_COST,
    NOBODY_KWH,
    WASTE,
    per_hour,
    total,
)
from grafana.panels import Look, stat, timeseries
from grafana.queries import Json, instant, series
from grafana.spenders import busy
from grafana.tables import Column, joined, link, table, words
from grafana.transformations import computed, hidden

from gputally.report.questions import NOT_HELD, TEAM

REASONS = {
    "idle": "No job held the GPU",
    "no_process": "Above the baseline with no process there",
    "no_activity": "Several jobs there, none seen computing",
    "unresolved": "A process of which nobody knows the job",
    "no_process_data": "The driver lists no processes",
    "unused_slices": "MIG slices that nobody used",
    "exporter_down": "The agent was not running",
    "gap": "The GPU gave no readings",
}


def tiles() -> list[Json]:
    """How much."""
    wasted = f"{total(TEAM['unused_cost'])} + {total(NOBODY_COST)}"
    return [
        stat(
            "Spent on nothing",
            "The share of the cost of all GPUs that was unused by jobs or was nobody's.",
            instant(f"({wasted}) / ({total(COST)} > 0)", "share"),
            WASTE,
        ),
        stat(
            "Held, unused ($currency)",
            "Spent while a job held a GPU and nothing of it ran, of the chosen teams, users and models.",
            instant(total(TEAM["unused_cost"]), "unused"),
            MONEY,
        ),
        stat(
            "Nobody's ($currency)",
            "Spent on GPUs that no job held, and what could not be given to a job, of the whole cluster.",
            instant(total(NOBODY_COST), "nobody's"),
            MONEY,
        ),
        made_of(
            "Held, unused GPU hours",
            "Hours for which jobs held a GPU, less those in which they used it.",
            (instant(total(TEAM["gpu_hours"]), "held"), "-", instant(total(TEAM["busy_hours"]), "busy")),
            HOURS,
        ),
        stat(
            "Nobody's GPU hours",
            "Hours for which no job held a GPU.",
            instant(total(NOT_HELD), "hours"),
            HOURS,
        ),
    ]


def over_time() -> Json:
    """Used, held and unused, nobody's."""
    chart = timeseries(
        "Where the money goes, per hour ($currency)",
        "Used: computing. Held, unused: a job had the GPU and nothing of it ran. Nobody's: no job had it. "
        "The mean of the hours where a bar stands for several.",
        [
            series(per_hour(TEAM["cost"]), "held"),
            series(per_hour(TEAM["unused_cost"]), "held, unused"),
            series(per_hour(NOBODY_COST), "nobody's"),
        ],
        Look(
            MONEY.unit,
            minimum=0,
            stacked=True,
            hourly=True,
            colors={"used": "green", "held, unused": "orange", "nobody's": "text"},
        ),
    )
    return chart | {"transformations": [computed("used", "held", "-", "held, unused"), hidden("held")]}


def unused() -> Json:
    """Who held GPUs and did not use them."""
    by = ("team", "user")
    columns = [
        *joined("currency"),
        Column("User", name="user", width=80, link=link("gputally-jobs", "Their jobs", user="")),
        Column("Team", name="team", width=80, link=link("gputally-jobs", "Their jobs", team="")),
        Column("Unused cost", expr=total(TEAM["unused_cost"], *by), look=MONEY, width=110),
        Column("Cost", expr=total(TEAM["cost"], *by), hidden=True),
        Column("Unused of cost", made_of=("Unused cost", "/", "Cost"), look=WASTE, cell="basic"),
        Column("GPU hours", expr=total(TEAM["gpu_hours"], *by), hidden=True),
        Column("Unused hours", made_of=("GPU hours", "-", "Busy hours"), look=HOURS, width=115),
        Column("Unused energy", expr=total(TEAM["unused_kwh"], *by), look=ENERGY, width=120),
        *busy(*by),
    ]
    return table(
        "Held and unused ($currency)",
        "GPUs that somebody's jobs held while nothing of them ran: notebooks left open, waits for data, jobs "
        "that hang.",
        columns,
        sort=("Unused cost",),
        descending=True,
    )


def nobodys() -> Json:
    """What no job pays for, and why."""
    meaning = words({reason: (text, "text") for reason, text in REASONS.items()})
    columns = [
        *joined("currency"),
        Column("Reason", name="reason", mappings=(meaning,)),
        Column("Cost", expr=total(NOBODY_COST, "reason"), look=MONEY, width=100),
        Column("Energy", expr=total(NOBODY_KWH, "reason"), look=ENERGY, width=120),
    ]
    return table(
        "Nobody's, by reason ($currency)",
        "What could be given to no job, of the whole cluster. With what the jobs cost it is the GPUs' cost.",
        columns,
        sort=("Cost",),
        descending=True,
    )
