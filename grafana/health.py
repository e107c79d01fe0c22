"""The page about health: is anything broken, which card, since when; and can the figures be believed?"""

from grafana import healthcharts, healthtables, metering
from grafana.absence import how_many, tile
from grafana.findings import ASKS, PAGES_WAIT, ROW_FAILED, ROW_WAITS, SLOW_NOW, SLOWED, UNCORRECTED, XID
from grafana.healthtables import FIRING
from grafana.page import Line, Opening, page
from grafana.panels import LOST, Look, row, stat
from grafana.queries import Json, instant

UID = "gputally-health"

_BROKEN = Look("short", LOST, decimals=0, sparkline=False)
_NOTICED = Look("short", ((None, "green"), (1, "orange")), decimals=0, sparkline=False)
_UNEVALUATED = Look("short", LOST, decimals=0, sparkline=False, missing="no rules")


def health() -> Json:
    """All GPUs and agents of the machines that the variables select."""
    lines: list[Line] = [
        (3, [(6, one) for one in _tiles()[:4]]),
        (3, [(6, one) for one in _tiles()[4:]]),
        (8, [(24, healthtables.firing())]),
        (10, [(24, healthtables.gpus_by_health())]),
        (8, [(12, chart) for chart in healthcharts.events()]),
        (8, [(12, chart) for chart in healthcharts.memory()]),
        (1, [(24, row("Heat and throttling"))]),
        (7, [(12, chart) for chart in healthcharts.throttling()]),
        (7, [(12, chart) for chart in healthcharts.temperatures()]),
        (1, [(24, row("PCI Express and NVLink"))]),
        (8, [(24, healthtables.links_by_gpu())]),
        (7, [(8, chart) for chart in healthcharts.pcie()]),
        (7, [(8, chart) for chart in healthcharts.nvlink()]),
        *metering.lines_of_panels(),
    ]
    about = "What is broken or about to be: GPUs, their memory and links, and the metering itself."
    return page(UID, "GPU health", about, lines, opening=Opening("now-6h", refresh="1m"))


def _tiles() -> list[Json]:
    return [
        stat(
            "GPUs lost",
            "GPUs that were there and can no longer be read.",
            instant("sum(gpu_up{} == bool 0)", "lost"),
            _BROKEN,
        ),
        _firing("Critical alerts", "critical", "for now"),
        _firing("Warnings", "warning", "for today"),
        tile(
            "Want a reset",
            "GPUs whose driver asks for a reset, a reboot or draining, or that wait for one to replace "
            "memory.",
            how_many((ASKS, ROW_WAITS, PAGES_WAIT), ("gpu_recovery_action{}", "gpu_row_remap_pending{}")),
            _BROKEN,
            "not told",
        ),
        tile(
            "Want replacing",
            "GPUs that could not replace a broken row of their memory.",
            how_many((ROW_FAILED,), ("gpu_row_remap_failed{}",)),
            _BROKEN,
            "not told",
        ),
        tile(
            "Memory errors",
            "GPUs whose memory has had errors that could not be corrected since the driver was loaded.",
            how_many((UNCORRECTED,), ("gpu_ecc_volatile_errors{}",)),
            _BROKEN,
            "no ECC",
        ),
        tile(
            "XIDs",
            "XIDs of the time range: each number counts once for each GPU that had it. None seen: no agent "
            "has heard of one; some sources, as nvidia-smi, never tell any.",
            f"count({XID})",
            _NOTICED,
            "none seen",
        ),
        tile(
            "Slowed down",
            "GPUs that are slowed down at this moment, by heat or by the power supply; a power cap does not "
            "count.",
            how_many((SLOW_NOW,), (f"gpu_throttle_active{{{SLOWED}}}",)),
            _NOTICED,
            "not told",
        ),
    ]


def _firing(title: str, severity: str, when: str) -> Json:
    """0 is only known while the heartbeat fires."""
    alive = 'group(ALERTS{alertname="GputallyWatchdog", alertstate="firing"})'
    return stat(
        title,
        f"Alerts of severity {severity} that fire: {when}. No rules: the heartbeat does not fire either.",
        instant(f'count(ALERTS{{{FIRING}, severity="{severity}"}}) or 0 * {alive}', severity),
        _UNEVALUATED
        if severity == "critical"
        else Look("short", _NOTICED.steps, decimals=0, sparkline=False, missing="no rules"),
    )
