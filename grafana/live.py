"""One machine, live: its cards in numbers, who is on them, how it has gone, and the machine around them."""

from dataclasses import replace

from grafana import host, livecards, livegraphs
from grafana.charts import Lettering, Part, named, tile
from grafana.page import Line, Opening, page
from grafana.panels import LOST, Look, row, stat
from grafana.processes import cards, processes
from grafana.queries import AGENTS, Json, instant, series
from grafana.variables import currency, gpus

UID = "gputally-gpu"

_WATTS = Look("watt", ((None, "dark-yellow"),), minimum=0, sparkline=False)
_LARGE = 26
_KWH = Look("kwatth", ((None, "dark-yellow"),), decimals=2, sparkline=False)
# Seconds count here; a Grafana with another least interval leaves out what is below it.
_OFTEN = ("1s", "2s", "5s", "10s", "30s", "1m", "5m")


def live() -> Json:
    """The first machine, or that which is chosen."""
    lines: list[Line] = [
        (3, _machine()),
        (1, [(24, row("GPU $gpu", repeat="gpu"))]),
        (8, livecards.tiles()),
        (1, [(24, row("Who is on the GPUs"))]),
        (8, [(24, processes())]),
        (1, [(24, row("The chosen GPUs over time"))]),
        (8, livegraphs.load()),
        (7, livegraphs.body()),
        (7, [(24, livegraphs.held_back_over_time())]),
        (1, [(24, row("Inside the chips"))]),
        (7, livegraphs.activity()),
        (7, livegraphs.ways()),
        (6, [(24, cards())]),
        (1, [(24, row("The machine around them"))]),
        (3, host.numbers()),
        (7, host.processors()),
        (7, host.flows()),
    ]
    about = "One machine's GPUs, their processes and the machine around them, live."
    opening = Opening(
        "now-15m", refresh="5s", choices=[gpus(), currency()], one_machine=True, intervals=_OFTEN
    )
    return page(UID, "GPU live", about, lines, opening=opening)


def _machine() -> list[tuple[int, Json]]:
    # The value, how many are lost, gives the colour; what is read are two labels.
    up = 'count_values("up", sum(gpu_up{})) * on () group_left (all) count_values("all", count(gpu_up{}))'
    lost = f"sum(gpu_up{{}} == bool 0) * on () group_left (up, all) ({up})"
    here = "sum(gpu_energy_day_joules{} and on (cluster, day) site_day_info{}) / 3.6e6"
    return [
        (
            3,
            tile(
                "GPUs",
                "GPUs of this machine that answer, of those that have been seen.",
                [Part(instant(lost, "{{up}} of {{all}}"))],
                Look("none", LOST, sparkline=False),
                Lettering("name", _LARGE),
            ),
        ),
        (
            4,
            stat(
                "Power of all",
                "What all GPUs of this machine draw together.",
                series("sum(gpu_power_watts{})", "power"),
                _WATTS,
            ),
        ),
        (
            6,
            stat(
                "Cost per hour ($currency)",
                "What these GPUs cost by the hour at the power of this moment, PUE included.",
                series("sum(rate(gpu_energy_cost_total{}[$__rate_interval])) * 3600", "cost"),
                replace(_WATTS, unit="none", decimals=3),
            ),
        ),
        (
            4,
            stat(
                "Energy today",
                "What they have used since midnight of the site's calendar.",
                instant(here, "today"),
                replace(_KWH, missing="no site agent"),
            ),
        ),
        (
            4,
            named(
                "Driver",
                "Version of the GPUs' driver.",
                [instant("gpu_driver_info{}", "{{driver_version}}")],
                missing="no driver",
                size=_LARGE,
            ),
        ),
        (
            3,
            named(
                "Agent",
                "Version of gputally on this machine.",
                [instant(f"gputally_build_info{{{AGENTS}}}", "{{version}}")],
                missing="no agent",
                size=_LARGE,
            ),
        ),
    ]
