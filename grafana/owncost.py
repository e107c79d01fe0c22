"""What an hour of the site's own cards costs, as busy as they were, and what it is made of.

Of one GPU: fixed (F) is paid for every hour, marginal (M) for every hour of work; busy for the part u of its
time it costs F + u x M an hour, and (F + u x M) / u for an hour of work, which is compared with a rental.
"""

from dataclasses import replace

from grafana.absence import ABSENT, said
from grafana.offers import COUNT, RATIO, TIERS, USD
from grafana.panels import Look
from grafana.queries import Json
from grafana.tables import Column, or_said, table

CARDS = 'card=~"$card"'
KIND = "cluster, card, price_tier, host_tier"
CARD = "cluster, card"
MONTH_HOURS = 730.5

PRICE = f"card:gpu_market_usd_per_gpu_hour:min{{{CARDS}, {TIERS}}}"
OWNED = f"site_owned_gpu_card_info{{{CARDS}}}"
HOUR = f"card:gpu_own_usd_per_hour:avg{{{CARDS}}}"
USED = f"card:gpu_own_utilization:ratio30d{{{CARDS}}}"
# Of an hour of work; nothing where there was none.
WORK_HOUR = f"{HOUR} / on ({CARD}) ({USED} > 0)"
FIXED = f"card:gpu_own_fixed_usd_per_hour:sum{{{CARDS}}}"
MARGINAL = f"card:gpu_own_marginal_usd_per_hour:sum{{{CARDS}}}"
GPUS = f"count by ({CARD}) (uuid:gpu_card_info:max{{{CARDS}}})"

CENTS = replace(USD, decimals=3)
LOAD = replace(RATIO, steps=((None, "blue"),))
_WATTS = Look("watt", decimals=0)
_MONEY, _FINE = Look("none", decimals=2), Look("none", decimals=4)
_NOTHING = "No card of owned_gpus is known: the first line says what is missing"


def parts() -> Json:
    """Fixed and marginal, and the watts that were measured for it."""
    idle, active = f"card:gpu_own_idle_watts:avg{{{CARDS}}}", f"card:gpu_own_active_watts:avg30d{{{CARDS}}}"
    columns = [
        Column("Cluster", name="cluster", width=90),
        Column("Card", name="card"),
        Column("Card", expr=f"group by ({CARD}) ({OWNED})", hidden=True, needed=True),
        _measured("GPUs", GPUS, COUNT, "none metered", 95),
        _measured("Idle", _by_card(idle), _WATTS, "not measured", 105),
        _measured("Of a busy hour", _by_card(active), _WATTS, "not measured", 105),
        _measured("Utilisation, 30 days", _by_card(USED), LOAD, "not measured", 145),
        Column("Fixed an hour", expr=_by_card(FIXED), look=CENTS, width=110),
        Column("Marginal an hour", expr=_by_card(MARGINAL), look=CENTS, width=125),
        Column("An hour", expr=_by_card(HOUR), look=CENTS, width=90),
        Column("An hour of work", expr=_by_card(WORK_HOUR), look=CENTS, width=125),
    ]
    body = table(
        "What an own hour is made of (USD)",
        "Of one GPU. Fixed: write-off, running cost and idle power, paid for every hour. Marginal: what an "
        "hour of work adds, the power above idle. An hour: fixed, and of the marginal the part in which it "
        "worked. An hour of work: the same by the utilisation, to be compared with a rental. Watts are "
        "measured: idle while no job held it; of a busy hour that, and all energy above it by the hours in "
        "which it worked. More than the card can draw says that it is held and waits a lot. Power at the "
        "tariff's mean of seven days, PUE included.",
        columns,
        sort=("Card",),
    )
    return or_said(body, _NOTHING)


def _measured(title: str, expr: str, look: Look, word: str, width: int) -> Column:
    """A word where there is a card of one's own and nobody has measured it."""
    told = f"{expr} or {ABSENT} * group by ({CARD}) ({OWNED})"
    return Column(title, expr=told, look=look, width=width, mappings=(said(word),))


def _by_card(expression: str) -> str:
    return f"max by ({CARD}) ({expression})"


def assumptions() -> Json:
    """What was declared, model by model, and what it lacks to be compared."""
    by = "cluster, model"
    known = f"max by ({by}, card) (site_owned_gpu_card_info{{}})"
    unknown = f"group by ({by}) (site_owned_gpu_life_seconds{{}}) unless on ({by}) {known}"
    card = f'{known} or label_replace({unknown}, "card", "unknown to the catalogue", "", "")'
    capital = "site_owned_gpu_capital{}"
    usd = "max by (cluster, currency) (site_usd_per_unit{})"
    rate = f"0 * {capital} + on (cluster, currency) group_left () {usd}"
    columns = [
        Column("Cluster", name="cluster", width=90),
        Column("Model", name="model"),
        Column("Card", name="card", width=180),
        Column("Card", expr=card, hidden=True),
        _declared("Capital", "capital", _MONEY, 105),
        _declared("Residual", "residual", _MONEY, 105),
        _declared("Life", "life_seconds", Look("s"), 100),
        _declared("Running cost, hourly", "opex_per_hour", _FINE, 155),
        _declared("Without energy, hourly", "rate_per_hour", _FINE, 170),
        Column(
            "USD for one of it",
            expr=f"max by ({by}) ({rate}) or {ABSENT} * group by ({by}) (site_owned_gpu_life_seconds{{}})",
            look=_FINE,
            width=130,
            mappings=(said("no rate"),),
        ),
    ]
    body = table(
        "Declared of own GPUs ($currency)",
        "What stands under owned_gpus in the configuration, of one GPU of each model. Without energy: "
        "capital less residual over its life, and the running cost. USD for one of it: the rate of "
        "market.rates; without one, amounts in another currency cannot be compared with rentals. A model "
        "unknown to the catalogue of cards becomes known by market.aliases.",
        columns,
        sort=("Model",),
    )
    return or_said(body, "Nothing is known of owned_gpus: the first line says what is missing")


def _declared(title: str, what: str, look: Look, width: int) -> Column:
    expr = f"max by (cluster, model) (site_owned_gpu_{what}{{}})"
    return Column(title, expr=expr, look=look, width=width)
