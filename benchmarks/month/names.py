"""What the name of a series stands for: whose it is, what it measures, how it is laid down.

It follows from the name's parts, so that a new rule of the usual form has its series by itself; a family that
no figure depends on is a constant with the labels that the catalogue gives it.
"""

from dataclasses import dataclass, replace
from types import MappingProxyType

from gputally.catalogue import BY_NAME
from month.data import CURRENCY, PRICES, PUE, SLOT_MS
from month.loads import SLOT_S

SCRAPE_MS = 15_000
NOISE = 0.02
PARTS = {
    "cost": 1e9,
    "unused_cost": 1e9,
    "idle_cost": 1e9,
}  # a counter is rounded to them, others to thousandths


@dataclass(frozen=True)
class Recipe:
    """How the series of one name are made."""

    name: str
    level: str
    form: str  # a method of month.series.Series
    measure: str = ""
    unit: float = 1.0  # of what a slot counts
    step_ms: int = SCRAPE_MS
    noise: float = 0.0
    rows: tuple[MappingProxyType[str, str], ...] = (MappingProxyType({}),)


_COUNTERS = {
    "gpu_energy_joules_total": ("gpu", "joules"),
    "gpu_energy_cost_total": ("gpu", "cost"),
    "gpu_energy_by_tariff_joules_total": ("gpu", "tariff"),
    "gpu_emissions_grams_total": ("gpu", "grams"),
    "gpu_busy_seconds_total": ("gpu", "busy"),
    "gpu_unattributed_energy_joules_total": ("gpu", "idle"),
    "gpu_unattributed_cost_total": ("gpu", "idle_cost"),
    "gpu_unattributed_gpu_seconds_total": ("gpu", "idle_seconds"),
    "gputally_samples_total": ("instance", "joules"),  # it grows
} | {
    f"gpu_{owner}_{rest}_total": (f"node_{owner}", measure)
    for owner in ("team", "job")
    for rest, measure in (
        ("energy_joules", "joules"),
        ("cost", "cost"),
        ("energy_by_tariff_joules", "tariff"),
        ("emissions_grams", "grams"),
        ("gpu_seconds", "seconds"),
        ("busy_seconds", "busy"),
        ("unused_energy_joules", "unused"),
        ("unused_cost", "unused_cost"),
    )
}
_COUNTERS["gpu_job_energy_joules_total"] = ("node_job_gpu", "component")
_GAUGES = {
    "gpu_power_watts": ("joules", 1 / SLOT_S),
    "gpu_power_peak_watts": ("joules", 1.1 / SLOT_S),
    "gpu_utilization_ratio": ("busy", 1 / SLOT_S),
    "gpu_utilization_peak_ratio": ("busy", 1 / SLOT_S),
}
_DAYS = {"gpu_cost_day": "cost", "gpu_energy_day_joules": "joules"}
# The middle of a recorded name, without `gpu_` and `job_`: what is measured, and the unit of a slot's amount.
_RECORDED = {
    "energy_kwh": ("joules", 1 / 3.6e6),
    "energy_joules": ("joules", 1.0),
    "power_watts": ("joules", 1.0),
    "energy_by_tariff_kwh": ("tariff", 1 / 3.6e6),
    "emissions_grams": ("grams", 1.0),
    "energy_cost": ("cost", 1.0),
    "energy_cost_derived": ("cost", 1.0),
    "cost": ("cost", 1.0),
    "energy_cost_per_hour": ("cost", 3600.0),
    "cost_per_hour": ("cost", 3600.0),
    "hours": ("seconds", 1 / 3600),
    "gpu_hours": ("seconds", 1 / 3600),
    "busy_hours": ("busy", 1 / 3600),
    "busy_seconds": ("busy", 1.0),
    "utilization": ("busy", 1.0),
    "unused_kwh": ("unused", 1 / 3.6e6),
    "unused_cost": ("unused_cost", 1.0),
    "unattributed_kwh": ("idle", 1 / 3.6e6),
    "unattributed_cost": ("idle_cost", 1.0),
    "unattributed_hours": ("idle_seconds", 1 / 3600),
    "cost_day": ("cost", 1.0),
    "energy_day_kwh": ("joules", 1 / 3.6e6),
    "energy_day_joules": ("joules", 1.0),
    "cost_today": ("cost", 1.0),
    "energy_today_kwh": ("joules", 1 / 3.6e6),
}
_FACTS = {  # of a job, recorded or not
    "gpu_job_info": "info",
    "gpu_job_state": "state",
    "gpu_job_start_time_seconds": "start",
    "gpu_job_end_time_seconds": "end",
    "gpu_job_info_timestamp_seconds": "seen",
    "gpu_job_state_code": "code",
    "gpu_job_utilization": "used",
    "gpu_job_gpus": "gpus",
}
_WORDS = {"currency": CURRENCY, "tariff": "day", "reason": "idle", "limit": "slowdown", "timezone": "UTC"}
_VALUES = {  # of a healthy fleet: nothing else but names and successes is other than 0
    "gpu_temperature_celsius": 60.0,
    "gpu_temperature_limit_celsius": 90.0,
    "gpu_temperature_margin_celsius": 30.0,
    "gpu_processes": 1.0,
    "gpu_memory_total_bytes": 80e9,
    "gpu_memory_used_bytes": 40e9,
    "site_pue_ratio": PUE,
}
_MONEY = MappingProxyType({"currency": CURRENCY})
_OWNERS = frozenset({"gpu", "uuid", "job_id"})
ABSENT = frozenset(
    {
        "gpu_down_info",
        "gpu_energy_credit_total",
        "gputally_last_sample_timestamp_seconds",
        "gputally_web_certificate_expiry_timestamp_seconds",
        "site_tariff_end_timestamp_seconds",
    }
)


def recipe(name: str, rule_step_ms: int) -> Recipe | None:
    """How to make the series of a name; rule_step_ms is how often it is evaluated if it is a rule's."""
    if name.count(":") == 2:
        return _recorded(name, rule_step_ms)
    if name in _COUNTERS:
        level, measure = _COUNTERS[name]
        return Recipe(name, level, "counter", measure)
    if name in _GAUGES:
        measure, unit = _GAUGES[name]
        return Recipe(name, "gpu", "gauge", measure, unit, noise=NOISE)
    if name in _DAYS:
        return Recipe(name, "gpu", "days", _DAYS[name])
    if name in _FACTS:
        level = "node_job_info" if name == "gpu_job_info" else "node_job"
        return Recipe(name, level, "fact", _FACTS[name])
    return _plain(name)


def _plain(name: str) -> Recipe | None:
    if name == "up":
        return Recipe(name, "instance", "constant", unit=1.0)
    if name not in BY_NAME:
        return None
    labels = BY_NAME[name].labels
    level = "site" if BY_NAME[name].record == "site" else "instance"
    level = "gpu" if "gpu" in labels else "node_job" if "job_id" in labels else level
    words = {label: _WORDS.get(label, "other") for label in labels if label not in _OWNERS}
    words |= {"reason": "not_supported"} if name == "gpu_energy_source_info" else {}
    rows = [words | {"tariff": band} for band in PRICES] if "tariff" in words else [words]
    form = "dates" if "day" in words else "constant"
    rows_ = tuple(MappingProxyType(row) for row in rows)
    value = _VALUES.get(name, 1.0 if name.endswith(("_info", "_up", "_success")) else 0.0)
    return Recipe(name, level, form, unit=value, rows=rows_)


def _recorded(name: str, step_ms: int) -> Recipe | None:
    level, metric, operation = name.split(":")
    base = Recipe(name, level, "gauge", step_ms=step_ms)
    if metric in _FACTS:
        return replace(base, form="fact", measure=_FACTS[metric])
    if operation.startswith("ratio"):
        return replace(base, form="constant", rows=(_MONEY,) if "busy" in metric else base.rows)
    short = metric.removeprefix("gpu_")
    known = _RECORDED.get(short.removeprefix("job_") if level == "job_id" else short)
    if known is None:
        return None
    base = replace(base, measure=known[0], unit=known[1])
    if operation == "increase5m":
        return replace(base, step_ms=SLOT_MS)
    forms = {"increase1h": "tiles", "max": "final"}
    form = "days" if "_day" in metric else "today" if "_today" in metric else forms.get(operation)
    return replace(base, form=form) if form else replace(base, unit=base.unit / SLOT_S, noise=NOISE)
