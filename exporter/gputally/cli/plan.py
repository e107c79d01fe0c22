"""`gputally plan`: what it would cost to rent what is needed, beside the same on GPUs of one's own."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from gputally.cli.marketflags import FROM, WHICH, wanted_of
from gputally.cli.planflags import NEED, OWN, plan_of
from gputally.cli.shapeflags import form, given
from gputally.tables.columns import Column, Row, exact

if TYPE_CHECKING:  # nothing of it is needed to print --help
    from gputally.config.rentals import Plan
    from gputally.site.market.cards import Catalogue
    from gputally.site.market.listing import Listing
    from gputally.site.market.own import OwnOption, Watts
    from gputally.site.market.planner import Answer, Option
    from gputally.tables.listed import Listed

OPTIONS = 5
COLUMNS = (
    Column("rank", "#"),
    Column("kind", "KIND"),
    Column("provider", "PROVIDER"),
    Column("card", "CARD"),
    Column("gpus", "GPUS", "count"),
    Column("usd_per_gpu_hour", "USD/GPU-H", "rate"),
    Column("hours", "HOURS", "hours"),
    Column("usd", "USD", "money"),
    Column("gscore", "G-SCORE", "ratio"),
    Column("price_tier", "PRICE"),
    Column("host_tier", "HOST"),
    Column("region", "REGION"),
    Column("available_gpus", "FREE", "count"),
    Column("offers", "OFFERS", "count"),
    Column("basis", "BASIS"),
    Column("fixed_usd", "FIXED USD", "money"),
    Column("offer_ids", "IDS"),
    Column("url", "LINK", "link"),
)
_NOT_IN_TABLE = ("kind", "fixed_usd", "offer_ids")


@click.command()
@given(
    *NEED,
    *WHICH,
    *OWN,
    click.option(
        "--limit",
        help="Options that are shown; 0: all.",
        type=click.IntRange(0, 1_000_000),
        default=OPTIONS,
        show_default=True,
    ),
    form("Options for people or for programs."),
    *FROM,
)
def plan(**flags: Any) -> None:  # noqa: ANN401 - click's own
    """Say what renting GPUs would cost, cheapest first, and the same on one's own.

    What is needed is said by --tflops and --hours; or by --gpus, --card and --hours; or by --total-flops and
    --deadline. Prices are on demand if --price-tier says nothing else.

    Exit status: 0 an answer, 1 nobody answers, 2 wrong usage.
    """
    need, watts = plan_of(flags), _watts(flags)
    from gputally.cli.listing import find_listing  # noqa: PLC0415 - not before the flags are right
    from gputally.cli.printing import write  # noqa: PLC0415

    listing, catalogue, source, failures = find_listing(flags)
    write("plan", _listed(flags, need, watts, (listing, catalogue, source, failures)), flags["form"], 1, 0)


def _watts(flags: Mapping[str, Any]) -> "Watts | None":
    from gputally.site.market.own import Watts  # noqa: PLC0415 - as above

    idle, active = flags["idle_watts"], flags["active_watts"]
    if idle is None and active is None:
        return None
    if idle is None or active is None or idle > active:
        raise click.UsageError("expected both --idle-watts and --active-watts, the latter not less")
    return Watts(idle, active)


def _listed(
    flags: Mapping[str, Any],
    need: "Plan",
    watts: "Watts | None",
    found: "tuple[Listing, Catalogue, str, Mapping[str, str]]",
) -> "Listed":
    from gputally.cli import planwords  # noqa: PLC0415 - as above
    from gputally.cli.marketwords import about_bases, about_score, about_source, moment  # noqa: PLC0415
    from gputally.site.market.own import Use, own_options  # noqa: PLC0415
    from gputally.site.market.planner import options_for  # noqa: PLC0415
    from gputally.site.market.search import Sight  # noqa: PLC0415
    from gputally.tables.listed import Listed  # noqa: PLC0415

    listing, catalogue, source, failures = found
    market, now_seconds = listing.market, listing.at_seconds
    wanted = wanted_of(flags, listing, catalogue)
    budget = flags["budget_usd"]
    sight = Sight(market, catalogue, listing.weights, now_seconds)
    answer = options_for(need, sight, wanted, budget)
    shown = answer.options[: flags["limit"] or None]
    own = tuple(own_options(need, listing.own, catalogue, wanted.cards, Use(watts, flags["utilization"])))
    notes = [
        *planwords.about_need(need, flags["mfu"] is not None, flags["price_tiers"]),
        *planwords.about_answer(answer, len(shown), budget),
        *about_bases(market, (option.provider for option in shown)),
        *planwords.about_own(listing.own, own, watts),
        *([about_score(listing.weights)] if shown else ()),
        *about_source(listing, source, failures),
    ]
    return Listed(
        "plan",
        f"plan: {planwords.needed(need, flags['cards'])}",
        COLUMNS,
        [*_rows(answer, len(shown)), *map(_own_row, own)],
        tuple(notes),
        {"need": planwords.facts(need), "as_of": moment(now_seconds), "source": source},
        _NOT_IN_TABLE,
    )


def _rows(answer: "Answer", most: int) -> Iterator[Row]:
    for rank, option in enumerate(answer.options[:most], start=1):
        yield {"rank": str(rank), "kind": "rent", **_row(option)}


def _row(option: "Option") -> Row:
    offers = [line.offer for line in option.lines]
    return {
        "provider": option.provider,
        "card": option.card,
        "gpus": Decimal(option.gpus),
        "usd_per_gpu_hour": option.usd_per_gpu_hour,
        "hours": option.hours,
        "usd": option.usd,
        "gscore": exact(option.score.ratio),
        "price_tier": option.price_tier,
        "host_tier": option.host_tier,
        "region": ", ".join(dict.fromkeys(offer.region for offer in offers if offer.region)),
        "available_gpus": exact(option.available_gpus),
        "offers": Decimal(len(offers)),
        "basis": option.basis,
        "offer_ids": " ".join(offer.offer_id for offer in offers if offer.offer_id),
        "url": offers[0].url,
    }


def _own_row(option: "OwnOption") -> Row:
    return {
        "rank": "own",
        "kind": "own",
        "provider": "own",
        "card": option.card,
        "gpus": Decimal(option.gpus),
        "usd_per_gpu_hour": option.usd_per_gpu_hour,
        "hours": option.hours,
        "usd": option.usd,
        "fixed_usd": option.fixed_usd,
    }
