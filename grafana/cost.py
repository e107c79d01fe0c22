"""The page for whoever pays: what does it cost, who spent it, how much of it for nothing, at which price?"""

from dataclasses import replace

from grafana import prices, spenders, waste
from grafana.cards import cards
from grafana.charts import Bars, bars
from grafana.ledger import BUSY_HOURS, CARBON, COST, ENERGY, GRAMS, KWH, MONEY, PRICE, RANGE, total
from grafana.page import Line, Opening, page
from grafana.panels import Look, row, stat
from grafana.queries import Json, instant, rows
from grafana.transformations import sort_by
from grafana.variables import currency, people

UID = "gputally-cost"

_DAYS = replace(MONEY, missing="no data")
_NOW = replace(_DAYS, steps=((None, "yellow"),))
_DAY = "cluster:gpu_cost_day:sum{}"
_MONTH = '"month", "$1", "day", "(.{7}).*"'


def cost() -> Json:
    """Money of all clusters, teams and models that the variables select."""
    lines: list[Line] = [
        (3, [(8, prices.whose_prices()), *zip((4, 3, 4, 5), prices.facts(), strict=True)]),
        (3, [(6, tile) for tile in _calendar_tiles()]),
        (3, [(6, tile) for tile in _range_tiles()]),
        (9, [(10, _by_day()), (14, spenders.cost_by_team())]),
        (1, [(24, row("Who spent it: follows Team, User and AI model"))]),
        (7, [(24, spenders.teams())]),
        (8, [(12, spenders.users()), (12, spenders.models())]),
        (1, [(24, row("Paid for and not used"))]),
        (4, [(5 if n < 4 else 4, tile) for n, tile in enumerate(waste.tiles())]),
        (9, [(24, waste.over_time())]),
        (8, [(14, waste.unused()), (10, waste.nobodys())]),
        (1, [(24, row("Prices and bands"))]),
        (8, [(9, prices.bands()), (8, prices.bands_over_time()), (7, prices.price_over_time())]),
        (1, [(24, row("GPUs: follow Job and Instance"))]),
        (10, [(24, cards())]),
    ]
    about = "What the energy of the GPUs costs, who spent it, and how much of it was for nothing."
    opening = Opening("now-7d", refresh="5m", choices=[currency(), *people()])
    return page(UID, "GPU cost", about, lines, opening=opening)


def _calendar_tiles() -> list[Json]:
    # The agents show two days: that which is not today is yesterday.
    published = "count by (cluster, day) (gpu_cost_day{})"
    yesterday = f"{_DAY} and on (cluster, day) ({published} unless on (cluster, day) site_day_info{{}})"
    days = f"label_replace(max_over_time({_DAY}[31d]), {_MONTH})"
    month = f"{days} and on (cluster, month) label_replace(site_day_info{{}}, {_MONTH})"
    return [
        stat(
            "Today ($currency)",
            "What today has cost so far, by the site's calendar, whatever the time range.",
            instant("sum(cluster:gpu_cost_today:sum{})", "today"),
            _DAYS,
        ),
        stat(
            "Yesterday ($currency)",
            "What yesterday cost.",
            instant(f"sum({yesterday})", "yesterday"),
            _DAYS,
        ),
        stat(
            "This month ($currency)",
            "What this month has cost so far: its days together, as far back as Prometheus keeps them.",
            instant(f"sum({month})", "month"),
            _DAYS,
        ),
        stat(
            "Per hour, now ($currency)",
            "What all GPUs cost by the hour, as they ran over five minutes.",
            instant("sum(cluster:gpu_energy_cost_per_hour:rate5m{})", "now"),
            _NOW,
        ),
    ]


def _range_tiles() -> list[Json]:
    return [
        stat(
            "Time range ($currency)",
            f"What the time range of the page cost, all GPUs together. {spenders.TILES}",
            instant(total(COST), "cost"),
            MONEY,
        ),
        stat(
            "Per busy GPU-hour ($currency)",
            "What an hour in which a GPU worked cost: all that was spent in the time range, on idle GPUs "
            "too, by the hours in which kernels ran.",
            instant(f"{total(COST)} / on () ({total(BUSY_HOURS)} > 0)", "cost"),
            PRICE,
        ),
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


def _by_day() -> Json:
    days = f"sum by (day) (max_over_time({_DAY}[{RANGE}]))"
    return bars(
        "Cost by calendar day ($currency)",
        "What each day cost, by the site's calendar: the days of the time range and, because agents show "
        "two, the one before or two. Today is still growing.",
        [rows(f'label_replace({days}, "short", "$1", "day", "....-(.*)")')],
        Look(MONEY.unit, ((None, "green"),), decimals=2, minimum=0),
        Bars({"short": "Day", "Value": "Cost"}, without=["day"], steps=[sort_by("day")]),
    )
