"""How the hardware has fared over the time range: what happened, memory, heat, links."""

from grafana.findings import LOW_GENERATION, NARROW, SLOWED, margin
from grafana.gains import at_least, bars, counts, gained, lines, per_second
from grafana.panels import Look, timeseries
from grafana.queries import Json, series, unit_of

# A scrape tells of an XID up to half a minute later: else one in between two steps would be in neither.
_XID_LATE_SECONDS = 30
_COUNT = Look("short", decimals=0, minimum=0)
_CELSIUS = unit_of("gpu_temperature_celsius")
_BYTES = Look("Bps", minimum=0)


def events() -> list[Json]:
    """What happened, and who does not answer."""
    recent = f"$__interval_ms / 1000 + {_XID_LATE_SECONDS}"
    return [
        bars(
            "XIDs and device events",
            "GPUs on which an XID was the latest of its number in the time of a bar, and changes of GPUs' "
            "states: lost, returned, removed, reloads of the driver, reboots. No XID here means that none "
            "was seen; some sources, as nvidia-smi, never tell any.",
            [
                series(
                    f"count by (xid) (time() - gpu_xid_last_timestamp_seconds{{}} < {recent})", "XID {{xid}}"
                ),
                series(gained('gpu_device_events_total{event!="added"}', "event"), "{{event}}"),
            ],
            _COUNT,
        ),
        counts(
            "GPUs lost, and why",
            "GPUs that were there and cannot be read, all together and by what the driver says.",
            [
                series("sum(gpu_up{} == bool 0)", "all"),
                series("count by (reason) (gpu_down_info{})", "{{reason}}"),
            ],
            Look("short", decimals=0, minimum=0, colors={"all": "red"}),
        ),
    ]


def memory() -> list[Json]:
    """Errors, and what the cards did about them."""
    return [
        bars(
            "New memory errors",
            "Errors of the device memory that came in the time of a bar. Corrected ones cost nothing; many "
            "of them on one card announce others. Only of cards that have ECC.",
            [
                series(gained('gpu_ecc_errors_total{severity="corrected"}'), "corrected"),
                series(gained('gpu_ecc_errors_total{severity="uncorrected"}'), "uncorrected"),
            ],
            Look("short", decimals=0, minimum=0, colors={"corrected": "blue", "uncorrected": "red"}),
        ),
        counts(
            "Memory rows and pages out of use",
            "Since Ampere cards replace broken rows by spare ones, before that they retire pages. What waits "
            "wants a reset; a row that could not be replaced wants another card.",
            [
                series("sum by (cause) (gpu_remapped_rows{})", "rows replaced, {{cause}}"),
                series("sum(gpu_row_remap_pending{})", "rows that wait"),
                series("sum(gpu_row_remap_failed{})", "rows that failed"),
                series("sum by (cause) (gpu_retired_pages{})", "pages retired, {{cause}}"),
                series("sum(gpu_retired_pages_pending{})", "pages that wait"),
            ],
            Look(
                "short", decimals=0, minimum=0, colors={"rows that failed": "red", "rows that wait": "orange"}
            ),
        ),
    ]


def throttling() -> list[Json]:
    """Why and where clocks are held down."""
    heat = f"gpu_throttle_seconds_total{{{SLOWED}}}"
    by_reason, by_machine = (
        lines(
            "GPUs held down, by reason",
            "GPU time per time in which clocks were held down: 2 is two GPUs all the time or four half of "
            "it. A power cap (sw_power_cap) is a limit that does its job; the others cost speed.",
            [series(per_second("gpu_throttle_seconds_total{}", "reason"), "{{reason}}")],
            Look("short", minimum=0),
        ),
        lines(
            "GPUs held down by heat or a brake",
            "The same of heat and of the power supply's brake alone, by machine.",
            [series(per_second(heat, "instance"), "{{instance}}")],
            Look("short", minimum=0, crowded=True),
        ),
    )
    return [by_reason, at_least(by_machine, 1)]


def temperatures() -> list[Json]:
    """How hot, and how far from the cards' own limits."""
    return [
        timeseries(
            "Hottest GPU and memory",
            "The highest temperature of any chip and of any memory; only data-centre cards tell the latter.",
            [
                series("max(gpu_temperature_celsius{})", "GPU"),
                series("max(gpu_memory_temperature_celsius{})", "memory"),
            ],
            Look(_CELSIUS, decimals=0, colors={"GPU": "orange", "memory": "purple"}),
        ),
        timeseries(
            "Degrees left, by machine",
            "Of each machine's hottest card, until it slows itself down: as its driver says, else by the "
            "limit that the card tells. Cards that tell neither are not in it.",
            [series(margin("instance", "min"), "{{instance}}")],
            Look(_CELSIUS, decimals=0, crowded=True),
        ),
    ]


def pcie() -> list[Json]:
    """The way to the machine's memory."""
    return [
        _traffic("PCIe traffic", "PCI Express", "gpu_pcie"),
        bars(
            "PCIe replays",
            "Packets that had to be sent again in the time of a bar, by machine: a slot, a riser or a card "
            "that does not sit well.",
            [series(gained("gpu_pcie_replays_total{}", "instance"), "{{instance}}")],
            Look("short", decimals=0, minimum=0, crowded=True),
        ),
        counts(
            "PCIe links below their maximum",
            "GPUs with fewer lanes than card and slot have, and GPUs that are busy on a lower generation; an "
            "idle card lowers it by itself.",
            [
                series(_flags(NARROW, "gpu_pcie_link_width{}"), "fewer lanes"),
                series(_flags(LOW_GENERATION, "gpu_pcie_link_generation{}"), "lower generation"),
            ],
            _COUNT,
        ),
    ]


def _traffic(title: str, way: str, prefix: str) -> Json:
    return lines(
        title,
        f"What all GPUs send and receive over {way}.",
        [
            series(per_second(f"{prefix}_transmit_bytes_total{{}}"), "sent"),
            series(per_second(f"{prefix}_receive_bytes_total{{}}"), "received"),
        ],
        _BYTES,
    )


def _flags(bad: str, told: str) -> str:
    """How many there are of them; 0 only where it is told."""
    return f"count({bad}) or 0 * group({told})"


def nvlink() -> list[Json]:
    """The way from card to card."""
    return [
        _traffic("NVLink traffic", "NVLink", "gpu_nvlink"),
        bars(
            "NVLink errors",
            "Errors that came in the time of a bar, by kind. One burst is over by itself; what comes again "
            "is a cable, a connector or a switch.",
            [series(gained("gpu_nvlink_errors_total{}", "type"), "{{type}}")],
            _COUNT,
        ),
        counts(
            "NVLinks down",
            "GPUs with a link down, or links where they are shown one by one. A card that never had one up "
            "is not counted.",
            [series("sum(gpu_nvlink_up{} == bool 0)", "down")],
            Look("short", decimals=0, minimum=0, colors={"down": "red"}),
        ),
    ]
