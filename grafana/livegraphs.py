"""The chosen cards over time, next to each other: a colour for each GPU, the same in all of these."""

from grafana.charts import state_timeline
from grafana.livecards import CHOSEN, HELD_BACK, held_back
from grafana.overrides import by_gpu, dashed, downward, overridden
from grafana.panels import Look, timeseries
from grafana.queries import Json, series, unit_of

_RATIO = Look("percentunit", minimum=0, maximum=1)
_BYTES_PER_SECOND = Look("Bps")
_GPU = "GPU {{gpu}}"


def load() -> list[tuple[int, Json]]:
    """What each card does and draws: means, and the peaks that means hide."""
    counted = f"rate(gpu_busy_seconds_total{{{CHOSEN}}}[$__rate_interval]) and gpu_up{{{CHOSEN}}} == 1"
    # Not of the energy counter: what is booked at once after a gap would stand there as a peak.
    drawn = f"avg_over_time(gpu_power_watts{{{CHOSEN}}}[$__rate_interval]) and gpu_up{{{CHOSEN}}} == 1"
    return [
        (
            12,
            _with_peaks(
                "Utilisation: mean, and peaks dashed",
                "Share of time in which a kernel ran, counted at every tick of the agent; dashed the highest "
                "of 60 seconds.",
                [
                    series(counted, _GPU),
                    series(f"gpu_utilization_peak_ratio{{{CHOSEN}}}", f"{_GPU} peak"),
                ],
                _RATIO,
            ),
        ),
        (
            12,
            _with_peaks(
                "Power: mean, and peaks dashed",
                "What each card draws, as its driver reports it; dashed the highest sample of 60 seconds.",
                [series(drawn, _GPU), series(f"gpu_power_peak_watts{{{CHOSEN}}}", f"{_GPU} peak")],
                Look(unit_of("gpu_power_watts"), minimum=0),
            ),
        ),
    ]


def body() -> list[tuple[int, Json]]:
    """Memory, heat, clocks."""
    limits = f'min by (limit) (gpu_temperature_limit_celsius{{{CHOSEN}, limit=~"slowdown|shutdown"}})'
    temperatures = timeseries(
        "Temperature, and limits dashed",
        "Temperature of each chip; dashed where cards slow themselves down and where they switch off, of the "
        "chosen cards the lowest.",
        [series(f"gpu_temperature_celsius{{{CHOSEN}}}", _GPU), series(limits, "{{limit}}")],
        Look(unit_of("gpu_temperature_celsius")),
    )
    return [
        (
            8,
            _lines(
                "Memory in use",
                "Device memory in use by programs.",
                [series(f"gpu_memory_used_bytes{{{CHOSEN}}}", _GPU)],
                Look(unit_of("gpu_memory_used_bytes"), minimum=0),
            ),
        ),
        (8, overridden(temperatures, [*by_gpu(), dashed("B", "red")])),
        (
            8,
            _lines(
                "SM clock",
                "Clock of the multiprocessors: it falls when a card is idle, warm, or at its power limit.",
                [series(f'gpu_clock_hertz{{{CHOSEN}, clock="sm"}}', _GPU)],
                Look(unit_of("gpu_clock_hertz"), minimum=0),
            ),
        ),
    ]


def held_back_over_time() -> Json:
    """Why clocks were lower than they could be."""
    return state_timeline(
        "What holds clocks back?",
        "Why the driver keeps a card's clocks down, the gravest reason if there are several: power limit, "
        "warm and hot (slowed by software and by hardware), power brake (the power supply asks for it), sync "
        "boost (waits for another card), clocks set (by somebody). None: idle, or as fast as the card can.",
        [series(held_back(), _GPU)],
        Look("none"),
        [HELD_BACK],
    )


def activity() -> list[tuple[int, Json]]:
    """What runs inside of the chip while "a kernel runs"."""
    since_hopper = "Cards before Hopper do not tell."
    return [
        (
            8,
            _lines(
                "SM active",
                f"Share of the multiprocessors that had work, mean over each. {since_hopper}",
                [series(f"gpu_sm_active_ratio{{{CHOSEN}}}", _GPU)],
                _RATIO,
            ),
        ),
        (
            8,
            _lines(
                "Tensor cores active",
                f"Share of cycles in which tensor cores worked. {since_hopper}",
                [series(f"gpu_tensor_active_ratio{{{CHOSEN}}}", _GPU)],
                _RATIO,
            ),
        ),
        (
            8,
            _lines(
                "Memory bandwidth in use",
                f"Share of the device memory's bandwidth. {since_hopper}",
                [series(f"gpu_dram_active_ratio{{{CHOSEN}}}", _GPU)],
                _RATIO,
            ),
        ),
    ]


def ways() -> list[tuple[int, Json]]:
    """Video, and what goes in and out of the card."""
    return [
        (8, _video()),
        (8, _traffic("PCI Express: received up, sent down", "the machine", "gpu_pcie")),
        (8, _traffic("NVLink: received up, sent down", "other GPUs", "gpu_nvlink")),
    ]


def _video() -> Json:
    engine = f'gpu_engine_utilization_ratio{{{CHOSEN}, engine="%s"}}'
    return _with_peaks(
        "Decoder, and encoder dashed",
        "How busy the engines for video are: of each card the decoder, and dashed the encoder.",
        [series(engine % "decoder", f"{_GPU} decoder"), series(engine % "encoder", f"{_GPU} encoder")],
        _RATIO,
    )


def _traffic(title: str, other: str, family: str) -> Json:
    def rate(direction: str) -> str:
        counter = f"{family}_{direction}_bytes_total{{{CHOSEN}}}"
        return f"sum by (cluster, instance, gpu) (rate({counter}[$__rate_interval]))"

    body = timeseries(
        title,
        f"Bytes per second from {other}, above the axis, and to {other}, below.",
        [series(rate("receive"), f"{_GPU} received"), series(rate("transmit"), f"{_GPU} sent")],
        _BYTES_PER_SECOND,
    )
    return overridden(body, [*by_gpu(), downward("B", named=False)])


def _lines(title: str, description: str, targets: list[Json], look: Look) -> Json:
    return overridden(timeseries(title, description, targets, look), by_gpu())


def _with_peaks(title: str, description: str, targets: list[Json], look: Look) -> Json:
    return overridden(timeseries(title, description, targets, look), [*by_gpu(), dashed("B")])
