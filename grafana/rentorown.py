"""The page for whoever buys: are our own cards cheaper than rented ones, as busy as they are?"""

from dataclasses import replace

from grafana import owncost, prices, variables
from grafana.absence import ABSENT, said
from grafana.charts import banner
from grafana.offers import COUNT, MONTHLY, RATIO, TIERS, USD
from grafana.overrides import dashed, of_query, overridden
from grafana.owncost import (
    CARD,
    CARDS,
    CENTS,
    GPUS,
    HOUR,
    KIND,
    LOAD,
    MONTH_HOURS,
    OWNED,
    PRICE,
    USED,
    WORK_HOUR,
)
from grafana.page import Line, Opening, page
from grafana.panels import Look, row, stat, timeseries
from grafana.providers import NOT_SCRAPED
from grafana.queries import Json, instant, series
from grafana.tables import Column, link, or_said, table, words

UID = "gputally-rent-or-own"

_BREAK_EVEN = f"card:gpu_own_breakeven_utilization:ratio{{{CARDS}, {TIERS}}}"
_CHEAPER = f"card:gpu_own_is_cheaper:bool{{{CARDS}, {TIERS}}}"
_SELLERS = f"card:gpu_market_cheapest_usd_per_gpu_hour:info{{{CARDS}, {TIERS}}}"
_RENTED = f"max by ({KIND}) ({PRICE} and on ({CARD}) {OWNED})"
_NO_RENTAL = "Nobody is known to rent out a card of owned_gpus: the first line says what is missing"
_UNKNOWN, _BELOW_POWER = -2, -1
_VERDICTS = {
    "1": ("own is cheaper", "green"),
    "0": ("renting is cheaper", "orange"),
    str(_BELOW_POWER): ("renting costs less than our power", "orange"),
    str(_UNKNOWN): ("own cost not known", "text"),
}
_DECLARED, _KNOWN = "site_owned_gpu_life_seconds{}", "site_owned_gpu_card_info{}"
_POWER, _MEASURED = "cluster:site_electricity_usd_per_kwh:avg7d{}", "card:gpu_own_usd_per_hour:avg{}"
# What is missing first, in the order in which it is asked: number -> words, colour, condition by cluster.
_MISSING = (
    ("No market is configured: there is nothing to compare with", "dark-blue", "gpu_market_provider_info{}"),
    ("No GPU is declared under owned_gpus in the configuration", "dark-blue", _DECLARED),
    ("No declared model is in the catalogue of cards: market.aliases", "dark-orange", _KNOWN),
    # Own GPUs are declared in the tariff's currency.
    ("No rate for the tariff's currency: market.rates", "dark-orange", _POWER),
    ("Not yet measured: own cost follows the first whole hours", "dark-orange", _MEASURED),
    ("Nobody rents out the own cards at the moment", "dark-blue", "card:gpu_own_is_cheaper:bool{}"),
)


def rent_or_own() -> Json:
    """Own cards of all clusters that the variables select."""
    per_kwh, pue, *_ = prices.facts()
    lines: list[Line] = [
        (3, [(24, _whether())]),
        (10, [(24, _verdicts())]),
        (9, [(14, _over_time()), (10, _utilisation())]),
        (1, [(24, row("A month"))]),
        (9, [(24, _month())]),
        (1, [(24, row("What it is made of"))]),
        (5, [(24, owncost.parts())]),
        (5, [(24, owncost.assumptions())]),
        (4, [(8, per_kwh), (8, pue), (8, _power_price())]),
    ]
    about = "Own GPUs at what they cost as busy as they are, beside the cheapest rental of the same card."
    choices = [variables.currency(), *variables.own_cards()]
    opening = Opening("now-7d", refresh="5m", choices=choices, of_machines=False)
    return page(UID, "Rent or own", about, lines, opening=opening)


def _whether() -> Json:
    """Says what is missing before there is anything to compare."""
    missing = [
        f"{number} * (group by (cluster) (site_info{{}}) unless on (cluster) {needed})"
        for number, (_, _, needed) in enumerate(_MISSING, start=1)
    ]
    says = {str(number): (text, color) for number, (text, color, _) in enumerate(_MISSING, start=1)}
    complete = "0 * group by (cluster) (site_info{})"
    body = banner(
        "Is there enough to compare?",
        "What it takes: a market, GPUs declared as one's own, their models in the catalogue of cards, a "
        "rate for their currency, some hours of metering, and somebody who rents out the same card. The "
        "first of these that is missing stands here, for each cluster.",
        instant(" or ".join([*missing, complete]), "{{cluster}}"),
        Look("none", ((None, "dark-red"),), missing=NOT_SCRAPED),
        [words(says | {"0": ("Own cost and rental prices are known", "dark-green")})],
    )
    # The cluster's name is there where there are two of them.
    return body | {"options": body["options"] | {"textMode": "auto"}}


def _verdicts() -> Json:
    at_own = f"on ({CARD}) group_left ()"
    below = f"{_RENTED} and on ({CARD}) {HOUR} unless on ({KIND}) {_BREAK_EVEN}"
    verdict = (
        f"max by ({KIND}) ({_CHEAPER}) or {_BELOW_POWER} * group by ({KIND}) ({below})"
        f" or {_UNKNOWN} * group by ({KIND}) ({_RENTED})"
    )
    part = replace(LOAD, steps=((None, "orange"), (1, "green")), maximum=2)
    seller = f"topk by ({KIND}) (1, max by ({KIND}, provider) ({_SELLERS} and on ({CARD}) {OWNED}))"
    work = f"0 * {_RENTED} + {at_own} ({WORK_HOUR}) or {ABSENT} * group by ({KIND}) ({_RENTED})"
    columns = [
        Column("Cluster", name="cluster", width=90),
        Column("Card", name="card", width=155, link=link("gputally-market", "Its offers", card="")),
        Column("Price tier", name="price_tier", width=85),
        Column("Host tier", name="host_tier", width=95),
        Column("Verdict", expr=verdict, cell="color-text", width=205, mappings=(words(_VERDICTS),)),
        Column("Own hour of work", expr=work, look=CENTS, width=130, mappings=(said("not known"),)),
        Column("Cheapest rental", expr=seller, look=CENTS, width=140),
        Column("At", name="provider", width=85),
        Column("Utilisation, 30 days", expr=f"0 * {_RENTED} + {at_own} {USED}", look=LOAD, cell="basic"),
        Column("Break-even", expr=f"max by ({KIND}) ({_BREAK_EVEN})", look=_NEEDED, cell="basic"),
        Column("Of break-even", made_of=("Utilisation, 30 days", "/", "Break-even"), look=part, cell="basic"),
    ]
    body = table(
        "Own or rent (USD per GPU hour)",
        "Each own card against the cheapest rental of each kind. Break-even: for which part of the time an "
        "own GPU has to work to be cheaper; above 100 % it never is. Of break-even: how busy it was, of "
        "that; from 100 % own is cheaper. Where the power of an hour of work alone costs more than renting "
        "one, there is no break-even. Utilisation is measured, of all own GPUs of the card.",
        columns,
        sort=("Card", "Cheapest rental"),
    )
    return or_said(body, _NO_RENTAL)


_NEEDED = replace(RATIO, steps=((None, "purple"), (1, "orange")))


def _over_time() -> Json:
    body = timeseries(
        "Own hour of work and cheapest rental (USD per GPU hour)",
        "Lines: what an hour of work of an own GPU costs, at the utilisation of the 30 days before. "
        "Dashed: the cheapest rental of the same card, by tiers.",
        [
            series(f"max by ({CARD}) ({WORK_HOUR})", "{{card}}, own"),
            series(_RENTED, "{{card}}, {{price_tier}}, {{host_tier}}"),
        ],
        Look(USD.unit, decimals=2, minimum=0, stepped=True),
    )
    thick: Json = {"custom.fillOpacity": 0, "custom.lineWidth": 3}
    named: Json = {"custom.fillOpacity": 0, "custom.lineStyle": {"dash": [6, 6], "fill": "dash"}}
    return overridden(body, [of_query("A", thick), of_query("B", named)])


def _utilisation() -> Json:
    body = timeseries(
        "Utilisation and break-even",
        "Lines: how busy own GPUs were in the 30 days before. Dashed: how busy they would have to be, to be "
        "cheaper than the cheapest rental of each kind; what is above 100 % is not drawn.",
        [
            series(f"max by ({CARD}) ({USED})", "{{card}}"),
            series(f"max by ({KIND}) ({_BREAK_EVEN})", "{{card}}, {{price_tier}}, {{host_tier}}"),
        ],
        Look("percentunit", decimals=0, minimum=0, maximum=1, stepped=True),
    )
    thick: Json = {"custom.fillOpacity": 0, "custom.lineWidth": 3}
    return overridden(body, [of_query("A", thick), dashed("B")])


def _month() -> Json:
    at_own = f"on ({CARD}) group_left ()"
    gpus = f"0 * {_RENTED} + {at_own} {GPUS}"
    own = f"0 * {_RENTED} + {at_own} ({GPUS} * on ({CARD}) {HOUR} * {MONTH_HOURS})"
    always = f"{_RENTED} * {at_own} ({GPUS} * {MONTH_HOURS})"
    used = f"{_RENTED} * {at_own} ({GPUS} * on ({CARD}) {USED} * {MONTH_HOURS})"
    less = f"({used}) - ({own})"
    columns = [
        Column("Cluster", name="cluster", width=90),
        Column("Card", name="card", width=155),
        Column("Price tier", name="price_tier", width=90),
        Column("Host tier", name="host_tier", width=100),
        Column("Price", expr=_RENTED, hidden=True, needed=True),
        _or_word("GPUs", gpus, COUNT, "none metered"),
        _or_word("Own", own, MONTHLY, "not known"),
        _or_word("Rented for the hours of work", used, MONTHLY, "not measured"),
        _or_word("Rented all the time", always, MONTHLY, "not known"),
        Column("Renting more than own", expr=less, look=_SIGNED),
    ]
    body = table(
        "A month of all own GPUs, either way (USD)",
        f"Of {MONTH_HOURS:g} hours and of all metered GPUs of a card. Own: fixed cost, and power as busy as "
        "they were. Rented: the same hours of work at the cheapest price, as if a GPU could be had and "
        "given back by the hour; and all hours, as with a contract. Below zero, renting the hours of work "
        "is cheaper.",
        columns,
        sort=("Card", "Rented for the hours of work"),
    )
    return or_said(body, _NO_RENTAL)


_SIGNED = replace(MONTHLY, minimum=None, steps=((None, "orange"), (0, "green")))


def _or_word(title: str, amount: str, look: Look, word: str) -> Column:
    """A word where somebody rents the card out and the amount is not known."""
    told = f"{amount} or {ABSENT} * group by ({KIND}) ({_RENTED})"
    width = 230 if len(title) > 20 else None  # pixels, for a long title with a sign of its order
    return Column(title, expr=told, look=look, width=width, mappings=(said(word),))


def _power_price() -> Json:
    return stat(
        "Energy of own GPUs (USD per kWh)",
        "The tariff's mean of seven days, PUE included: what power costs wherever own GPUs are reckoned "
        "with on this page.",
        instant(f"max({_POWER})", "USD per kWh"),
        replace(USD, decimals=4, missing="no rate, or no market"),
    )
