"""What `gputally plan` assumes, in sentences: whoever reads a sum has to know what is in it."""

from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from typing import Any

from gputally.cli.marketwords import percent
from gputally.config.rentals import Plan
from gputally.site.market.own import Own, OwnOption, Watts
from gputally.site.market.planner import Answer

_SHOWN = 3


def needed(plan: Plan, cards: Sequence[str]) -> str:
    """The question."""
    of_cards = f" of {' or '.join(cards)}" if cards else ""
    room = f", {plan.vram_gib:,f} GiB a GPU at least" if plan.vram_gib else ""
    if plan.gpus is not None:
        return f"{plan.gpus:,} GPU{'s' * (plan.gpus != 1)}{of_cards} for {plan.hours:,f} hours{room}"
    if plan.tflops is not None:
        return f"{plan.tflops:,f} TFLOPS{of_cards} for {plan.hours:,f} hours{room}"
    return f"{plan.total_flops:.4g} operations{of_cards} within {plan.hours:,f} hours{room}"


def facts(plan: Plan) -> dict[str, Any]:
    """The question, for a program."""
    found = {
        "gpus": plan.gpus,
        "tflops": plan.tflops,
        "total_flops": plan.total_flops,
        "hours": plan.hours,
        "mfu": plan.mfu if plan.gpus is None else None,
        "vram_gib": plan.vram_gib,
    }
    return {
        key: float(value) if isinstance(value, Decimal) else value
        for key, value in found.items()
        if value is not None
    }


def about_need(plan: Plan, given_mfu: bool, tiers: Collection[str]) -> Iterator[str]:
    """How much is needed, and for how long."""
    if plan.gpus is None:
        how = "as given" if given_mfu else "the default (--mfu)"
        yield (
            f"MFU {percent(plan.mfu)}, {how}: so much of the peak is reached, and the number of GPUs depends "
            "on it. Peak is dense BF16 as datasheets have it, without sparsity."
        )
    if plan.total_flops is not None:
        yield "Hours are those in which the work is done, if twice the GPUs take half the time."
    yield (
        "One provider, one card and one price tier an option: GPUs of several do not train together. "
        "Offers of one provider may lie in several regions and on several hosts (--region)."
    )
    yield (
        "GPUs are rounded up to the nodes that are sold, and there are as many free; "
        "FREE -: the provider does not say."
    )
    prices = " or ".join(tiers) or plan.price_tier
    yield (
        f"Prices are {prices} (--price-tier). Not in the cost: disk, traffic, fees and setting up, "
        "where the basis does not say otherwise."
    )


def about_answer(answer: Answer, shown: int, budget: Decimal | None) -> Iterator[str]:
    """What is not shown, and why."""
    if len(answer.options) > shown:
        yield f"{len(answer.options) - shown} options more cost more (--limit)."
    if answer.over_budget:
        count = answer.over_budget
        yield f"{count} option{'s' * (count != 1)} would cost more than {budget:,f} USD (--max-usd)."
    if answer.too_few:
        rows = [
            f"{one.provider} has {one.there:,} of {one.needed:,} {one.card} ({one.host_tier})"
            for one in answer.too_few
        ]
        more = f"; {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
        yield f"Not enough: {', '.join(rows[:_SHOWN])}{more}."
    if answer.without_tflops:
        cards = ", ".join(answer.without_tflops)
        yield f"Nobody knows how fast these are, so they are left out: {cards}."


def about_own(own: Own, options: Sequence[OwnOption], watts: Watts | None) -> Iterator[str]:
    """What the cost of GPUs of one's own is made of."""
    if own.currency_without_rate:
        currency = own.currency_without_rate
        yield f"Own GPUs are left out: market.rates does not say what a {currency} is in USD."
    if not options:
        return
    for option in options:
        rest = option.usd - option.fixed_usd
        yield (
            f"own {option.model}: {option.fixed_usd:,.2f} USD is paid in that time, used or not, "
            f"{rest:,.2f} USD for its use, at work {percent(option.utilization)} of the time. "
            "How many there are, and whether they are free, is not known here."
        )
    if watts is None:
        yield "own: without energy, as nobody has said what a GPU draws (--idle-watts, --active-watts)."
    else:
        price = " (the default price)" if own.tariff == "default" else ""
        yield (
            f"own: {watts.idle:f} W idle and {watts.active:f} W at work as given, not measured here; "
            f"{own.usd_per_kwh.normalize():f} USD per kWh now{price}, PUE {own.pue.normalize():f}."
        )
