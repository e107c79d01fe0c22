"""Budgets as tables and tiles: what there is, what was spent on what, what is left, and for how long."""

from dataclasses import replace

from grafana.ledger import MONEY, PART
from grafana.panels import Look, stat
from grafana.queries import Json, instant
from grafana.tables import Column, link, or_said, table

BY = "cluster, team"
CREDITS = "team:gpu_budget_credit_cost:period{}"
CREDIT = f"sum by ({BY}) ({CREDITS})"
SPENT = f"sum by ({BY}) (team:gpu_budget_spent_cost:period{{}})"
BALANCE = f"sum by ({BY}) (team:gpu_budget_balance_cost:period{{}})"
FORECAST = f"sum by ({BY}) (team:gpu_budget_forecast_cost:period{{}})"
DECLARED = f"site_budget_info{{}} and on ({BY}) {CREDITS}"
NO_BUDGET = "No budget is declared in this currency: docs/accounts.md says how"
USED = replace(PART, maximum=1.2, steps=((None, "green"), (0.8, "orange"), (1, "red")))
LEFT = replace(MONEY, steps=((None, "red"), (0, "green")))
DAYS = Look("none", decimals=1)
_PARTS = {
    "energy": "Energy",
    "capital": "Capital",
    "rental": "Rental",
    "reservations": "Reservations",
    "bills": "Bills",
}
_CREDITS = {
    "amount": "Amount",
    "carried": "Carried over",
    "deposits": "Deposits",
    "corrections": "Corrections",
}


def of_chosen(ratio: str) -> str:
    """A ratio of those teams whose budget is in the chosen currency."""
    return f"max by ({BY}) ({ratio}{{}} and on ({BY}) {CREDITS})"


def tiles() -> list[Json]:
    """All budgets of the currency together, and how many are spent."""
    over = f"sum({of_chosen('team:gpu_budget_used:ratio')} > bool 1)"
    return [
        stat(
            "Credit ($currency)",
            "What the chosen teams may spend in their present periods, deposits among it.",
            instant(f"sum({CREDIT})", "credit"),
            MONEY,
        ),
        stat(
            "Spent ($currency)",
            "What they have spent of it so far, as far as it is declared or recorded.",
            instant(f"sum({SPENT})", "spent"),
            MONEY,
        ),
        stat(
            "Left ($currency)",
            "Credit less spent. Below zero more was spent than there is, and nobody was stopped.",
            instant(f"sum({BALANCE})", "left"),
            LEFT,
        ),
        stat(
            "Overspent budgets, of those in $currency",
            "Teams that have spent more than there is.",
            instant(over, "teams"),
            Look(
                "none", decimals=0, steps=((None, "green"), (1, "red")), sparkline=False, missing="no budget"
            ),
        ),
    ]


def overview() -> Json:
    """One row for each budget."""
    burn = f"sum by ({BY}) (team:gpu_budget_burn_cost_per_hour:avg3d{{}}) * 24"
    columns = [
        Column("Cluster", name="cluster", width=90),
        Column("Team", name="team", width=130, link=link("gputally-teams", "What it went for", team="")),
        Column("Period", name="name", width=90),
        Column("Period", expr=f"max by ({BY}, name) ({DECLARED})", hidden=True, needed=True),
        Column("Credit", expr=CREDIT, look=MONEY, width=100),
        Column("Spent", expr=SPENT, look=MONEY, width=100),
        Column("Used", expr=of_chosen("team:gpu_budget_used:ratio"), look=USED, cell="basic"),
        Column("Left", expr=BALANCE, look=LEFT, cell="color-text", width=100),
        Column("A day", expr=burn, look=MONEY, width=90),
        Column("At the end", expr=FORECAST, look=MONEY, width=100),
        Column("Forecast", expr=of_chosen("team:gpu_budget_forecast:ratio"), look=USED, cell="basic"),
        Column("Days left", expr=of_chosen("team:gpu_budget_left_days:ratio"), look=DAYS, width=90),
        Column("Known", expr=of_chosen("team:gpu_budget_known:ratio"), look=PART, width=80),
    ]
    body = table(
        "Budgets ($currency)",
        "The present period of each budget. A day: what goes in a day, as in the last three. At the end: "
        "what the period will have cost if it goes on like that, and beside it the same over the credit. "
        "Days left: for how long what is left lasts. Known: part of the period so far of which cost is "
        "recorded. gputally report statement has every transaction, to the cent.",
        columns,
        sort=("Used",),
        descending=True,
    )
    return or_said(body, NO_BUDGET)


def made_of() -> Json:
    """Where the credit comes from."""
    return _by_part(
        "What there is ($currency)",
        "Amount of the period, what was carried over from the one before, deposits, and corrections.",
        f"max by ({BY}) (team:gpu_budget_credit_cost:period{{part=",
        _CREDITS,
    )


def parts() -> Json:
    """What was paid."""
    return _by_part(
        "What was paid ($currency)",
        "Energy of jobs; capital: write-off and upkeep of owned GPUs for the hours that they were held; "
        "rentals, reservations and bills as declared and imported. Only what the budget pays for.",
        f"max by ({BY}) (team:gpu_budget_spent_cost:period{{part=",
        _PARTS,
    )


def in_short() -> Json:
    """For pages about teams: how much of its budget each has spent."""
    columns = [
        Column("Team", name="team", width=130, link=link("gputally-budgets", "Its budget", team="")),
        Column("Cluster", name="cluster", width=90),
        Column("Period", name="name", width=90),
        Column("Period", expr=f"max by ({BY}, name) ({DECLARED})", hidden=True, needed=True),
        Column("Credit", expr=CREDIT, look=MONEY, width=110),
        Column("Spent", expr=SPENT, look=MONEY, width=110),
        Column("Used", expr=of_chosen("team:gpu_budget_used:ratio"), look=USED, cell="basic"),
        Column("Left", expr=BALANCE, look=LEFT, cell="color-text", width=110),
        Column("Forecast", expr=of_chosen("team:gpu_budget_forecast:ratio"), look=USED, cell="basic"),
    ]
    body = table(
        "Budgets ($currency)",
        "The present period of each team's budget, whatever the page's time range. Forecast: of the credit, "
        "at the end of the period, if it goes on as in the last three days.",
        columns,
        sort=("Used",),
        descending=True,
    )
    return or_said(body, NO_BUDGET)


def _by_part(title: str, description: str, begun: str, names: dict[str, str]) -> Json:
    columns = [
        Column("Cluster", name="cluster", width=90),
        Column("Team", name="team"),
        *(Column(name, expr=f'{begun}"{part}"}})', look=MONEY, width=105) for part, name in names.items()),
    ]
    return or_said(table(title, description, columns, sort=("Team",)), NO_BUDGET)
