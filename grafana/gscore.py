"""The G-score: with its formula, with the weights that the site has given it, and with what it is made of."""

from dataclasses import replace

from grafana.charts import Part, beside
from grafana.offers import COUNT, NONE_LIKE_IT, PROVIDER, RATIO, SCORE, SELLER, USD
from grafana.queries import Json, instant
from grafana.tables import Column, or_said, paged, table

_ASKED = f"min by ({SELLER}) (card_provider:gpu_market_usd_per_gpu_hour:min{{{PROVIDER}}})"
# The parts, and in a few words how each becomes a number from 0 to 1.
PARTS = {
    "price": "price: cheapest / this",
    "reliability": "reliability: 90 % is 0, 100 % is 1",
    "availability": "availability: GPUs / enough, up to 1",
}
FORMULA = (
    "Three parts from 0 to 1, weighted, added up, times 100. Price: the cheapest price of the same card "
    "and tiers by this one. Reliability: 0 at a published 90 %, 1 at 100 %; where the provider publishes "
    "none, the share of the last seven days in which it had the card on offer. Availability: GPUs on offer "
    "by the number that is enough, and 1 above it. A part that the provider says nothing of is left out, "
    "and the others weigh for it. The score compares within one card and its tiers, and says nothing about "
    "network or security."
)


def formula() -> Json:
    """The weights in force, each with what it weighs."""
    weights = [
        Part(instant(f'max(gpu_market_gscore_weight{{part="{part}"}})', how)) for part, how in PARTS.items()
    ]
    enough = Part(instant("max(gpu_market_gscore_gpus{})", "GPUs that are enough"), COUNT)
    body = beside(
        "G-score: weight x part, added up, x 100",
        f"{FORMULA} Weights and the number that is enough stand in the configuration, market.gscore.",
        [*weights, enough],
        replace(RATIO, steps=((None, "blue"),), missing="none known"),
    )
    # The names are the formula, and have to be legible on a narrow screen.
    return body | {"options": body["options"] | {"text": {"titleSize": 13, "valueSize": 30}}}


def scores() -> Json:
    """Each seller's score, beside what it is made of."""
    columns = [
        Column("Card", name="card", filtered=True, width=165),
        Column("Provider", name="provider", filtered=True, width=95),
        Column("Price tier", name="price_tier", width=90),
        Column("Host tier", name="host_tier", width=95),
        Column("G-score", expr=f"100 * {_of_seller('gscore:ratio')}", look=SCORE, cell="basic", needed=True),
        *[Column(f"{part.title()} part", expr=_part(part), look=_PART, cell="basic") for part in PARTS],
        Column("USD an hour", expr=_ASKED, look=USD, width=100),
        Column("Reliability", expr=_of_offers("min", "gpu_market_reliability_ratio"), look=_EXACT, width=95),
        Column("Stock, 7 days", expr=_of_seller("stock:ratio7d"), look=RATIO, width=105),
        Column("GPUs", expr=_of_offers("max", "gpu_market_available_gpus"), look=COUNT, width=65),
    ]
    body = table(
        "G-score by card and provider",
        f"What each provider is worth that sells a card, all regions. {FORMULA} Empty: it does not say.",
        columns,
        sort=("G-score",),
        descending=True,
    )
    return or_said(paged(body), NONE_LIKE_IT)


_EXACT = replace(RATIO, decimals=1)
_PART = replace(RATIO, steps=((None, "green"),))


def _part(part: str) -> str:
    return f'max by ({SELLER}) (card_provider:gpu_market_gscore_part:ratio{{{PROVIDER}, part="{part}"}})'


def _of_seller(what: str) -> str:
    return f"max by ({SELLER}) (card_provider:gpu_market_{what}{{{PROVIDER}}})"


def _of_offers(how: str, metric: str) -> str:
    return f"{how} by ({SELLER}) ({metric}{{{PROVIDER}}})"
