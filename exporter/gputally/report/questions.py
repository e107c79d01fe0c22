"""What is asked of Prometheus, in PromQL: one place for reports and dashboards, so that sums are the same.

A rolling range of a day and more adds up hourly tiles (`tiles`), any other asks the counters (`increase`).
Jobs are read as the greatest value that they ever showed (`finals`, and `live` for what runs). Every function
takes the span as text, so that `7d`, `604800s` and a dashboard's `$__range` are all right.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

JOULES_PER_KWH = " / 3.6e6"
SECONDS_PER_HOUR = " / 3600"
JUST_NOW = "10m"  # a job stays for at least 5 minutes after its end


@dataclass(frozen=True, slots=True)
class Measure:
    """One amount: the rule that holds it by the hour (of a job: all of it), and the counter behind it."""

    column: str
    rule: str  # "" where there is none
    counter: str
    per: str = ""  # from the counter's unit to the rule's
    money: bool = False  # an amount for each currency; they are never added

    def labels(self, by: Iterable[str]) -> tuple[str, ...]:
        """What the amount is asked by."""
        return (*by, "currency") if self.money else tuple(by)


_TEAM = "team_user_model:{}:increase1h"
TEAM = {
    measure.column: measure
    for measure in (
        Measure("kwh", _TEAM.format("gpu_energy_kwh"), "gpu_team_energy_joules_total", JOULES_PER_KWH),
        Measure("cost", _TEAM.format("gpu_cost"), "gpu_team_cost_total", money=True),
        Measure("gpu_hours", _TEAM.format("gpu_hours"), "gpu_team_gpu_seconds_total", SECONDS_PER_HOUR),
        Measure(
            "busy_hours", _TEAM.format("gpu_busy_hours"), "gpu_team_busy_seconds_total", SECONDS_PER_HOUR
        ),
        Measure(
            "unused_kwh",
            _TEAM.format("gpu_unused_kwh"),
            "gpu_team_unused_energy_joules_total",
            JOULES_PER_KWH,
        ),
        Measure("unused_cost", _TEAM.format("gpu_unused_cost"), "gpu_team_unused_cost_total", money=True),
    )
}
GPU = {
    measure.column: measure
    for measure in (
        Measure("kwh", "uuid:gpu_energy_kwh:increase1h", "gpu_energy_joules_total", JOULES_PER_KWH),
        Measure("cost", "uuid:gpu_energy_cost:increase1h", "gpu_energy_cost_total", money=True),
        Measure("busy_hours", "uuid:gpu_busy_hours:increase1h", "gpu_busy_seconds_total", SECONDS_PER_HOUR),
    )
}
# What no job used, by reason; the time that no job held a GPU has none.
NOBODY = {
    measure.column: measure
    for measure in (
        Measure(
            "unused_kwh",
            "cluster:gpu_unattributed_kwh:increase1h",
            "gpu_unattributed_energy_joules_total",
            JOULES_PER_KWH,
        ),
        Measure(
            "unused_cost",
            "cluster:gpu_unattributed_cost:increase1h",
            "gpu_unattributed_cost_total",
            money=True,
        ),
    )
}
NOT_HELD = Measure(
    "unused_hours",
    "cluster:gpu_unattributed_hours:increase1h",
    "gpu_unattributed_gpu_seconds_total",
    SECONDS_PER_HOUR,
)
# Energy by band of the tariff (label `tariff`), from which a range is priced anew.
TEAM_BANDS = Measure(
    "kwh",
    _TEAM.format("gpu_energy_by_tariff_kwh"),
    "gpu_team_energy_by_tariff_joules_total",
    JOULES_PER_KWH,
)
GPU_BANDS = Measure("kwh", "", "gpu_energy_by_tariff_joules_total", JOULES_PER_KWH)
JOB = {
    measure.column: measure
    for measure in (
        Measure("kwh", "job_id:gpu_job_energy_kwh:max", "gpu_job_energy_joules_total", JOULES_PER_KWH),
        Measure("cost", "job_id:gpu_job_cost:max", "gpu_job_cost_total", money=True),
        Measure("gpu_hours", "job_id:gpu_job_gpu_hours:max", "gpu_job_gpu_seconds_total", SECONDS_PER_HOUR),
        Measure(
            "busy_hours", "job_id:gpu_job_busy_hours:max", "gpu_job_busy_seconds_total", SECONDS_PER_HOUR
        ),
        Measure("unused_cost", "job_id:gpu_job_unused_cost:max", "gpu_job_unused_cost_total", money=True),
    )
}
JOB_LABELS = ("cluster", "job_id")
MACHINE_LABELS = (*JOB_LABELS, "instance")
ENERGY_LABELS = ("uuid", "component")  # energy of a job is counted card by card
# What a day of the site's calendar has reached: gauges, folded once a minute. Joules, too.
DAY = {
    measure.column: measure
    for measure in (
        Measure("kwh", "instance_uuid:gpu_energy_day_joules:max2m", "gpu_energy_day_joules"),
        Measure("cost", "instance_uuid:gpu_cost_day:max2m", "gpu_cost_day", money=True),
    )
}
CARD_LABELS = ("cluster", "instance", "uuid")


def tiles(measure: Measure, by: Iterable[str], span: str, where: str = "", moved: str = "") -> str:
    """Sum of the hourly tiles within the span; up to an hour late, and the same on every page.

    `moved`: `offset 7d` or `@ end()`, for a span that does not end with the question.
    """
    labels = ", ".join(measure.labels(by))
    ends = f" {moved}" if moved else ""
    return f"sum by ({labels}) (sum_over_time({measure.rule}{_braces(where)}[{span}]{ends}))"


def increase(measure: Measure, by: Iterable[str], span: str, where: str = "") -> str:
    """What the counters counted within the span."""
    labels = ", ".join(measure.labels(by))
    return f"sum by ({labels}) (increase({measure.counter}{_braces(where)}[{span}])){measure.per}"


def finals(measure: Measure, span: str, where: str = "") -> str:
    """What each job of the span has used by its end or the span's; also what it used before the span."""
    return seen(measure.rule, measure.labels(JOB_LABELS), span, where)


def live(measure: Measure, span: str = JUST_NOW) -> str:
    """The same of jobs that run, or ended just now, from their own counters: what no rule has seen yet."""
    greatest = f"max_over_time({measure.counter}[{span}])"
    if measure is JOB["kwh"]:  # a GPU that changes its index under way is there twice
        greatest = f"max by ({', '.join((*MACHINE_LABELS, *ENERGY_LABELS))}) ({greatest})"
    return f"sum by ({', '.join(measure.labels(JOB_LABELS))}) ({greatest}){measure.per}"


def by_machine(measure: Measure, job_ids: Sequence[str], span: str) -> str:
    """What jobs have used on each of their machines: for those that did not end on all of them at once."""
    more = ENERGY_LABELS if measure is JOB["kwh"] else ()
    where = matching({"job_id": job_ids})
    return seen(measure.counter, measure.labels((*MACHINE_LABELS, *more)), span, where) + measure.per


def seen(metric: str, by: Iterable[str], span: str, where: str = "") -> str:
    """The greatest value of a gauge by labels; of an info series, which labels there were."""
    return f"max by ({', '.join(by)}) (max_over_time({metric}{_braces(where)}[{span}]))"


def seen_now_and_then(metric: str, by: Iterable[str], span: str, step: str) -> str:
    """The same, looked at once in every step and at the end: for what stays long, over long ranges."""
    return f"max by ({', '.join(by)}) (max_over_time({metric}[{span}:{step}]) or {metric})"


def first(metric: str, by: Iterable[str], span: str) -> str:
    """The least value of a gauge by labels."""
    return f"min by ({', '.join(by)}) (min_over_time({metric}[{span}]))"


def hours_up(by: Iterable[str], span: str, step_s: int, where: str = "") -> str:
    """For how many hours GPUs answered, looked at once in every step."""
    looked = f"sum_over_time(gpu_up{_braces(where)}[{span}:{step_s}s])"
    return f"sum by ({', '.join(by)}) ({looked}) * {step_s}{SECONDS_PER_HOUR}"


def of_day(measure: Measure, day: str, span: str, where: str = "", *, recorded: bool = True) -> str:
    """What a day of the site's calendar has reached, card by card: also of cards that are gone since."""
    metric = measure.rule if recorded else measure.counter
    where = ", ".join(part for part in (f'day="{quoted(day)}"', where) if part)
    return seen(metric, measure.labels((*CARD_LABELS, "day")), span, where)


def hours_with_tiles(measure: Measure, span: str) -> str:
    """How many tiles there are."""
    return f"max(count_over_time({measure.rule}[{span}]))"


def hours_with_counters(measure: Measure, span: str) -> str:
    """How many tiles there should be."""
    return f"count_over_time(group({measure.counter})[{span}:1h]) or group({measure.counter})"


def matching(filters: Mapping[str, Sequence[str]]) -> str:
    """What stands between the braces, for labels that have one of some values."""
    return ", ".join(_matcher(label, values) for label, values in sorted(filters.items()) if values)


def quoted(text: str) -> str:
    """Text as it stands between double quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _matcher(label: str, values: Sequence[str]) -> str:
    if len(values) == 1:
        return f'{label}="{quoted(values[0])}"'
    alternatives = "|".join("".join(f"\\{c}" if c in r"\.+*?()|[]{}^$" else c for c in v) for v in values)
    return f'{label}=~"{quoted(alternatives)}"'


def _braces(where: str) -> str:
    return f"{{{where}}}" if where else ""
