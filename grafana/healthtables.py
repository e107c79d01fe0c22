"""Lists of the health page: what fires, which GPU is sick, and how its links are."""

from collections.abc import Mapping

from grafana.absence import ABSENT, GPU_KEYS, or_absent
from grafana.findings import PAGES_WAIT, ROW_FAILED, ROW_WAITS, findings, margin
from grafana.gains import in_range
from grafana.panels import PLAIN, Look, Steps
from grafana.queries import Json, unit_of
from grafana.tables import Column, joined, paged, table, to_gpu, to_machine, words

# Of the chosen machines, and of none in particular.
FIRING = 'alertstate="firing", instance=~"$instance|"'
_ALERT_KEYS = "alertname, cluster, instance, gpu"
_SEVERITIES = {"critical": (3, "red"), "warning": (2, "orange"), "info": (1, "text")}
# What NVML calls them: see gpu_recovery_action.
ACTIONS = ("nothing", "a reset", "a reboot", "peers drained", "drain, reset")

ALARM: Steps = ((None, "text"), (1, "red"))
NOTICE: Steps = ((None, "text"), (1, "orange"))
LEFT: Steps = ((None, "red"), (3, "orange"), (10, "text"))
_ALL_OF_THEM: Steps = ((None, "orange"), (1, "text"))


def firing() -> Json:
    """Alerts, the worst on top."""
    by_severity = (
        f'{rank} * group by ({_ALERT_KEYS}) (ALERTS{{{FIRING}, severity="{severity}"}})'
        for severity, (rank, _) in _SEVERITIES.items()
    )
    severity = " or ".join([*by_severity, f"0 * group by ({_ALERT_KEYS}) (ALERTS{{{FIRING}}})"])
    began = f"ALERTS_FOR_STATE{{}} and ignoring (alertstate) ALERTS{{{FIRING}}}"
    said = words(
        {str(rank): (word, color) for word, (rank, color) in _SEVERITIES.items()} | {"0": ("other", "text")}
    )
    columns = [
        Column("Severity", expr=severity, cell="color-text", width=85, mappings=(said,)),
        Column("Alert", name="alertname"),
        Column("Machine", name="instance", link=to_machine("This machine, live")),
        Column("GPU", name="gpu", width=55),
        Column(
            "Since", expr=f"1000 * min by ({_ALERT_KEYS}) ({began})", look=Look("dateTimeFromNow"), width=120
        ),
        *joined("cluster"),
    ]
    return table(
        "Firing alerts",
        "What fires now, and since when its condition has held. GputallyWatchdog is the heartbeat and always "
        "here: an empty list says that no alert is evaluated.",
        columns,
        sort=("Severity",),
        descending=True,
    )


def gpus_by_health() -> Json:
    """One row a GPU, those with the most findings on top."""
    xid = f"topk by ({GPU_KEYS}) (1, gpu_xid_last_timestamp_seconds{{}} > time() - $__range_s)"
    unseen = f'label_replace({ABSENT} * group by ({GPU_KEYS}) (gpu_up{{}}), "xid", "none seen", "", "")'
    latest = f"max by ({GPU_KEYS}, xid) ({xid}) or on ({GPU_KEYS}) {unseen}"
    columns = [
        *_place(),
        _cell("Findings", findings(), NOTICE, 95, texts={"0": ("none", "text")}),
        _cell("State", f"max by ({GPU_KEYS}) (gpu_up{{}})", NOTICE, 55, texts=_STATES),
        _cell("Asks for", f"max by ({GPU_KEYS}) (gpu_recovery_action{{}})", ALARM, 95, "not told", _ACTIONS),
        Column("Last XID", name="xid", width=80),
        Column("XID", expr=latest, hidden=True),
        _cell("Uncorrected", _errors("uncorrected"), ALARM, 95, "no ECC"),
        _cell("Corrected", _errors("corrected"), NOTICE, 80, "no ECC"),
        _cell("Rows", _ROWS, NOTICE, 85, "not told", _WAITING),
        _cell("Pages", _PAGES, NOTICE, 85, "not told", _WAITING),
        _cell("Margin", margin(GPU_KEYS), LEFT, 70, "not told", unit=_CELSIUS),
    ]
    body = table(
        "GPUs by health",
        "One row for each GPU that has been seen. Findings: lost, asks for something, a row or page that "
        "waits or failed, uncorrected errors since the driver was loaded, an XID in the time range, slowed "
        "by heat or a brake, fewer PCIe lanes, a slower link while busy, an NVLink down. Memory errors: of "
        "the time range, or of the last hour where a card is not known for as long. Rows and pages: replaced "
        "and retired, or what they wait for. Margin: degrees until the card slows itself down.",
        columns,
        sort=("Findings",),
        descending=True,
    )
    return paged(body)


def links_by_gpu() -> Json:
    """How each GPU is connected, and what had to be said twice."""
    columns = [
        *_place(),
        _cell("NVLink", f"min by ({GPU_KEYS}) (gpu_nvlink_up{{}})", NOTICE, 90, "no NVLink", _LINKED),
        _cell("NVLink errors", in_range("gpu_nvlink_errors_total{}", GPU_KEYS), NOTICE, 125, "no NVLink"),
        _cell("PCIe replays", in_range("gpu_pcie_replays_total{}", GPU_KEYS), NOTICE, 105, "not told"),
        _cell("PCIe lanes", _LANES, _ALL_OF_THEM, 95, "not told", unit="percentunit"),
        _cell(
            "PCIe generation", f"max by ({GPU_KEYS}) (gpu_pcie_link_generation{{}})", PLAIN, 125, "not told"
        ),
        _cell("Highest", f"max by ({GPU_KEYS}) (gpu_pcie_link_generation_max{{}})", PLAIN, 75, "not told"),
    ]
    body = table(
        "Links by GPU",
        "NVLink and PCI Express. Errors and replays: of the time range, or of the last hour where a card is "
        "not known for as long. Lanes: in use, of what card and slot have. An idle card lowers its "
        "generation.",
        columns,
        sort=("NVLink errors",),
        descending=True,
    )
    return paged(body)


_STATES = {"0": ("lost", "red"), "1": ("up", "text")}
_LINKED = {"0": ("down", "red"), "1": ("up", "text")}
_ACTIONS = {str(number): (word, "red" if number else "text") for number, word in enumerate(ACTIONS)}
_CELSIUS = unit_of("gpu_temperature_margin_celsius")
# Below 0: not how many there are, but that some wait for something.
_WAITING = {"-1": ("want reset", "orange"), "-2": ("failed", "red")}
_ROWS = (
    f"-2 * max by ({GPU_KEYS}) ({ROW_FAILED}) or -1 * max by ({GPU_KEYS}) ({ROW_WAITS}) "
    f"or sum by ({GPU_KEYS}) (gpu_remapped_rows{{}})"
)
_LANES = f"max by ({GPU_KEYS}) (gpu_pcie_link_width{{}} / gpu_pcie_link_width_max{{}})"
_PAGES = f"-1 * max by ({GPU_KEYS}) ({PAGES_WAIT}) or sum by ({GPU_KEYS}) (gpu_retired_pages{{}})"


def _errors(severity: str) -> str:
    return in_range(f'gpu_ecc_errors_total{{severity="{severity}"}}', GPU_KEYS)


def _place() -> list[Column]:
    """Where the GPU is; a click leads to its live page."""
    return [
        *joined("cluster", "uuid"),
        Column("Machine", name="instance", link=to_machine("This machine, live")),
        Column("GPU", name="gpu", width=50, link=to_gpu("This GPU, live")),
    ]


def _cell(  # noqa: PLR0913, PLR0917 - what a cell is made of
    title: str,
    expression: str,
    steps: Steps,
    width: int,
    absent: str = "",
    texts: Mapping[str, tuple[str, str]] | None = None,
    *,
    unit: str = "none",
) -> Column:
    """A number or its word; `absent` is the word where the card tells nothing."""
    asked = or_absent(expression, GPU_KEYS) if absent else expression
    known = {str(ABSENT): (absent, "text")} if absent else {}
    mapping = words({**known, **(texts or {})})
    look = Look(unit, steps, decimals=0)
    return Column(title, expr=asked, look=look, cell="color-text", width=width, mappings=(mapping,))
