"""The page about what GPUs are rented for elsewhere: who is cheapest, was it always so, who is believed?"""

from grafana import gscore, offers, pricehistory, providers, rentals, variables
from grafana.page import Line, Opening, page
from grafana.panels import row
from grafana.queries import Json

UID = "gputally-market"


def market() -> Json:
    """All offers of the providers that the site asks, as far as the variables select them."""
    lines: list[Line] = [
        (3, [(16, providers.whose_offers()), (8, providers.fresh())]),
        (4, [(6, tile) for tile in offers.tiles()]),
        (12, [(24, offers.search())]),
        (9, [(24, offers.cheapest())]),
        (1, [(24, row("Over time: follows Memory, Card, Provider and tiers"))]),
        (10, [(24, pricehistory.by_provider())]),
        (9, [(12, pricehistory.by_card()), (12, pricehistory.spread())]),
        (1, [(24, row("G-score: follows Memory, Card, Provider and tiers"))]),
        (4, [(24, gscore.formula())]),
        (9, [(24, gscore.scores())]),
        (1, [(24, row("Rented and planned: follows Cluster alone"))]),
        (6, [(24, rentals.declared())]),
        (6, [(12, rentals.planned()), (12, rentals.plans_over_time())]),
        (1, [(24, row("Providers: follows Cluster alone"))]),
        (9, [(24, providers.asked())]),
        (8, [(9, providers.ages()), (9, providers.failures()), (6, providers.dropped())]),
    ]
    about = "What an hour of a GPU is rented for elsewhere, by whom, and what could be saved."
    opening = Opening("now-7d", refresh="5m", choices=variables.offers(), of_machines=False)
    return page(UID, "GPU market", about, lines, opening=opening)
