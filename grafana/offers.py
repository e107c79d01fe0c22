"""The offers that the reader searches: one by one, the cheapest of each card, and how far prices lie apart.

What is asked here follows all that the page lets choose.
"""

from dataclasses import replace

from grafana.charts import Part, beside
from grafana.panels import Look, stat
from grafana.queries import Json, instant
from grafana.tables import Column, link, or_said, paged, table, words

TIERS = 'price_tier=~"$price_tier", host_tier=~"$host_tier"'
CARD = f'card=~"$card", card=~".+-$memory", {TIERS}'
PROVIDER = f'{CARD}, provider=~"$provider"'
OFFER = f'{PROVIDER}, region=~"$region"'
KIND = "card, price_tier, host_tier"  # within which prices can be compared
SELLER = f"provider, {KIND}"
EACH = f"{SELLER}, region"
DAYS = 30.4375  # of a month

USD = Look("currencyUSD", decimals=2, minimum=0, sparkline=False, missing="no offer")
MONTHLY = replace(USD, decimals=None)
COUNT = Look("none", decimals=0, sparkline=False, missing="no offer")
SCORE = Look("none", ((None, "blue"),), decimals=0, minimum=0, maximum=100)
RATIO = Look("percentunit", ((None, "purple"),), decimals=0, minimum=0, maximum=1, sparkline=False)
BASES = {
    "gpu_only": ("GPU alone", "text"),
    "instance": ("instance", "text"),
    "bid_stats": ("past bids", "orange"),
    "list": ("list price", "text"),
}
NONE_LIKE_IT = "No offer is like what is chosen; the first line says if there is a market at all"
_BASIS = words(BASES)
_FLOPS = 'max by (card) (gpu_catalog_tflops{precision="bf16_dense"})'


def prices(by: str = EACH) -> str:
    """What can be had now and is not too dear, the cheapest by labels; the same in two clusters is one."""
    return f"min by ({by}) (offer:gpu_market_usd_per_gpu_hour:live{{{OFFER}}} <= $max_price)"


def tiles() -> list[Json]:
    """The answer to "what is the best of this?", in numbers."""
    return [
        stat(
            "Cheapest GPU hour",
            "The cheapest of all offers that are chosen above, of which card and by whom. One of them where "
            "several ask the same.",
            instant(f"bottomk(1, {prices('card, provider')})", "{{card}} · {{provider}}"),
            USD,
            named=True,
        ),
        stat(
            "Widest spread",
            "How much less the cheapest provider asks than the dearest, of the card for which that is most. "
            "Only what two providers or more have on offer can be compared.",
            instant(f"topk(1, {_spread()})", "{{card}}"),
            replace(RATIO, missing="not of two"),
            named=True,
        ),
        stat(
            "Saved a month, $hours h a day",
            "What a GPU costs less at the cheapest provider than at the dearest, of the card for which "
            f"that is most: hours a day times {DAYS} days times the difference of the two prices.",
            instant(f"topk(1, {_saved()})", "{{card}}"),
            replace(MONTHLY, missing="not of two"),
            named=True,
        ),
        beside(
            "On offer",
            "Offers that are chosen above, and the GPUs in them; not every provider says how many it has.",
            [
                Part(instant(f"sum({_of_offers('gpu_market_offers')})", "offers")),
                Part(instant(f"sum({_of_offers('gpu_market_available_gpus')})", "GPUs")),
            ],
            COUNT,
        ),
    ]


def _of_offers(metric: str) -> str:
    """Of what can be had at a price that is not too high."""
    return f"max by ({EACH}) ({metric}{{{OFFER}}}) and on ({EACH}) {prices()}"


def _apart() -> tuple[str, str, str]:
    """The dearest, the cheapest, and the condition that there are two of them."""
    asked = prices(SELLER)
    several = f"on ({KIND}) (count by ({KIND}) ({asked}) >= 2)"
    return f"max by ({KIND}) ({asked})", f"min by ({KIND}) ({asked})", several


def _spread() -> str:
    dearest, cheapest, several = _apart()
    return f"({dearest} - {cheapest}) / {dearest} and {several}"


def _saved() -> str:
    dearest, cheapest, several = _apart()
    return f"$hours * {DAYS} * ({dearest} - {cheapest}) and {several}"


def search() -> Json:
    """All offers that fit, with whatever speaks for or against them."""
    basis = "topk by (provider) (1, max by (provider, basis) (gpu_market_provider_info{}))"
    age = "time() - max by (provider) (gpu_market_last_success_timestamp_seconds{})"
    scored = f"max by ({SELLER}) (card_provider:gpu_market_gscore:ratio{{{PROVIDER}}})"
    # A provider's, or a seller's, at each of its offers: every column has the same labels then.
    score = f"0 * {prices()} + on ({SELLER}) group_left () 100 * {scored}"
    columns = [
        Column("Provider", name="provider", filtered=True, width=95),
        Column("Card", name="card", filtered=True, width=150, link=_only("card")),
        Column("Price tier", name="price_tier", width=85),
        Column("Host tier", name="host_tier", width=95),
        Column("Region", name="region", filtered=True, width=80),
        _price(f"{prices()} * on (provider) group_left (basis) {basis}", "USD an hour", needed=True),
        _price(f"min by ({EACH}) (gpu_market_offer_median_usd_per_gpu_hour{{{OFFER}}})", "Median"),
        Column("GPUs", expr=f"max by ({EACH}) (gpu_market_available_gpus{{{OFFER}}})", look=COUNT, width=65),
        Column(
            "Reliability",
            expr=f"min by ({EACH}) (gpu_market_reliability_ratio{{{OFFER}}})",
            look=replace(RATIO, decimals=1),
            width=85,
        ),
        Column(
            "Per TFLOP-hour", expr=f"{prices()} / on (card) group_left () {_FLOPS}", look=_FINE, width=120
        ),
        Column("G-score", expr=score, look=SCORE, cell="basic"),
        Column("Price is of", name="basis", mappings=(_BASIS,), width=90),
        Column(
            "Age",
            expr=f"0 * {prices()} + on (provider) group_left () ({age})",
            look=replace(COUNT, unit="s"),
            width=75,
        ),
    ]
    return _listed(table("Offers (USD per GPU hour)", _SEARCH, columns, sort=("USD an hour",)))


_SEARCH = (
    "What can be rented now: the cheapest and the median of each provider's offers of a kind, by all that "
    "is chosen above. Price is of: what the provider prices (a past bid can be had by nobody, a list price "
    "says nothing of what is free), so that two prices are alike only where this is. Empty: the provider "
    "does not say. Per TFLOP-hour: of dense BF16, in theory. Age: of the provider's reply. Click a card to "
    "see it alone."
)


def cheapest() -> Json:
    """Card by card: who is cheapest, who is dearest, and what lies between."""
    asked = prices(SELLER)
    dearest, lowest, _ = _apart()
    columns = [
        Column("Card", name="card", filtered=True, width=165, link=_only("card")),
        Column("Price tier", name="price_tier", width=85),
        Column("Host tier", name="host_tier", width=95),
        Column("Cheapest at", name="provider", width=95),
        _price(f"bottomk by ({KIND}) (1, {asked})", "Cheapest"),
        _price(dearest, "Dearest"),
        Column("Providers", expr=f"count by ({KIND}) ({asked})", look=COUNT, width=85),
        Column("Spread", expr=_spread(), look=RATIO, cell="basic"),
        Column("Saved a month", expr=_saved(), look=MONTHLY, width=140),
        Column("Per TFLOP-hour", expr=f"{lowest} / on (card) group_left () {_FLOPS}", look=_FINE, width=120),
    ]
    title = "Cheapest by card, saved at $hours h a day (USD)"
    return _listed(table(title, _CHEAPEST, columns, sort=("Saved a month",), descending=True))


_CHEAPEST = (
    "The cheapest and the dearest of the providers chosen above. Spread: how much less the cheapest asks. "
    f"Saved a month: hours a day times {DAYS} days times the difference, of one GPU. Both only where two "
    "providers or more have it."
)
_FINE = replace(USD, decimals=5)


def _price(expr: str, title: str, *, needed: bool = False) -> Column:
    return Column(title, expr=expr, look=USD, width=115 if needed else 95, needed=needed)


def _only(label: str) -> Json:
    return link("gputally-market", "This alone", **{label: ""})


def _listed(body: Json) -> Json:
    return or_said(paged(body), NONE_LIKE_IT)
