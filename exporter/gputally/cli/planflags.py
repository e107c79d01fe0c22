"""From the flags of `gputally plan` to a plan, and the refusal of what contradicts itself."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

import click

from gputally.cli.marketflags import Amount
from gputally.cli.values import Duration
from gputally.config.rentals import (
    LONGEST_HOURS,
    MFU,
    MOST_FLOPS,
    MOST_GPUS,
    MOST_MONEY,
    MOST_TFLOPS,
    MOST_VRAM_GIB,
    Plan,
)
from gputally.model.clock import NS_PER_HOUR

F = TypeVar("F", bound=Callable[..., Any])
_ZERO, _LEAST = Decimal(0), Decimal("0.001")
_WATTS = Decimal(5000)
FORMS = (("tflops", "hours"), ("gpus", "cards", "hours"), ("total_flops", "deadline_ns"))
_FLAGS = {"deadline_ns": "deadline", "cards": "card", "total_flops": "total-flops"}
_FORMS_ARE = "--tflops and --hours; or --gpus, --card and --hours; or --total-flops and --deadline"


def _amount(
    flag: str,
    text: str,
    most: Decimal,
    least: Decimal = _LEAST,
    **more: Any,  # noqa: ANN401 - click's own
) -> Callable[[F], F]:
    return click.option(flag, help=text, type=Amount(least, most), **more)


NEED = (
    _amount("--tflops", "Dense BF16 TFLOPS that the work needs, not that cards promise.", MOST_TFLOPS),
    click.option("--gpus", help="So many GPUs, of the --card.", type=click.IntRange(1, MOST_GPUS)),
    _amount("--hours", "For so long.", LONGEST_HOURS),
    _amount("--total-flops", "Operations that are to be done, such as 1e22.", MOST_FLOPS, Decimal(1)),
    click.option(
        "--deadline",
        "deadline_ns",
        help="In which time, such as 48h or 14d.",
        type=Duration(NS_PER_HOUR // 10, int(LONGEST_HOURS) * NS_PER_HOUR),
    ),
    _amount(
        "--mfu",
        f"Part of the peak that the work reaches; {MFU} if nothing is said, and the answer says so.",
        Decimal(1),
    ),
    _amount("--vram", "GiB that a GPU has at least.", MOST_VRAM_GIB, _ZERO),
    click.option(
        "--max-usd",
        "budget_usd",
        help="Most that all of it may cost, in USD.",
        type=Amount(_ZERO, MOST_MONEY),
    ),
)
OWN = (
    _amount("--idle-watts", "Of a GPU of one's own, as measured; for the energy of the plan.", _WATTS, _ZERO),
    _amount("--active-watts", "Likewise, at work.", _WATTS, _ZERO),
    _amount(
        "--utilization",
        "Part of the time in which one's own GPUs would be at work.",
        Decimal(1),
        _ZERO,
        default="1",
        show_default=True,
    ),
)


def plan_of(flags: Mapping[str, Any]) -> Plan:
    """The plan that the flags describe; which cards, is not in it. Raises click.UsageError."""
    form = _form(flags)
    if form == FORMS[1]:
        for key in ("mfu", "vram"):
            if flags[key] is not None:
                raise click.UsageError(f"--{key} beside --gpus and --card, which say it all")
    deadline_ns, mfu = flags["deadline_ns"], flags["mfu"]
    return Plan(
        name="plan",
        hours=Decimal(deadline_ns) / NS_PER_HOUR if deadline_ns is not None else flags["hours"],
        tflops=flags["tflops"],
        total_flops=flags["total_flops"],
        gpus=flags["gpus"],
        mfu=MFU if mfu is None else mfu,
        vram_gib=flags["vram"],
    )


def _form(flags: Mapping[str, Any]) -> tuple[str, ...]:
    """Which of the three ways to say what is needed. `--card` may go with each, to choose from fewer."""
    keys = ("tflops", "gpus", "total_flops", "hours", "deadline_ns")
    said = {key for key in keys if flags[key] is not None}
    for form in FORMS:
        needs = {*form} - {"cards"}
        if said == needs and ("cards" not in form or flags["cards"]):
            return form
    found = [f"--{_FLAGS.get(key, key)}" for key in keys if key in said]
    found += ["--card"] if flags["cards"] else []
    raise click.UsageError(f"expected {_FORMS_ARE}; found {', '.join(found) or 'none of them'}")
