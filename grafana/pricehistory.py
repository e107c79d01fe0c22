"""How prices have gone: of a card by provider, of cards by themselves, and how far they lay apart."""

from grafana.offers import CARD, KIND, PROVIDER, SELLER, USD
from grafana.overrides import of_query, overridden
from grafana.panels import Look, timeseries
from grafana.queries import Json, at_end, series

_OFFERED = f"card_provider:gpu_market_usd_per_gpu_hour:min{{{PROVIDER}}}"
_SPREAD = f"card:gpu_market_spread:ratio{{{CARD}}}"
_FEW = 12
_STEPPED = Look(USD.unit, decimals=2, minimum=0, stepped=True)
_ALL_REGIONS = "All regions, whatever they cost."
_OF_MORE = "at the end of the time range"


def by_provider() -> Json:
    """Each provider's price."""
    asked = f"min by ({SELLER}) ({_OFFERED})"
    one = f"on (card) topk(1, {_offered()})"
    body = _lines(
        "Price by provider (USD per GPU hour)",
        f"The cheapest of each provider, of the chosen card; of several, of that which most sell {_OF_MORE}. "
        f"A price holds until the next reply; a gap is a provider that told nothing. {_ALL_REGIONS}",
        f"{asked} and {one}",
        "{{card}} · {{provider}} · {{price_tier}}, {{host_tier}}",
    )
    return beside_it(body)


def beside_it(body: Json) -> Json:
    """The graph with its legend on the right, where there is room for many long names."""
    options = body["options"]
    return body | {"options": options | {"legend": options["legend"] | {"placement": "right"}}}


def by_card() -> Json:
    """The cheapest of each card."""
    asked = f"min by (card) ({_OFFERED})"
    return _lines(
        "Cheapest by card (USD per GPU hour)",
        f"The cheapest of the chosen providers and tiers, of the chosen cards; of more than {_FEW}, those "
        f"that most sell {_OF_MORE}. {_ALL_REGIONS}",
        f"{asked} and on (card) topk({_FEW}, {_offered()})",
        "{{card}}",
    )


def spread() -> Json:
    """Is it worth while to look around?"""
    asked = f"max by ({KIND}) ({_SPREAD})"
    most = f"topk({_FEW}, max by ({KIND}) ({at_end(_SPREAD)}))"
    body = timeseries(
        "Spread over time",
        f"How much less the cheapest of all providers asks than the dearest; of more than {_FEW} cards and "
        f"tiers, those for which that is most {_OF_MORE}. Nothing where only one has the card.",
        [series(f"{asked} and on ({KIND}) {most}", "{{card}} · {{price_tier}}, {{host_tier}}")],
        Look("percentunit", decimals=0, minimum=0, maximum=1, stepped=True),
    )
    return overridden(body, [of_query("A", {"custom.fillOpacity": 0})])


def _offered() -> str:
    """Card -> how many sell it, at the end of the range: else it would be now these cards, now those."""
    return f"count by (card) ({at_end(_OFFERED)})"


def _lines(title: str, description: str, expression: str, legend: str) -> Json:
    body = timeseries(title, description, [series(expression, legend)], _STEPPED)
    return overridden(body, [of_query("A", {"custom.fillOpacity": 0, "custom.lineWidth": 2})])
