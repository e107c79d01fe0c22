"""`gputally check`: is the configuration right, and what can this machine measure? Changes nothing."""

import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gputally import __version__
from gputally.catalogue import BY_NAME
from gputally.cli.checkaccounts import accounts_of
from gputally.cli.front import check_front
from gputally.cli.options import node_flags, settle
from gputally.cli.probe import Measured, Probed, probe_all, state_folder, wanted
from gputally.config.alerts import read_alerts
from gputally.config.market import read_market, read_plans, read_rentals
from gputally.config.settings import NodeSettings
from gputally.config.strict import parse
from gputally.model.clock import system_clock
from gputally.tariff import Schedule, Tariff
from gputally.tariff.rates import MILLIGRAMS, NANO, PUE_SCALE

IDENTITY = BY_NAME["gpu_up"].section


@click.command()
@node_flags
@click.option(
    "--format",
    "form",
    help="For a person or for a program.",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
)
@click.pass_context
def check(context: click.Context, /, form: str, **_flags: Any) -> int:  # noqa: ANN401 - as node
    """Check the configuration and say what this machine can measure.

    Exit status: 0 a GPU can be measured, 1 none can or no state can be kept, 2 the configuration is wrong.
    """
    settings, config_file, _told = settle(context, NodeSettings)
    logging.disable()  # what a source has to say stands in the table
    web = check_front(settings)
    state_good, state = state_folder(settings.state_dir)
    tariff = tariff_now(settings.site.tariff, system_clock().wall_ns)
    probes = list(probe_all(settings))
    used = next((probed for probed in probes if probed.works and probed.source in wanted(settings)), None)
    notes = {"configuration": str(config_file or "none: defaults and flags"), "web": web, "state": state}
    if config_file is not None and (count := own_rules(settings, config_file)):
        notes["alerts"] = f"{count} rules of one's own, for gputally alerts render"
    if config_file is not None and (market := market_of(settings, config_file)):
        notes["market"] = market
    if config_file is not None:
        notes |= accounts_of(parse(settings.config_text, str(config_file)), config_file.parent)
    if form == "json":
        click.echo(json.dumps(as_json(notes, tariff, probes, used), indent=2))
    else:
        click.echo(as_table({**notes, "tariff": sentence(tariff)}, probes, used))
    sys.stdout.flush()
    return 0 if used is not None and state_good else 1


def own_rules(settings: NodeSettings, config_file: Path) -> int:
    """How many alerts of one's own the file has."""
    return len(read_alerts(parse(settings.config_text, str(config_file))).rules)


def market_of(settings: NodeSettings, config_file: Path) -> str:
    """What the file, which is good, makes the site agent do about the market; "" for nothing."""
    root = parse(settings.config_text, str(config_file))
    market = read_market(root, config_file.parent, str)
    providers = market.providers if market is not None else ()
    counts = {"rentals": len(read_rentals(root, str)), "plans": len(read_plans(root, str))}
    parts = [f"{what}: {count}" for what, count in counts.items() if count]
    if market is not None:
        asked = ", ".join(one.name for one in providers) or "nobody"
        parts.insert(0, f"gputally site asks {asked}")
    return "; ".join(parts)


def tariff_now(tariff: Tariff, wall_ns: int) -> dict[str, str | float]:
    """What a kWh costs at an instant, by whose word."""
    rate = Schedule(tariff).at(wall_ns).rate
    return {
        "source": tariff.source,
        "band": rate.tariff,
        "price_per_kwh": rate.price_nano / NANO,
        "currency": rate.currency,
        "timezone": tariff.timezone,
        "pue": rate.pue_e4 / PUE_SCALE,
        "grams_per_kwh": rate.carbon_mg / MILLIGRAMS,
    }


def sentence(tariff: Mapping[str, str | float]) -> str:
    """The same for a person."""
    holds = "the default: none is configured" if tariff["source"] == "default" else f"band {tariff['band']}"
    return (
        f"{tariff['price_per_kwh']:.10g} {tariff['currency']} per kWh now ({holds}), {tariff['timezone']}, "
        f"PUE {tariff['pue']:g}, {tariff['grams_per_kwh']:g} g CO2 per kWh"
    )


def as_table(notes: dict[str, str], probes: list[Probed], used: Probed | None) -> str:
    """For a person."""
    lines = [f"gputally {__version__}", ""]
    lines += [f"  {name:<14} {text}" for name, text in notes.items()]
    lines += ["", "  SOURCE         STATE   WHAT IT SAYS"]
    for probed in probes:
        state = "used" if probed is used else "works" if probed.works else "absent"
        lines.append(f"  {probed.source:<14} {state:<7} {probed.message}")
    if used is None:
        lines += ["", "  No GPU can be measured here. --source=simulated shows what it would look like."]
        return "\n".join(lines)
    assert used.snapshot is not None  # noqa: S101 - a source that works has read something
    for gpu in used.snapshot.gpus:
        name = gpu.description.name if gpu.description is not None else "?"
        lines += ["", f"  GPU {gpu.gpu.index}  {name}  {gpu.gpu.uuid}"]
        if not gpu.up:
            lines.append(f"    down: {gpu.reason}")
            continue
        lines += _gpu_lines(used.gpus[gpu.gpu.uuid])
    return "\n".join(lines)


def _gpu_lines(rows: tuple[Measured, ...]) -> list[str]:
    lines = []
    section = ""
    for row in rows:
        if row.family.section == IDENTITY or row.family.name.endswith("_info"):
            continue  # true of every GPU that is listed
        if row.family.section != section:
            section = row.family.section
            lines.append(f"    {section}")
        shown = _value(row) if row.value is not None else f"-  {row.why}"
        lines.append(f"      {row.family.name:<40} {shown}")
    return lines


def _value(row: Measured) -> str:
    """The value in the unit that people use for it."""
    value = float(row.value or 0)
    if row.family.unit == "bytes":
        return f"{value / 2**30:,.2f} GiB"
    if row.family.unit == "hertz":
        return f"{value / 1e6:,.0f} MHz"
    if row.family.unit == "ratio":
        return f"{value:.0%}"
    return f"{value:,.3f}".rstrip("0").rstrip(".") + f" {row.family.unit}".rstrip()


def as_json(
    notes: dict[str, str],
    tariff: Mapping[str, str | float],
    probes: list[Probed],
    used: Probed | None,
) -> dict[str, Any]:
    """For a program."""
    gpus = []
    for gpu in used.snapshot.gpus if used is not None and used.snapshot is not None else ():
        rows = used.gpus.get(gpu.gpu.uuid, ()) if used is not None else ()
        gpus.append(
            {
                "index": gpu.gpu.index,
                "uuid": gpu.gpu.uuid,
                "name": gpu.description.name if gpu.description is not None else None,
                "up": gpu.up,
                "measured": {row.family.name: float(row.value) for row in rows if row.value is not None},
                "absent": {row.family.name: row.why for row in rows if row.value is None},
            }
        )
    sources = [
        {"source": p.source, "works": p.works, "used": p is used, "reason": p.reason, "message": p.message}
        for p in probes
    ]
    return {"version": __version__, **notes, "tariff": tariff, "sources": sources, "gpus": gpus}
