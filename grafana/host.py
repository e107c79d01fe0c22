"""The machine around the cards: what its processors, memory, disks and links do."""

from grafana.absence import ABSENT, said
from grafana.charts import Lettering, Part, tile
from grafana.overrides import dashed, downward, overridden
from grafana.panels import Look, Steps, stat, timeseries
from grafana.queries import Json, series, unit_of

_FULL: Steps = ((None, "purple"), (0.9, "orange"), (0.97, "red"))
_RATIO = Look("percentunit", ((None, "blue"),), decimals=0, minimum=0, maximum=1, sparkline=False)
_LOAD = Look("none", ((None, "blue"),), decimals=1, minimum=0)
_BYTES_PER_SECOND = Look("Bps")
_CPU = "rate(host_cpu_seconds_total{%s}[$__rate_interval])"
_CORES = "sum(host_cpus{})"


def numbers() -> list[tuple[int, Json]]:
    """A line of figures."""
    swap = "sum(host_swap_used_bytes{}) / (sum(host_swap_total_bytes{}) > 0)"
    no_swap = f"{ABSENT} * (sum(host_swap_total_bytes{{}}) == bool 0)"
    busy = _CPU % 'mode!~"idle|iowait"'
    return [
        (
            4,
            stat(
                "Uptime",
                "Time since the machine was booted.",
                series("min(host_uptime_seconds{})", "uptime"),
                Look("s", decimals=1, sparkline=False),
            ),
        ),
        (
            5,
            stat(
                "CPU in use",
                "Of all cores.",
                series(f"clamp_max(sum({busy}) / {_CORES}, 1)", "in use"),
                _RATIO,
            ),
        ),
        (
            5,
            stat(
                "Load per core",
                "Programs that run or want to, averaged over one minute; above 1 some wait.",
                series(f'sum(host_load_average{{window="1m"}}) / {_CORES}', "load"),
                Look("none", ((None, "blue"), (1, "orange")), decimals=2, sparkline=False),
            ),
        ),
        (
            5,
            stat(
                "Main memory",
                "Main memory in use, caches not counted.",
                series("sum(host_memory_used_bytes{}) / sum(host_memory_total_bytes{})", "in use"),
                Look("percentunit", _FULL, decimals=0, minimum=0, maximum=1, sparkline=False),
            ),
        ),
        (
            5,
            tile(
                "Swap",
                "Swap space in use.",
                [
                    Part(
                        series(f"{swap} or {no_swap}", "in use"),
                        mappings=(said("no swap"),),
                    )
                ],
                Look(
                    "percentunit",
                    ((None, "purple"), (0.5, "orange")),
                    decimals=0,
                    minimum=0,
                    maximum=1,
                    sparkline=False,
                ),
                Lettering("value", 26),
            ),
        ),
    ]


def processors() -> list[tuple[int, Json]]:
    """CPU, load and memory over time."""
    busy = _CPU % 'mode!="idle"'
    by_mode = f"sum by (mode) ({busy}) / on () group_left () {_CORES}"
    load = timeseries(
        "Load, and cores dashed",
        "Programs that run or want to, averaged over 1, 5 and 15 minutes; dashed the number of cores.",
        [
            series("sum by (window) (host_load_average{})", "{{window}}"),
            series(_CORES, "cores"),
        ],
        _LOAD,
    )
    memory = timeseries(
        "Memory and swap, all of it dashed",
        "Main memory in use, caches not counted, and swap; dashed what the machine has.",
        [
            series("sum(host_memory_used_bytes{})", "memory"),
            series("sum(host_memory_total_bytes{})", "all memory"),
            series("sum(host_swap_used_bytes{})", "swap"),
        ],
        Look(unit_of("host_memory_used_bytes"), minimum=0),
    )
    return [
        (
            8,
            timeseries(
                "CPU by mode",
                "What all cores do, idle time left out; iowait: idle while a disk is waited for.",
                [series(by_mode, "{{mode}}")],
                Look("percentunit", minimum=0, maximum=1, stacked=True),
            ),
        ),
        (8, overridden(load, [dashed("B", "text")])),
        (8, overridden(memory, [dashed("B", "text")])),
    ]


def flows() -> list[tuple[int, Json]]:
    """Disks, links, heat and power over time."""
    return [
        (6, _flow("Disk read and written", "host_disk", ("read", "written"))),
        (6, _flow("Network in and out", "host_network", ("receive", "transmit"))),
        (
            6,
            timeseries(
                "Machine temperatures",
                "The hottest chip of its GPUs, and its processors where they have a sensor that Linux reads.",
                [
                    series("max(gpu_temperature_celsius{})", "hottest GPU"),
                    series("host_temperature_celsius{}", "{{sensor}}"),
                ],
                Look(unit_of("host_temperature_celsius"), minimum=0),
            ),
        ),
        (
            6,
            timeseries(
                "Power of GPUs and CPUs",
                "What the GPUs draw, and on top what processors and memory draw where the kernel lets the "
                "agent read their meters (RAPL).",
                [
                    series("sum(gpu_power_watts{})", "GPUs"),
                    series(
                        "sum by (domain) (rate(host_energy_joules_total{}[$__rate_interval]))", "{{domain}}"
                    ),
                ],
                Look("watt", minimum=0, stacked=True, colors={"GPUs": "dark-yellow"}),
            ),
        ),
    ]


def _flow(title: str, family: str, ways: tuple[str, str]) -> Json:
    come, go = (
        series(
            f"sum by (device) (rate({family}_{way}_bytes_total{{}}[$__rate_interval]))",
            f"{{{{device}}}} {way}",
        )
        for way in ways
    )
    body = timeseries(
        title,
        f"Bytes per second by device: {ways[0]} above the axis, {ways[1]} below.",
        [come, go],
        _BYTES_PER_SECOND,
    )
    return overridden(body, [downward("B")])
