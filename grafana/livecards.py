"""One card in numbers: what it is, how busy, how full, how hot, what it draws, and what holds it back.

Limits differ from card to card: each number stands above the limit of its own card. What has been is in the
background of the first number; the others are of this moment, so that a lost card has none.
"""

from dataclasses import replace

from grafana.absence import ABSENT, said
from grafana.charts import Lettering, Part, tile
from grafana.panels import Look, Steps
from grafana.queries import Json, instant, series, unit_of
from grafana.tables import words

CHOSEN = 'gpu=~"$gpu"'
_CARD = "cluster, instance, uuid"

_PLAIN = Look("none", sparkline=False)
_SHARE = Look("percentunit", ((None, "blue"),), decimals=0, minimum=0, maximum=1)
_FULL: Steps = ((None, "purple"), (0.9, "orange"), (0.97, "red"))
_OF_LIMIT: Steps = ((None, "text"), (0.98, "orange"))
_DEGREES_LEFT: Steps = ((None, "red"), (5, "orange"), (15, "green"))

# Reason -> what a person says, and a colour; the later, the graver. Idle cards lower their clocks, too.
REASONS = {
    "gpu_idle": ("none", "blue"),
    "applications_clocks": ("clocks set", "text"),
    "display_clocks": ("display", "text"),
    "sw_power_cap": ("power limit", "dark-yellow"),
    "sync_boost": ("sync boost", "purple"),
    "sw_thermal": ("warm", "orange"),
    "hw_slowdown": ("hardware", "dark-orange"),
    "hw_thermal": ("hot", "red"),
    "hw_power_brake": ("power brake", "dark-red"),
}
HELD_BACK = words({str(code): reason for code, reason in enumerate(REASONS.values())})


def held_back() -> str:
    """The gravest of the reasons that hold the clocks down, as a number; 0 where there is none."""
    reasons = [
        f'gpu_throttle_active{{{CHOSEN}, reason="{reason}"}} * {code}' for code, reason in enumerate(REASONS)
    ]
    return f"max by (cluster, instance, gpu) ({' or '.join(reasons)})"


def tiles() -> list[tuple[int, Json]]:
    """A line of the page, for the GPUs that are chosen there: one, where the line is repeated."""
    parts = (_identity(), _utilisation(), _memory(), _temperature(), _power(), _clocks())
    return [(4, part) for part in parts]


def _identity() -> Json:
    info, up = f"gpu_info{{{CHOSEN}}}", f"gpu_up{{{CHOSEN}}}"
    short = f'label_replace({info}, "short", "$1", "uuid", "(.{{12}}).*")'
    serial = f'gpu_info{{{CHOSEN}, serial!=""}}'
    # The value gives the colour, the label the word.
    answers = [
        f'label_replace({up} == {n}, "word", "{word}", "", "")' for n, word in enumerate(("lost", "up"))
    ]
    return tile(
        "Card",
        "Its model, the beginning of its UUID, its serial number where it has one, and whether it answers. "
        "The table of cards below has more.",
        [
            Part(instant(info, "{{name}}")),
            Part(instant(short, "{{short}}")),
            Part(instant(serial, "{{serial}}")),
            Part(
                instant(" or ".join(answers), "{{word}}"),
                replace(_PLAIN, steps=((None, "red"), (1, "green"))),
            ),
        ],
        replace(_PLAIN, missing="not known"),
        Lettering("name"),
    )


def _utilisation() -> Json:
    driver = f"gpu_utilization_ratio{{{CHOSEN}}}"
    return tile(
        "Utilisation",
        "Share of time in which a kernel ran: as the driver tells it now, and mean and peak of the last 60 "
        "seconds; and in which memory was read or written. A card that is partitioned by MIG tells none.",
        [
            Part(series(driver, "now")),
            Part(instant(f"avg_over_time({driver}[1m]) and gpu_up{{{CHOSEN}}} == 1", "mean, 60 s")),
            Part(instant(f"gpu_utilization_peak_ratio{{{CHOSEN}}}", "peak, 60 s")),
            Part(instant(f"gpu_memory_utilization_ratio{{{CHOSEN}}}", "of memory")),
        ],
        replace(_SHARE, missing="not measured"),
    )


def _memory() -> Json:
    used, total = f"gpu_memory_used_bytes{{{CHOSEN}}}", f"gpu_memory_total_bytes{{{CHOSEN}}}"
    full = Look("percentunit", _FULL, decimals=0, minimum=0, maximum=1)
    return tile(
        "Memory",
        "Device memory in use by programs, as a share of what the card has, what is free, and all of it.",
        [
            Part(series(used, "in use")),
            Part(instant(f"{used} / {total}", "share"), full),
            Part(instant(f"gpu_memory_free_bytes{{{CHOSEN}}}", "free")),
            Part(instant(total, "all of it")),
        ],
        Look(unit_of("gpu_memory_used_bytes"), ((None, "purple"),), decimals=1, minimum=0),
    )


def _temperature() -> Json:
    now = f"gpu_temperature_celsius{{{CHOSEN}}}"
    slowdown = f'gpu_temperature_limit_celsius{{{CHOSEN}, limit="slowdown"}}'
    left = f"gpu_temperature_margin_celsius{{{CHOSEN}}} or on ({_CARD}) ({slowdown} - on ({_CARD}) {now})"
    return tile(
        "Temperature",
        "Of the chip; where this card slows itself down; how far it is from there by the driver's account, "
        "orange below 15 °C, red below 5 °C; and its fastest fan, against its maximum. Cards that are cooled "
        "by the machine's fans have none.",
        [
            Part(series(now, "now")),
            Part(instant(slowdown, "slows at")),
            Part(instant(left, "left"), Look("celsius", _DEGREES_LEFT, decimals=0, minimum=0)),
            Part(instant(_fan(), "fan"), replace(_SHARE, steps=_PLAIN.steps), (said("no fan"),)),
        ],
        Look(unit_of("gpu_temperature_celsius"), ((None, "text"),), decimals=0, minimum=0),
    )


def _power() -> Json:
    now = f"gpu_power_watts{{{CHOSEN}}}"
    in_force, as_set = (f"gpu_power_limit{kind}_watts{{{CHOSEN}}}" for kind in ("_enforced", ""))
    limit = f"{in_force} or on ({_CARD}) {as_set}"
    return tile(
        "Power",
        "What the card draws now, the highest sample of the last 60 seconds, the limit that is in "
        "force, and how much of it is drawn now.",
        [
            Part(series(now, "now")),
            Part(instant(f"gpu_power_peak_watts{{{CHOSEN}}}", "peak, 60 s")),
            Part(instant(limit, "limit"), Look("watt", decimals=0, minimum=0)),
            Part(instant(f"{now} / on ({_CARD}) ({limit})", "of limit"), replace(_SHARE, steps=_OF_LIMIT)),
        ],
        Look(unit_of("gpu_power_watts"), ((None, "dark-yellow"),), decimals=0, minimum=0),
    )


def _clocks() -> Json:
    sm, memory = (f'gpu_clock_hertz{{{CHOSEN}, clock="{clock}"}}' for clock in ("sm", "memory"))
    levels = words({str(level): (f"P{level}", "text") for level in range(16)})
    return tile(
        "Clocks",
        "Clocks of the multiprocessors and of the memory now; the performance state, P0 is the fastest and "
        "P15 the slowest; what keeps the clocks down, the gravest reason if there are several.",
        [
            Part(series(sm, "SM")),
            Part(instant(memory, "memory")),
            Part(instant(f"gpu_performance_state{{{CHOSEN}}}", "performance"), _PLAIN, (levels,)),
            Part(instant(held_back(), "slowed"), _PLAIN, (HELD_BACK,)),
        ],
        Look(unit_of("gpu_clock_hertz"), ((None, "text"),), decimals=2, minimum=0),
    )


def _fan() -> str:
    """The fastest; a number of its own for a card that answers and has none."""
    fastest = f"max by ({_CARD}) (gpu_fan_speed_ratio{{{CHOSEN}}})"
    return f"{fastest} or {ABSENT} * (max by ({_CARD}) (gpu_up{{{CHOSEN}}}) == 1)"
