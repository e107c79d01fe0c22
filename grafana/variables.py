"""What a page lets its reader choose: the data source, machines, people, and one currency."""

from collections.abc import Sequence

from grafana.ledger import most
from grafana.queries import CLUSTER, DATASOURCE, SELECT, Json, select

from gputally.report.questions import TEAM

HIGHEST_USD = "100"  # more than any card is believed to cost: hides nothing until somebody writes less
# Prometheus 2.42 looks for a label's values among all series, in the order of their names, until it has found
# each: with an early name like these two that takes milliseconds, with `up` half a second at 1,000 GPUs.
_METERED = "gpu:gpu_energy_joules:rate5m"
# Few series, of long ago, too; the first is an early name.
_USERS, _MODELS = "consumer:gpu_energy_kwh:increase1h", "team_user_model:gpu_energy_kwh:increase1h"


def machines(*, one: bool = False) -> list[Json]:
    """Data source, cluster, job, instance: on every page, in this order; `one`: begins with one machine."""
    datasource = {
        "current": {},
        "hide": 0,
        "includeAll": False,
        "label": "Data source",
        "multi": False,
        "name": "datasource",
        "options": [],
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
        "type": "datasource",
    }
    instance = _labels("instance", "Instance", f'{_METERED}{{cluster=~"$cluster", job=~"$job"}}')
    return [
        datasource,
        # A target without the label counts as well: hence not `.+`.
        _labels("cluster", "Cluster", "cluster:gpu_power_watts:sum", everything=".*"),
        _labels("job", "Job", f'{_METERED}{{cluster=~"$cluster"}}'),
        # Where there is an "All", Grafana before 11 begins with it, and links from other pages bring it.
        instance | {"current": {}, "includeAll": False} if one else instance,
    ]


def gpus() -> Json:
    """Cards of the chosen machines, by their index there."""
    return _labels("gpu", "GPU", f"gpu_up{{{SELECT}}}") | {"sort": 3}  # as numbers


def one_job() -> Json:
    """One of the jobs that were on the chosen machines in the page's range, the latest first."""
    chosen = _labels("job_id", "Job id", f"gpu_job_start_time_seconds{{{SELECT}}}", everything="")
    return chosen | {"allValue": None, "current": {}, "includeAll": False, "multi": False, "sort": 4}


def people() -> list[Json]:
    """Team, user and model, each within what was chosen before. Not everything that runs names a model."""
    team = f'{_USERS}{{cluster=~"$cluster"}}'
    user = f'{_USERS}{{cluster=~"$cluster", team=~"$team"}}'
    model = f'{_MODELS}{{cluster=~"$cluster", team=~"$team", user=~"$user"}}'
    return [
        _labels("team", "Team", team, everything=".*"),
        _labels("user", "User", user, everything=".*"),
        _labels("model", "AI model", model, everything=".*"),
    ]


def top_users() -> Json:
    """Hidden: the users who have cost most in the page's range, so that charts of users read theirs alone."""
    most_of_it = select(most(TEAM["cost"], "user"))
    found = _labels("top_user", "Users with most", "gpu_up")
    query = f"query_result({most_of_it})"
    return found | {
        "allValue": None,
        "definition": query,
        "hide": 2,
        "query": {"query": query, "refId": "variable"},
        "regex": '/user="([^"]+)"/',
        "skipUrlSync": True,
        "sort": 0,
    }


def currency() -> Json:
    """One of them, never all: amounts of two currencies have no sum."""
    chosen = _labels("currency", "Currency", 'gputally_tariff_info{cluster=~"$cluster"}', everything="")
    return chosen | {"allValue": None, "current": {}, "includeAll": False, "multi": False}


def span() -> Json:
    """How far back lists of single jobs look: a big fleet's month of them is too much for a table."""
    return _one_of("span", "Jobs of the last", ("1h", "6h", "1d", "3d", "7d", "30d"), begun_with="6h")


def unseen(variable: Json) -> Json:
    """A variable of machines, there for the way to other pages; source and cluster are shown everywhere."""
    return variable | {"hide": 2} if variable["name"] in {"job", "instance"} else variable


def offers() -> list[Json]:
    """What the market is searched by, each within what was chosen before; and how many hours a day count.

    All of them ask a few hundred series: those of cards, not those of single offers.
    """
    sized = _labels("memory", "Memory", f"gpu_catalog_memory_bytes{{{CLUSTER}}}", of="card", everything=".*")
    card = f'card:gpu_market_usd_per_gpu_hour:min{{{CLUSTER}, card=~".+-$memory"}}'
    asked = f'card_provider:gpu_market_usd_per_gpu_hour:min{{{CLUSTER}, card=~"$card"}}'
    region = f'gpu_market_offers{{{CLUSTER}, card=~"$card", provider=~"$provider"}}'
    return [
        sized | {"regex": "/-([0-9]+gb)$/", "sort": 3},  # as numbers
        _labels("card", "Card", card),
        _labels("provider", "Provider", asked),
        _labels("region", "Region", region, everything=".*"),
        _labels("price_tier", "Price tier", asked),
        _labels("host_tier", "Host tier", asked),
        _typed("max_price", "USD an hour at most", HIGHEST_USD),
        _one_of("hours", "Hours a day", ("24", "16", "12", "8", "4", "1")),
    ]


def budgets() -> list[Json]:
    """Teams that have a budget, and one currency in which budgets are."""
    declared = f"site_budget_info{{{CLUSTER}}}"
    return [
        _labels("team", "Team", declared, everything=".*"),
        _currency_of_most(declared),
    ]


def own_cards() -> list[Json]:
    """Cards that the site has declared as its own, and what is rented of them elsewhere."""
    asked = f'card:gpu_market_usd_per_gpu_hour:min{{{CLUSTER}, card=~"$card"}}'
    return [
        _labels("card", "Card", f"site_owned_gpu_card_info{{{CLUSTER}}}"),
        _labels("price_tier", "Price tier", asked),
        _labels("host_tier", "Host tier", asked),
    ]


def reservations() -> list[Json]:
    """The currency in which reservations are charged, which may be none, and the teams that have any."""
    charged = _labels("currency", "Currency", f"gpu_reservation_cost{{{CLUSTER}}}", everything="")
    return [
        charged | {"allValue": None, "current": {}, "includeAll": False, "multi": False},
        _labels("team", "Team", f"gpu_reservation_gpus{{{CLUSTER}}}", everything=".*"),
    ]


def bills() -> list[Json]:
    """Whose charges, for what and for whom; and one currency of those that are charged or spent here."""
    charged = f"charge:gpu_cloud_cost_month_to_date:max{{{CLUSTER}}}"
    days = f"cluster:gpu_cloud_and_own_cost_day:max{{{CLUSTER}}}"
    return [
        _labels("provider", "Provider", charged),
        _labels(
            "card", "Card", f'charge:gpu_cloud_cost_month_to_date:max{{{CLUSTER}, provider=~"$provider"}}'
        ),
        _labels("team", "Team", f"team:gpu_cloud_and_own_cost:sum31d{{{CLUSTER}}}", everything=".*"),
        _currency_of_most(days),  # our own, where bills are in it as well
    ]


def _typed(name: str, label: str, begun_with: str) -> Json:
    """A text that the reader writes."""
    return {
        "current": {"selected": True, "text": begun_with, "value": begun_with},
        "hide": 0,
        "label": label,
        "name": name,
        "options": [{"selected": True, "text": begun_with, "value": begun_with}],
        "query": begun_with,
        "skipUrlSync": False,
        "type": "textbox",
    }


def _one_of(name: str, label: str, values: Sequence[str], begun_with: str = "") -> Json:
    """One of a few values, at first the first."""
    first = begun_with or values[0]
    return {
        "current": {"selected": True, "text": first, "value": first},
        "hide": 0,
        "includeAll": False,
        "label": label,
        "multi": False,
        "name": name,
        "options": [{"selected": one == first, "text": one, "value": one} for one in values],
        "query": ",".join(values),
        "skipUrlSync": False,
        "type": "custom",
    }


def _currency_of_most(series: str) -> Json:
    """One currency; that of most of the series is chosen before anybody chooses."""
    query = f"query_result(sort_desc(count by (currency) ({series})))"
    return (
        _labels("currency", "Currency", "up", everything="")
        | {"allValue": None, "current": {}, "includeAll": False, "multi": False}
        | {"definition": query, "query": {"query": query, "refId": "variable"}, "sort": 0}
        | {"regex": '/currency="([^"]+)"/'}
    )


def _labels(name: str, label: str, metric: str, *, of: str = "", everything: str = ".+") -> Json:
    """Values that label `of`, or the one of the variable's name, has."""
    query = f"label_values({metric}, {of or name})"
    return {
        "allValue": everything,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": DATASOURCE,
        "definition": query,
        "hide": 0,
        "includeAll": True,
        "label": label,
        "multi": True,
        "name": name,
        "options": [],
        "query": {"query": query, "refId": "variable"},
        "refresh": 2,
        "regex": "",
        "skipUrlSync": False,
        "sort": 1,
        "type": "query",
    }
