"""What was charged: this month, day by day, by provider, card and team, and with how much for an hour."""

from dataclasses import replace

from grafana.charts import Bars, Part, bars, beside
from grafana.ledger import HOURS, MONEY
from grafana.offers import RATIO, USD
from grafana.panels import Look, stat, timeseries
from grafana.queries import Json, instant, rows, series
from grafana.tables import Column, joined, link, or_said, table
from grafana.transformations import MERGED, sort_by

GROUP = 'provider=~"$provider", card=~"$card"'
CHARGE = f'{GROUP}, team=~"$team"'
NO_BILL = "No bill is known: none was imported in this currency, or the site agent is not scraped"
_MONTH = f"charge:gpu_cloud_cost_month_to_date:max{{{GROUP}}}"
_LAST = f"gpu_cloud_cost_last_month{{{CHARGE}}}"
_BY = "provider, card, team"
_AND_OWN = "team:gpu_cloud_and_own_cost:sum31d"
_DAYS = "cluster:gpu_cloud_and_own_cost_day:max"
_PAID = f"provider:gpu_cloud_usd_per_gpu_hour:avg31d{{{GROUP}}}"
_AMOUNT = replace(MONEY, missing="no bill")
_UTC = "Days and months of bills are those of UTC."


def tiles() -> list[Json]:
    """The sums."""
    last = f"sum(max by (cluster, {_BY}) ({_LAST}))"
    there, own = (f'sum({_AND_OWN}{{where="{where}"}})' for where in ("elsewhere", "own"))
    return [
        stat(
            "This month elsewhere ($currency)",
            f"What bills have charged for the days of this month so far, of all that is chosen above. {_UTC}",
            instant(f"sum({_MONTH})", "this month"),
            _AMOUNT,
        ),
        stat(
            "Last month elsewhere ($currency)",
            f"What they have charged for the days of the month before. {_UTC}",
            instant(last, "last month"),
            _AMOUNT,
        ),
        beside(
            "31 days, elsewhere and here ($currency)",
            "What the last 31 days have cost the chosen teams elsewhere, by the bills, and on our own "
            "machines, by their energy.",
            [Part(instant(there, "elsewhere")), Part(instant(own, "own"))],
            replace(_AMOUNT, sparkline=False),
        ),
        stat(
            "Dearest against the market",
            "How many times the cheapest price of the market an hour was paid with, where that is most: of "
            "which card, at whom. The market's prices are those on demand.",
            instant(f"topk(1, max by (provider, card) ({_OVER}))", "{{card}} · {{provider}}"),
            Look("none", ((None, "green"), (1.5, "orange")), decimals=2, sparkline=False, missing="no price"),
            named=True,
        ),
    ]


_OVER = f"provider:gpu_cloud_paid_per_market:ratio{{{GROUP}}}"


def by_day() -> Json:
    """Elsewhere and here, side by side."""
    of = "sum by (day) (max by (cluster, day) ({}))"
    short = 'label_replace({}, "short", "$1", "day", "....-(.*)")'
    asked = [rows(short.format(of.format(f'{_DAYS}{{where="{where}"}}'))) for where in ("elsewhere", "own")]
    body = bars(
        "Cost by day, elsewhere and here ($currency)",
        "What each of the last 31 days has cost elsewhere, by all bills, and on our own machines. Days of "
        "bills are those of UTC, ours those of the site. Bills are a day or two late, and what they say of a "
        "day may change.",
        asked,
        Look(MONEY.unit, ((None, "blue"),), decimals=2),
        Bars(
            {"short": "Day", "Value #A": "Elsewhere", "Value #B": "Own machines"},
            without=["day"],
            steps=[MERGED, sort_by("day")],
        ),
    )
    colors = {"Elsewhere": "purple", "Own machines": "green"}
    overrides = [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"fixedColor": color, "mode": "fixed"}}],
        }
        for name, color in colors.items()
    ]
    options = body["options"] | {
        "legend": body["options"]["legend"] | {"showLegend": True},
        "showValue": "never",
    }
    return body | {"fieldConfig": body["fieldConfig"] | {"overrides": overrides}, "options": options}


def charges() -> Json:
    """One line for each provider, card and team."""
    month = f"max by (cluster, {_BY}, currency) ({_MONTH})"
    hours = f"max by (cluster, {_BY}) (gpu_cloud_gpu_hours_month_to_date{{{CHARGE}}})"
    columns = [
        *joined("cluster", "currency"),
        Column("Provider", name="provider", filtered=True, width=105),
        Column("Card", name="card", filtered=True),
        Column(
            "Team",
            name="team",
            filtered=True,
            width=105,
            link=link("gputally-teams", "Its own cost", team=""),
        ),
        Column("This month", expr=month, look=MONEY, width=110),
        Column("Last month", expr=f"max by (cluster, {_BY}, currency) ({_LAST})", look=MONEY, width=110),
        Column(
            "Latest day",
            expr=f"max by (cluster, {_BY}, currency) (gpu_cloud_cost_last_day{{{CHARGE}}})",
            look=MONEY,
            width=100,
        ),
        Column(
            "GPU hours",
            expr=f"0 * {month} + on (cluster, {_BY}) group_left () {hours}",
            look=HOURS,
            width=100,
        ),
    ]
    body = table(
        "Charges ($currency)",
        "What was charged for each card and team. GPU hours are those of this month, where the bill tells "
        f"them; card other is what is no GPU. Below zero: money that came back. {_UTC}",
        columns,
        sort=("This month",),
        descending=True,
    )
    return or_said(body, NO_BILL)


def teams() -> Json:
    """What was spent there and here, by whom."""
    there, own = (f'sum by (team) ({_AND_OWN}{{where="{where}"}})' for where in ("elsewhere", "own"))
    columns = [
        Column("Team", name="team", link=link("gputally-teams", "Its own cost", team="")),
        Column("Elsewhere", expr=there, look=MONEY, width=105),
        Column("Own machines", expr=own, look=MONEY, width=115),
        Column("Together", expr=f"sum by (team) ({_AND_OWN}{{}})", look=MONEY, width=105),
        Column("Elsewhere of it", made_of=("Elsewhere", "/", "Together"), look=RATIO, cell="basic"),
    ]
    body = table(
        "Teams, 31 days ($currency)",
        "What the last 31 days have cost each team elsewhere and on our own machines. Own cost is that of "
        "energy; what machines were bought for is not in it.",
        columns,
        sort=("Together",),
        descending=True,
    )
    return or_said(body, NO_BILL)


def over_time() -> Json:
    """How the month has grown, and when it was corrected."""
    return timeseries(
        "The month so far, by provider ($currency)",
        f"What bills have charged for the month by then: it grows with each import and begins anew with each "
        f"month. {_UTC}",
        [series(f"sum by (provider) ({_MONTH})", "{{provider}}")],
        Look(MONEY.unit, decimals=2, stacked=True, stepped=True),
    )


def providers_by_day() -> Json:
    """The latest days of each provider."""
    day = 'sum by (provider, day) (provider:gpu_cloud_cost_by_day:sum{provider=~"$provider"})'
    columns = [
        Column("Day", name="day", width=110),
        Column("Provider", name="provider", filtered=True),
        Column("Cost", expr=day, look=MONEY, cell="basic"),
    ]
    body = table(
        "Days by provider ($currency)",
        f"What each provider has charged for each of the last 31 days, the latest first. {_UTC}",
        columns,
        sort=("Day",),
        descending=True,
    )
    return or_said(body, NO_BILL)


def paid() -> Json:
    """Each card at each provider, beside the market."""
    market = (
        'min by (cluster, card) (card:gpu_market_usd_per_gpu_hour:min{card=~"$card", price_tier="ondemand"})'
    )
    paid_here = f"max by (cluster, card, provider) ({_PAID})"
    columns = [
        *joined("cluster"),
        Column("Provider", name="provider", width=110),
        Column("Card", name="card"),
        Column("USD an hour, paid", expr=paid_here, look=USD, width=140, needed=True),
        Column(
            "Cheapest now",
            expr=f"0 * {paid_here} + on (cluster, card) group_left () {market}",
            look=USD,
            width=120,
        ),
        Column(
            "Times",
            expr=f"max by (cluster, card, provider) ({_OVER})",
            look=Look("none", ((None, "green"), (1.5, "orange")), decimals=2),
            cell="color-text",
            width=80,
        ),
    ]
    body = table(
        "Paid for an hour, against the market (USD)",
        "What an hour of a GPU was charged with, mean of 31 days, of charges that tell hours; and what the "
        "cheapest provider of the market asks now for the same card, on demand, at any host. Other "
        "currencies by market.rates. Nothing stands beside a card that nobody rents out.",
        columns,
        sort=("Times",),
        descending=True,
    )
    return or_said(body, "No bill tells hours, or the currency has no rate under market.rates")


def paid_over_time() -> Json:
    """Did it become cheaper?"""
    return timeseries(
        "Paid for an hour over time (USD)",
        "What an hour of each card was charged with at each provider, mean of the 31 days before.",
        [series(f"max by (provider, card) ({_PAID})", "{{card}} · {{provider}}")],
        Look(USD.unit, decimals=2, minimum=0, stepped=True),
    )
