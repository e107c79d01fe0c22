"""`gputally offers`: what GPUs are rented for elsewhere, searched and sorted, with ids and links."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from gputally.cli.marketflags import FROM, WHICH, Amount, wanted_of
from gputally.cli.shapeflags import PAGE, form, given, limit_of
from gputally.site.market.search import ORDERS
from gputally.tables.columns import Column, Row, exact

if TYPE_CHECKING:  # nothing of it is needed to print --help
    from gputally.site.market.cards import Catalogue
    from gputally.site.market.listing import Listing
    from gputally.site.market.search import Found, Wanted
    from gputally.tables.listed import Listed

COLUMNS = (
    Column("card", "CARD"),
    Column("provider", "PROVIDER"),
    Column("usd_per_gpu_hour", "USD/GPU-H", "rate"),
    Column("usd_per_tflop_hour", "USD/TFLOP-H", "rate", digits=6),
    Column("gscore", "G-SCORE", "ratio"),
    Column("price_tier", "PRICE"),
    Column("host_tier", "HOST"),
    Column("region", "REGION"),
    Column("country", "COUNTRY"),
    Column("node_gpus", "NODE", "count"),
    Column("available_gpus", "FREE", "count"),
    Column("reliability_ratio", "RELIABLE", "ratio"),
    Column("memory_gib", "GIB", "count"),
    Column("nvlink", "NVLINK"),
    Column("basis", "BASIS"),
    Column("gscore_parts", "SCORE OF"),
    Column("note", "NOTE"),
    Column("offer_id", "OFFER"),
    Column("url", "LINK", "link"),
)
_NOT_IN_TABLE = ("country", "memory_gib", "nvlink", "gscore_parts", "note")
_MOST = Decimal(1_000_000)


@click.command()
@given(
    *WHICH,
    click.option(
        "--memory", help="GiB that a GPU has at least.", type=Amount(Decimal(0), _MOST), default="0"
    ),
    click.option(
        "--max-usd", help="Most that a GPU costs for an hour, in USD.", type=Amount(Decimal(0), _MOST)
    ),
    click.option(
        "--min-available",
        help="GPUs that are free at least, where the provider says how many.",
        type=click.IntRange(0, 1_000_000),
        default=0,
    ),
    click.option("--sold-out", help="What is sold out, too.", is_flag=True),
    click.option(
        "--sort",
        help="Lowest price of a GPU or of a TFLOP, highest G-score or most free GPUs first.",
        type=click.Choice(ORDERS),
        default="price",
        show_default=True,
    ),
    *PAGE,
    form("Offers for people or for programs."),
    *FROM,
)
def offers(**flags: Any) -> None:  # noqa: ANN401 - click's own
    """List what GPUs can be rented for, cheapest first.

    Exit status: 0 a list, 1 nobody answers, 2 wrong usage.
    """
    from gputally.cli.listing import find_listing  # noqa: PLC0415 - not before the flags are right
    from gputally.cli.printing import write  # noqa: PLC0415

    listing, catalogue, source, failures = find_listing(flags)
    listed = _listed(flags, listing, catalogue, source, failures)
    write("offers", listed, flags["form"], flags["page"], limit_of(flags))


def _listed(
    flags: Mapping[str, Any],
    listing: "Listing",
    catalogue: "Catalogue",
    source: str,
    failures: Mapping[str, str],
) -> "Listed":
    from gputally.cli.marketwords import about_bases, about_score, about_source, moment  # noqa: PLC0415
    from gputally.site.market.search import Sight, search  # noqa: PLC0415
    from gputally.tables.listed import Listed  # noqa: PLC0415

    wanted, market = wanted_of(flags, listing, catalogue), listing.market
    sight = Sight(market, catalogue, listing.weights, listing.at_seconds)
    found = search(sight, wanted, flags["sort"])
    notes = [
        *about_source(listing, source, failures),
        *_about_missing(listing, found, wanted),
        *about_bases(market, (one.offer.provider for one in found)),
        *([about_score(listing.weights)] if found else ()),
    ]
    return Listed(
        "offers",
        f"offers: {len(found)} of {len(market.offers(listing.at_seconds))}, by {flags['sort']}",
        COLUMNS,
        [_row(one) for one in found],
        tuple(notes),
        {"as_of": moment(listing.at_seconds), "source": source},
        _NOT_IN_TABLE,
    )


def _about_missing(listing: "Listing", found: "tuple[Found, ...]", wanted: "Wanted") -> Iterator[str]:
    offers = listing.market.offers(listing.at_seconds)
    gone = sum(offer.available_gpus == 0 for offer in offers)
    if gone and not wanted.sold_out:
        yield f"Sold out and not among these: {gone} (--sold-out)."
    silent = sum(offer.available_gpus is None for offer in offers)
    if silent and wanted.min_available:
        yield f"Not among these, as nobody says how many are free: {silent} (--min-available)."
    if any(one.offer.available_gpus is None for one in found):
        yield "FREE -: the provider does not say how many there are."


def _row(found: "Found") -> Row:
    offer, card, score = found.offer, found.card, found.score
    return {
        "card": offer.card,
        "provider": offer.provider,
        "usd_per_gpu_hour": offer.usd_per_gpu_hour,
        "usd_per_tflop_hour": found.usd_per_tflop_hour,
        "gscore": exact(score.ratio),
        "price_tier": offer.price_tier,
        "host_tier": offer.host_tier,
        "region": offer.region,
        "country": offer.country,
        "node_gpus": Decimal(offer.node_gpus),
        "available_gpus": exact(offer.available_gpus),
        "reliability_ratio": exact(offer.reliability_ratio),
        "memory_gib": Decimal(card.memory_gib),
        "nvlink": {None: None, True: "yes", False: "no"}[offer.nvlink],
        "basis": found.basis,
        "gscore_parts": " ".join(score.parts),
        "note": offer.note,
        "offer_id": offer.offer_id,
        "url": offer.url,
    }
