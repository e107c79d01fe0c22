"""What has to be known of prices before they are believed, in sentences below a table."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal

from gputally.config.market import GScore
from gputally.model.market import Fetched, Market
from gputally.site.market.listing import Listing

RECORDING = "recording"
_SHOWN = 5  # labels, providers
BASES = {
    "gpu_only": "a price is for the GPU; CPU, memory, disk and traffic may cost extra",
    "instance": "a price is a GPU's part of a whole machine; more disk, and traffic, cost extra",
    "bid_stats": "a price is what was bid in the past, and nothing that can be ordered",
    "list": "a price is of a list; nobody says whether there is a GPU",
}


def percent(part: Decimal) -> str:
    """A part of 1 for people."""
    return f"{(100 * part).normalize():f} %"


def moment(seconds: float) -> str:
    """Unix time for people."""
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d %H:%M:%S} UTC"


def about_source(listing: Listing, source: str, failures: Mapping[str, str]) -> Iterator[str]:
    """Where the offers come from, and what is wrong with them."""
    yield f"Offers as of {moment(listing.at_seconds)}, from {source}."
    for report in listing.market.providers:
        if report.provider in failures:
            yield f"{report.provider} has not answered: {failures[report.provider]}."
        elif not report.fresh(listing.at_seconds):
            last = report.success_seconds
            when = f"the last good reply is of {moment(last)}" if last is not None else "no good reply yet"
            yield f"{report.provider} is not among them: {when}."
        elif report.fetched is not None:
            yield from _about_reply(report.provider, report.fetched)
    played = [report.provider for report in listing.market.providers if report.source == RECORDING]
    if played:
        yield f"{', '.join(played)}: a recording that is played; these are not today's prices."
    if listing.left_out:
        yield f"{listing.left_out} offers more were too many for the document."


def _about_reply(provider: str, fetched: Fetched) -> Iterator[str]:
    if fetched.truncated:
        yield f"{provider} shows a part of what it has."
    unmapped = fetched.rejected.get("unmapped", 0)
    if unmapped:
        labels = ", ".join(fetched.unmapped[:_SHOWN]) + (", ..." if len(fetched.unmapped) > _SHOWN else "")
        rows = f"{unmapped} row{'s' * (unmapped != 1)}"
        yield f"{provider}: {rows} of cards that the catalogue does not know: {labels}."


def about_bases(market: Market, shown: Iterable[str]) -> Iterator[str]:
    """What the prices of the providers that are shown are for: by that they differ."""
    names = set(shown)
    for basis, words in BASES.items():
        of_it = [report.provider for report in market.providers if report.basis == basis]
        if some := [name for name in of_it if name in names]:
            yield f"{', '.join(some)}: {words} ({basis})."


def about_score(weights: GScore) -> str:
    """The formula, and what it does not say."""
    parts = ", ".join(
        f"{percent(getattr(weights, part))} {words}"
        for part, words in (
            ("price", "price beside the cheapest of the same card, price and host tier"),
            ("reliability", "published reliability from 0.9 to 1"),
            ("availability", f"free GPUs up to {weights.gpus}"),
        )
    )
    return (
        f"G-score: {parts}. What a provider does not publish is left out, and the rest weighs for it. "
        "It says nothing of network and security, nor between cards."
    )
