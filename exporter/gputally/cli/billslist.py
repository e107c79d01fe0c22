"""`gputally bills list`: what bills say, summed up."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import click

from gputally.cli.billswords import amounts, total
from gputally.cli.ledgerflags import FROM, TO, WHERE, reading, told
from gputally.cli.printing import write
from gputally.cli.reportflags import by
from gputally.cli.shapeflags import SHAPE, given, limit_of, only
from gputally.model.account import Charge
from gputally.site.ledger.bills import charges
from gputally.site.ledger.sums import KEYS, NoRate, Sum, in_currency, sums
from gputally.tables.columns import Column, Row
from gputally.tables.listed import Listed

_KEY_COLUMNS = {name: Column(name, name.upper()) for name in KEYS}
COLUMNS = (
    *_KEY_COLUMNS.values(),
    Column("cost", "COST", "money"),
    Column("currency", "CURRENCY"),
    Column("gpu_hours", "GPU-H", "hours"),
    Column("cost_per_gpu_hour", "COST/GPU-H", "rate"),
)


@click.command("list")
@given(
    *WHERE,
    FROM,
    TO,
    by("provider,gpu,team", *KEYS),
    only("provider", "Only this provider."),
    only("gpu", "Only this GPU, such as h100-sxm5-80gb."),
    only("team", "Only this team."),
    click.option("--currency", help="Everything in this currency, by market.rates of --config.file."),
    *SHAPE,
)
def list_(**flags: Any) -> None:  # noqa: ANN401 - click's own
    """List what bills say, by provider, account, GPU, team, day or month. Days are those of UTC.

    Currencies stand apart, unless one is asked for and rates are declared.
    """
    found = told(flags["ledger_file"], flags["config_file"])
    rates = found.site.market.rates if found.site.market else {}
    with reading(found.path) as ledger:
        every = charges(ledger, flags["first"], flags["end"], flags["only_team"])
        chosen = (
            one
            for one in every
            if _matches(flags["only_provider"], one.provider) and _matches(flags["only_gpu"], one.gpu_type)
        )
        rows = _summed(chosen, flags["by"], flags["currency"], rates)
    write("bills list", _listed(rows, flags), flags["form"], flags["page"], limit_of(flags))


def _matches(wanted: tuple[str, ...], value: str) -> bool:
    return not wanted or value in wanted


def _summed(
    chosen: Iterable[Charge], by: Sequence[str], wanted: str | None, rates: Mapping[str, Decimal]
) -> list[Sum]:
    """One charge after the other: there may be more of them than memory."""
    if wanted is not None:
        chosen = (
            replace(one, currency=wanted, amount=in_currency(one.amount, one.currency, wanted, rates))
            for one in chosen
        )
    try:
        return sums(chosen, by)
    except NoRate as currency:
        raise click.UsageError(
            f"--currency {wanted}: market.rates of --config.file has no rate for {currency}"
        ) from None


def _listed(rows: list[Sum], flags: Mapping[str, Any]) -> Listed:
    keys: tuple[str, ...] = flags["by"]
    columns = tuple(c for c in COLUMNS if c.name not in _KEY_COLUMNS or c.name in keys)
    columns = (*(_KEY_COLUMNS[name] for name in keys), *columns[len(keys) :])
    costs = total((one.currency, one.cost) for one in rows)
    notes = [f"All together: {amounts(costs)}."] if rows else []
    if any(one.gpu_hours is None for one in rows):
        notes.append("GPU-H -: a bill does not tell.")
    title = f"bills: {len(rows)} row{'s' * (len(rows) != 1)}, by {', '.join(keys) or 'currency'}"
    shown = [_row(keys, one) for one in rows]
    return Listed("bills list", title, columns, shown, tuple(notes), {"by": list(keys)})


def _row(keys: tuple[str, ...], one: Sum) -> Row:
    return {
        **dict(zip(keys, one.key, strict=True)),
        "cost": one.cost,
        "currency": one.currency,
        "gpu_hours": one.gpu_hours,
        "cost_per_gpu_hour": one.per_gpu_hour,
    }
