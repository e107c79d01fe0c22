"""The page for whoever pays: what does it cost, who spent it, how much of it for nothing, at which price?"""

from dataclasses import replace

from grafana import compared, forecast, overtime, prices, spenders, waste
from grafana.cards import cards
from grafana.ledger import (
    BUSY_HOURS,
    CARBON,
    COST,
    ENERGY,
    GRAMS,
    KWH,
    MONEY,
    NOBODY_COST,
    NODE_COST,
    NODE_KWH,
    PRICE,
    per_day,
    total,
)
from grafana.load import load_and_power
from grafana.overtime import WHOLE_DAYS, Split
from grafana.page import Line, Opening, page
from grafana.panels import Look, row, stat, timeseries
from grafana.queries import Json, instant, series
from grafana.variables import currency, people, top_users

from gputally.report.questions import TEAM

UID = "gputally-cost"

_NOW = replace(MONEY, missing="no data", steps=((None, "yellow"),))


def cost() -> Json:
    """Money of all clusters, teams and models that the variables select."""
    per_kwh, pue, carbon, audit = prices.facts()
    large = [(9, forecast.today()), *((5, tile) for tile in (*forecast.month(), _week()))]
    waste_tiles = waste.tiles()
    lines: list[Line] = [
        (5, large),
        (3, [(12, prices.whose_prices()), (6, per_kwh), (6, carbon)]),
        (3, [(6, tile) for tile in (forecast.yesterday(), *_money())]),
        (3, [(6, tile) for tile in (*_energy(), pue, audit)]),
        (9, [(10, forecast.cost_by_day()), (14, compared.week_over_time())]),
        (9, [(10, forecast.energy_by_day()), (14, load_and_power())]),
        (1, [(24, row("Who spent it: follows Team, User and AI model"))]),
        (7, [(24, spenders.teams())]),
        (7, [(24, spenders.users())]),
        (7, [(24, spenders.models())]),
        (1, [(24, row("Paid for and not used"))]),
        (4, [(8, tile) for tile in waste_tiles[:3]]),
        (3, [(12, tile) for tile in waste_tiles[3:]]),
        (9, [(12, waste.over_time()), (12, waste.nobodys())]),
        (8, [(24, waste.unused())]),
        (1, [(24, row("Hour by hour"))]),
        (8, [(12, chart) for chart in _people_by_hour()[:2]]),
        (8, [(12, chart) for chart in _people_by_hour()[2:]]),
        (8, [(8, chart) for chart in _machines_and_bands_by_hour()]),
        (1, [(24, row("Day by day"))]),
        (9, [(8, chart) for chart in _people_by_day()]),
        (9, [(6, chart) for chart in _machines_and_bands_by_day()]),
        (9, [(8, chart) for chart in _energy_by_day()]),
        (1, [(24, row("Prices and bands"))]),
        (8, [(14, prices.bands()), (10, prices.price_over_time())]),
        (1, [(24, row("GPUs: follow Job and Instance"))]),
        (10, [(24, cards())]),
    ]
    about = "What the energy of the GPUs costs, who spent it, and how much of it was for nothing."
    opening = Opening("now-7d", refresh="5m", choices=[currency(), *people(), top_users()])
    return page(UID, "GPU cost", about, lines, opening=opening)


def _week() -> Json:
    return forecast.smaller(compared.week())


def _money() -> list[Json]:
    return [
        stat(
            "Per hour, now ($currency)",
            "What all GPUs cost by the hour, as they ran over five minutes.",
            instant("sum(cluster:gpu_energy_cost_per_hour:rate5m{})", "now"),
            _NOW,
        ),
        stat(
            "Time range ($currency)",
            f"What the time range of the page cost, all GPUs together. {spenders.TILES}",
            instant(total(COST), "cost"),
            MONEY,
        ),
        stat(
            "Per busy hour ($currency)",
            "What an hour in which a GPU worked cost: all that was spent in the time range, on idle GPUs "
            "too, by the hours in which kernels ran.",
            instant(f"{total(COST)} / on () ({total(BUSY_HOURS)} > 0)", "cost"),
            PRICE,
        ),
    ]


def _energy() -> list[Json]:
    return [
        stat(
            "Energy in range",
            "What all GPUs have used in the time range; without PUE.",
            instant(total(KWH), "energy"),
            ENERGY,
        ),
        stat(
            "CO₂ in range",
            "Carbon dioxide of the time range's energy; with PUE.",
            instant(total(GRAMS), "CO₂"),
            CARBON,
        ),
    ]


def _people_by_hour() -> list[Json]:
    whose = (("team", "team", NOBODY_COST), ("user", "user", None), ("AI model", "model", None))
    about = "What an hour costs, divided among the {}s; " + overtime.MEAN + "."
    charts = [
        overtime.hourly(
            f"Cost per hour by {name} ($currency)",
            about.format(name),
            Split(TEAM["cost"], label, MONEY.unit, nobodys),
        )
        for name, label, nobodys in whose
    ]
    charts[1] |= {"timeFrom": "24h"}  # users are many, and a week of their hours is a carpet
    machines = Split(NODE_COST, "instance", MONEY.unit)
    return [
        *charts,
        overtime.hourly("Cost per hour by machine ($currency)", about.format("machine"), machines),
    ]


def _energy_of_machines_by_hour() -> Json:
    return overtime.hourly(
        "Energy per hour by machine",
        f"What the GPUs of a machine use in an hour; {overtime.MEAN}.",
        Split(NODE_KWH, "instance", ENERGY.unit),
    )


def _people_by_day() -> list[Json]:
    return [
        overtime.daily(
            f"Cost per day by {name} ($currency)",
            f"What each {name} cost in a day.",
            Split(TEAM["cost"], label, MONEY.unit),
        )
        for name, label in (("team", "team"), ("user", "user"), ("AI model", "model"))
    ]


def _machines_and_bands_by_hour() -> list[Json]:
    return [_energy_of_machines_by_hour(), prices.bands_over_time(), prices.cost_of_bands_over_time()]


def _machines_and_bands_by_day() -> list[Json]:
    return [
        overtime.daily(
            "Cost per day by machine ($currency)",
            "What the GPUs of each machine cost in a day.",
            Split(NODE_COST, "instance", MONEY.unit),
        ),
        overtime.daily(
            "Energy per day by machine",
            "What the GPUs of each machine used in a day.",
            Split(NODE_KWH, "instance", ENERGY.unit),
        ),
        prices.bands_by_day(),
        prices.cost_of_bands_by_day(),
    ]


def _energy_by_day() -> list[Json]:
    by_whom = [
        overtime.daily(
            f"Energy per day by {name}",
            f"What the jobs of each {name} used in a day.",
            Split(TEAM["kwh"], label, ENERGY.unit),
        )
        for name, label in (("team", "team"), ("AI model", "model"))
    ]
    return [*by_whom, _carbon_by_day()]


def _carbon_by_day() -> Json:
    chart = timeseries(
        "CO₂ per day",
        f"Carbon dioxide of what all GPUs used in a day, with PUE. {WHOLE_DAYS}",
        [series(per_day(GRAMS), "CO₂")],
        Look(CARBON.unit, minimum=0, hourly=True, colors={"CO₂": "text"}),
    )
    return chart | {"interval": "1d"}
