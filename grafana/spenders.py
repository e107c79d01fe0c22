"""Who spent it: teams, users and models over the page's time range."""

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
    PRICE,
    SHARE,
    TEAM_GRAMS,
    UNNAMED,
    WASTE,
    total,
    with_nobody,
)
from grafana.queries import Json
from grafana.tables import Column, joined, link, table

from gputally.report.questions import NOT_HELD, TEAM

TILES = "Whole hours, the last of which has ended within the hour."
_PER_BUSY_HOUR = Column("Per busy hour", made_of=("Cost", "/", "Busy hours"), look=PRICE, width=115)
NO_MODEL: Json = {
    "options": {"match": "empty", "result": {"index": 0, "text": UNNAMED}},
    "type": "special",
}


def teams() -> Json:
    """Every team and, as one more row, what is nobody's."""
    cost = with_nobody(total(TEAM["cost"], "team"), total(NOBODY_COST))
    energy = with_nobody(total(TEAM["kwh"], "team"), total(NOBODY_KWH))
    held = with_nobody(total(TEAM["gpu_hours"], "team"), total(NOT_HELD))
    unused = with_nobody(total(TEAM["unused_cost"], "team"), total(NOBODY_COST))
    of_all = f"({cost}) / on (currency) group_left () ({total(COST)} > 0)"
    now = "sum by (team) (team:gpu_cost_per_hour:rate5m{})"
    columns = [
        *joined("currency"),
        _name("Team", "team"),
        Column("Cost", expr=cost, look=MONEY, width=90),
        Column("Of all cost", expr=of_all, look=PART, cell="basic"),
        Column("Energy", expr=energy, look=ENERGY, width=95),
        Column("GPU hours", expr=held, look=HOURS, width=90),
        *busy("team"),
        Column("Unused cost", expr=unused, look=MONEY, width=95),
        Column("Unused of cost", made_of=("Unused cost", "/", "Cost"), look=WASTE, cell="basic"),
        _PER_BUSY_HOUR,
        Column("Per hour, now", expr=now, look=MONEY, width=110),
        Column("CO₂", expr=total(TEAM_GRAMS, "team"), look=CARBON, width=80),
    ]
    return _by_cost(
        "Teams ($currency)",
        f"What each team's jobs cost, held and used. {NO_ONE}: GPUs that no job held, and what could not be "
        "given to one, all of it unused; with it the costs add up to those of all GPUs. Unused: spent while "
        f"a job held a GPU and nothing of it ran. {TILES}",
        columns,
    )


def users() -> Json:
    """The same by person."""
    by = ("team", "user")
    columns = [
        *joined("currency"),
        _name("User", "user"),
        _name("Team", "team"),
        Column("Cost", expr=total(TEAM["cost"], *by), look=MONEY, width=95),
        Column("Energy", expr=total(TEAM["kwh"], *by), look=ENERGY, width=95),
        Column("GPU hours", expr=total(TEAM["gpu_hours"], *by), look=HOURS, width=95),
        *busy(*by),
        Column("Unused cost", expr=total(TEAM["unused_cost"], *by), look=MONEY, width=95),
    ]
    return _by_cost("Users ($currency)", f"The same by user. {TILES}", columns)


def models() -> Json:
    """The same by what was computed."""
    columns = [
        *joined("currency"),
        Column("AI model", name="model", mappings=(NO_MODEL,), link=_jobs_of("model"), width=130),
        Column("Cost", expr=total(TEAM["cost"], "model"), look=MONEY, width=95),
        Column("Energy", expr=total(TEAM["kwh"], "model"), look=ENERGY, width=95),
        Column("GPU hours", expr=total(TEAM["gpu_hours"], "model"), look=HOURS, width=95),
        *busy("model"),
        _PER_BUSY_HOUR,
    ]
    about = f"The same by AI model, whoever ran it; (none): jobs that name no model. {TILES}"
    return _by_cost("AI models ($currency)", about, columns)


def _by_cost(title: str, description: str, columns: list[Column]) -> Json:
    return table(title, description, columns, sort=("Cost",), descending=True)


def _name(title: str, label: str) -> Column:
    return Column(title, name=label, width=100, link=_jobs_of(label))


def _jobs_of(label: str) -> Json:
    return link("gputally-jobs", "Its jobs", **{label: ""})


def busy(*by: str) -> list[Column]:
    """Utilisation, next to a column of GPU hours."""
    return [
        Column("Busy hours", expr=total(TEAM["busy_hours"], *by), hidden=True),
        Column("Utilisation", made_of=("Busy hours", "/", "GPU hours"), look=SHARE, cell="basic"),
    ]
