"""The page about budgets: what may teams spend, what have they spent, and will it last?"""

from grafana import budgettables, variables
from grafana.budgettables import BY, CREDIT, SPENT, of_chosen
from grafana.overrides import dashed, of_query, overridden
from grafana.page import Line, Opening, page
from grafana.panels import Look, row, timeseries
from grafana.queries import Json, series

UID = "gputally-budgets"
_MONEY = Look("none", decimals=2, minimum=0)


def budgets() -> Json:
    """The budgets of one currency."""
    lines: list[Line] = [
        (4, [(6, tile) for tile in budgettables.tiles()]),
        (7, [(24, budgettables.overview())]),
        (1, [(24, row("Over time"))]),
        (9, [(12, _spent()), (12, _forecast())]),
        (8, [(12, _burn()), (12, _used())]),
        (1, [(24, row("Made of"))]),
        (6, [(12, budgettables.made_of()), (12, budgettables.parts())]),
    ]
    about = "What teams may spend in a period, what they have spent, and whether it will last."
    opening = Opening("now-30d", refresh="5m", choices=variables.budgets(), of_machines=False)
    return page(UID, "Budgets", about, lines, opening=opening)


def _spent() -> Json:
    body = timeseries(
        "Spent and credit ($currency)",
        "What each team has spent of its present period; dashed, what there is. Spent falls to nothing when "
        "a period begins.",
        [series(SPENT, "{{team}}"), series(CREDIT, "{{team}}, credit")],
        _MONEY,
    )
    return overridden(body, [of_query("A", {"custom.fillOpacity": 0}), dashed("B", "text")])


def _forecast() -> Json:
    return timeseries(
        "Forecast over credit (%, $currency)",
        "What the period will have cost at its end, over what there is; above 100 it will not last.",
        [series(f"100 * {of_chosen('team:gpu_budget_forecast:ratio')}", "{{team}}")],
        Look("none", decimals=0, minimum=0),
    )


def _burn() -> Json:
    return timeseries(
        "Spent in a day ($currency)",
        "What goes in a day, as in the three days before: energy, capital, and what is declared or imported.",
        [series(f"sum by ({BY}) (team:gpu_budget_burn_cost_per_hour:avg3d{{}}) * 24", "{{team}}")],
        _MONEY,
    )


def _used() -> Json:
    body = timeseries(
        "Spent over credit, and thresholds (%, $currency)",
        "Spent over credit of each team; dashed, the thresholds at which an alert tells it.",
        [
            series(f"100 * {of_chosen('team:gpu_budget_used:ratio')}", "{{team}}"),
            series("100 * max by (threshold) (site_budget_threshold_ratio{})", "{{threshold}} %"),
        ],
        Look("none", decimals=0, minimum=0),
    )
    return overridden(body, [of_query("A", {"custom.fillOpacity": 0}), dashed("B", "text")])
