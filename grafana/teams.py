"""The page for whoever leads: what do teams and AI models spend, hold and use, and how does that change?"""

from dataclasses import replace

from grafana import budgettables, overtime, shares, spenders
from grafana.charts import made_of
from grafana.compared import OF_BEFORE, columns, range_before
from grafana.jobcounts import jobs_by, jobs_tile
from grafana.ledger import (
    CARBON,
    COST,
    ENERGY,
    HOURS,
    MONEY,
    NO_ONE,
    NOBODY_COST,
    NOBODY_KWH,
    PART,
    SHARE,
    TEAM_GRAMS,
    UNNAMED,
    WASTE,
    before,
    total,
    with_nobody,
)
from grafana.load import held_and_used, utilisation_by_team
from grafana.overtime import Split
from grafana.page import Line, Opening, page
from grafana.panels import row, stat
from grafana.queries import Json, instant
from grafana.spenders import TILES
from grafana.tables import Column, joined, link, table
from grafana.variables import currency, people, span, top_users

from gputally.report.questions import NOT_HELD, TEAM

UID = "gputally-teams"
_WIDE = 95


def teams_board() -> Json:
    """Teams, models and users of all clusters that the variables select."""
    lines: list[Line] = [
        (4, [(6, tile) for tile in _tiles()[:4]]),
        (3, [(8, tile) for tile in _tiles()[4:]]),
        (1, [(24, row("Teams"))]),
        (9, [(24, _teams())]),
        (8, [(8, ring) for ring in _rings("team")]),
        (6, [(24, budgettables.in_short())]),
        (1, [(24, row("AI models"))]),
        (9, [(24, _models())]),
        (8, [(8, ring) for ring in _rings("model")]),
        (1, [(24, row("Users"))]),
        (9, [(24, _users())]),
        (1, [(24, row("Hour by hour"))]),
        (8, [(12, held_and_used()), (12, utilisation_by_team())]),
        (8, [(12, chart) for chart in _by_hour()]),
        (1, [(24, row("Day by day"))]),
        (9, [(8, chart) for chart in _cost_by_day()]),
        (8, [(12, chart) for chart in _more_by_day()]),
        (1, [(24, row("Jobs"))]),
        (9, [(12, jobs_by("team", "team")), (12, jobs_by("model", "AI model"))]),
    ]
    about = "What teams, AI models and users spend, hold and use, and how that changes."
    opening = Opening("now-7d", refresh="5m", choices=[currency(), *people(), top_users(), span()])
    return page(UID, "Teams and models", about, lines, opening=opening)


def _tiles() -> list[Json]:
    held, used = (instant(total(TEAM[name]), name) for name in ("gpu_hours", "busy_hours"))
    return [
        stat(
            "Cost of jobs ($currency)",
            f"What the jobs of the chosen teams, users and models cost in the time range. {TILES}",
            instant(total(TEAM["cost"]), "cost"),
            replace(MONEY, steps=((None, "green"),)),
        ),
        range_before(TEAM["cost"]),
        stat(
            "Unused ($currency)",
            "What was spent while these jobs held a GPU and nothing of them ran.",
            instant(total(TEAM["unused_cost"]), "unused"),
            replace(MONEY, steps=((None, "orange"),)),
        ),
        made_of(
            "Used of held",
            "The part of the GPU hours that jobs held in which they computed.",
            (used, "/", held),
            SHARE,
        ),
        stat("Energy", "What these jobs used; without PUE.", instant(total(TEAM["kwh"]), "energy"), ENERGY),
        stat("GPU hours held", "Hours for which these jobs held a GPU, computing or not.", held, HOURS),
        jobs_tile(),
    ]


def _teams() -> Json:
    cost = with_nobody(total(TEAM["cost"], "team"), total(NOBODY_COST))
    energy = with_nobody(total(TEAM["kwh"], "team"), total(NOBODY_KWH))
    held = with_nobody(total(TEAM["gpu_hours"], "team"), total(NOT_HELD))
    share = f"({cost}) / on (currency) group_left () ({total(COST)} > 0)"
    unused = with_nobody(total(TEAM["unused_cost"], "team"), total(NOBODY_COST))
    earlier = with_nobody(before(TEAM["cost"], "team"), f"({before(NOBODY_COST)})")
    own = [Column("Team", name="team", width=130, link=_jobs_of("team"), mappings=(spenders.NO_MODEL,))]
    return _ranking(
        "What each team spent ($currency)",
        f"All teams, and {NO_ONE}: GPUs that no job held, and what could not be given to one; with it the "
        f"costs add up to those of all GPUs. Before: the same length of time before. {OF_BEFORE} {TILES}",
        [*own, *_amounts(cost, share, energy, held), *_more(unused, earlier, "team")],
    )


def _models() -> Json:
    own = [Column("AI model", name="model", width=130, link=_jobs_of("model"), mappings=(spenders.NO_MODEL,))]
    return _ranking(
        "What each AI model took ($currency)",
        f"By what was computed, whoever ran it; {UNNAMED}: jobs that name no model. Of all cost: of that of "
        f"all jobs. {OF_BEFORE} {TILES}",
        [*own, *_of_jobs("model")],
    )


def _users() -> Json:
    by = ("team", "user")
    own = [
        Column("Team", name="team", width=130, link=_cost_of("team"), mappings=(spenders.NO_MODEL,)),
        Column("User", name="user", width=130, link=_jobs_of("user"), mappings=(spenders.NO_MODEL,)),
    ]
    return _ranking(
        "What each user spent ($currency)",
        f"By team and user. Of all cost: of all jobs' cost. {OF_BEFORE} {TILES}",
        [*own, *_of_jobs(*by)],
    )


def _ranking(title: str, description: str, shown: list[Column]) -> Json:
    shown = [*joined("currency"), *shown]
    return table(title, description, shown, sort=("Cost",), descending=True)


def _of_jobs(*by: str) -> list[Column]:
    cost = total(TEAM["cost"], *by)
    share = f"{cost} / on (currency) group_left () ({total(TEAM['cost'])} > 0)"
    return [
        *_amounts(cost, share, total(TEAM["kwh"], *by), total(TEAM["gpu_hours"], *by)),
        *_more(total(TEAM["unused_cost"], *by), before(TEAM["cost"], *by), *by),
    ]


def _amounts(cost: str, share: str, energy: str, held: str) -> list[Column]:
    return [
        Column("Cost", expr=cost, look=MONEY, width=_WIDE),
        Column("Of all cost", expr=share, look=PART, cell="basic"),
        Column("Energy", expr=energy, look=ENERGY, width=_WIDE),
        Column("GPU hours", expr=held, look=HOURS, width=_WIDE),
    ]


def _more(unused: str, earlier: str, *by: str) -> list[Column]:
    return [
        *spenders.busy(*by),
        Column("Unused cost", expr=unused, look=MONEY, width=_WIDE),
        Column("Unused of cost", made_of=("Unused cost", "/", "Cost"), look=WASTE, cell="basic"),
        *columns(earlier),
        Column("CO₂", expr=total(TEAM_GRAMS, *by), look=CARBON, width=_WIDE),
    ]


def _jobs_of(label: str) -> Json:
    return link("gputally-jobs", "Their jobs", **{label: ""})


def _cost_of(label: str) -> Json:
    return link("gputally-cost", "What they cost", **{label: ""})


def _rings(label: str) -> list[Json]:
    whose = {"team": "team's", "model": "AI model's"}[label]
    name = {"team": "team", "model": "AI model"}[label]
    nobodys = (NOBODY_COST, NOBODY_KWH, NOT_HELD) if label == "team" else (None, None, None)
    what = (("Cost", "cost", " ($currency)"), ("Energy", "kwh", ""), ("GPU hours", "gpu_hours", ""))
    return [
        shares.ring(
            f"{title} by {name}{unit}",
            f"Each {whose} share of the time range.",
            TEAM[measure],
            label,
            nobody,
        )
        for (title, measure, unit), nobody in zip(what, nobodys, strict=True)
    ]


def _by_hour() -> list[Json]:
    about = f"What an hour costs, divided among the {{}}; {overtime.MEAN}."
    return [
        overtime.hourly(
            "Cost per hour by team ($currency)",
            about.format("teams"),
            Split(TEAM["cost"], "team", MONEY.unit, NOBODY_COST),
        ),
        overtime.hourly(
            "Cost per hour by AI model ($currency)",
            about.format("models"),
            Split(TEAM["cost"], "model", MONEY.unit),
        ),
    ]


def _cost_by_day() -> list[Json]:
    names = (("team", "team"), ("AI model", "model"), ("user", "user"))
    return [
        overtime.daily(
            f"Cost per day by {name} ($currency)",
            f"What each {name} cost in a day.",
            Split(TEAM["cost"], label, MONEY.unit),
        )
        for name, label in names
    ]


def _more_by_day() -> list[Json]:
    return [
        overtime.daily(
            "Energy per day by team",
            "What each team's jobs used in a day.",
            Split(TEAM["kwh"], "team", ENERGY.unit, NOBODY_KWH),
        ),
        overtime.daily(
            "Unused cost per day by team ($currency)",
            "What each team spent in a day while its jobs held GPUs and nothing of them ran.",
            Split(TEAM["unused_cost"], "team", MONEY.unit),
        ),
    ]
