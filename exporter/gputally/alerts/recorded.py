"""Recorded series that a rule of one's own may compare, with their labels. A test holds the rule files to it.

The parts of the audit and the names of jobs are not here: nobody has a threshold for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded series. `seconds` is how often it is evaluated."""

    name: str
    labels: tuple[str, ...]
    seconds: int


_EVERY_HOUR = {
    "uuid:gpu_energy_kwh:increase1h": "cluster uuid",
    "uuid:gpu_energy_cost:increase1h": "cluster uuid currency",
    "uuid:gpu_busy_hours:increase1h": "cluster uuid",
    "cluster:gpu_energy_kwh:increase1h": "cluster",
    "cluster:gpu_energy_cost:increase1h": "cluster currency",
    "cluster:gpu_energy_by_tariff_kwh:increase1h": "cluster tariff",
    "cluster:gpu_busy_hours:increase1h": "cluster",
    "cluster:gpu_emissions_grams:increase1h": "cluster",
    "team_user_model:gpu_energy_kwh:increase1h": "cluster team user model",
    "team_user_model:gpu_cost:increase1h": "cluster team user model currency",
    "team_user_model:gpu_hours:increase1h": "cluster team user model",
    "team_user_model:gpu_busy_hours:increase1h": "cluster team user model",
    "team_user_model:gpu_unused_kwh:increase1h": "cluster team user model",
    "team_user_model:gpu_unused_cost:increase1h": "cluster team user model currency",
    "team_user_model:gpu_energy_by_tariff_kwh:increase1h": "cluster team user model tariff",
    "team_user_model:gpu_emissions_grams:increase1h": "cluster team user model",
    "cluster:gpu_unattributed_kwh:increase1h": "cluster reason",
    "cluster:gpu_unattributed_cost:increase1h": "cluster reason currency",
    "cluster:gpu_unattributed_hours:increase1h": "cluster",
}
_EVERY_FIVE_MINUTES = {
    "job_id:gpu_job_energy_kwh:max": "cluster job_id",
    "job_id:gpu_job_cost:max": "cluster job_id currency",
    "job_id:gpu_job_gpu_hours:max": "cluster job_id",
    "job_id:gpu_job_busy_hours:max": "cluster job_id",
    "job_id:gpu_job_unused_cost:max": "cluster job_id currency",
    "gpu:gpu_power_watts:avg5m": "cluster instance gpu uuid",
    "gpu:gpu_power_watts:min5m": "cluster instance gpu uuid",
    "gpu:gpu_power_watts:max5m": "cluster instance gpu uuid",
    "instance:gpu_power_watts:avg5m": "cluster instance",
    "cluster:gpu_power_watts:avg5m": "cluster",
    "gpu:gpu_utilization:avg5m": "cluster instance gpu uuid",
    "gpu:gpu_utilization:min5m": "cluster instance gpu uuid",
    "gpu:gpu_utilization:max5m": "cluster instance gpu uuid",
    "instance:gpu_utilization:avg5m": "cluster instance",
    "cluster:gpu_utilization:avg5m": "cluster",
}
_EVERY_TWO_MINUTES = {
    "cluster:gpu_cost_per_busy_gpu_hour:ratio1d": "cluster currency",
    "team:gpu_cost_per_busy_gpu_hour:ratio1d": "cluster team currency",
}
_EVERY_MINUTE = {
    "instance_uuid:gpu_cost_day:max2m": "cluster instance uuid day currency",
    "instance_uuid:gpu_energy_day_joules:max2m": "cluster instance uuid day",
    "cluster:gpu_cost_day:sum": "cluster day currency",
    "cluster:gpu_energy_day_kwh:sum": "cluster day",
    "cluster:gpu_cost_today:sum": "cluster currency",
    "cluster:gpu_energy_today_kwh:sum": "cluster",
}
_EVERY_SCRAPE = {
    "gpu:gpu_energy_cost_per_hour:rate5m": "cluster instance gpu uuid currency",
    "instance:gpu_energy_cost_per_hour:rate5m": "cluster instance currency",
    "cluster:gpu_energy_cost_per_hour:rate5m": "cluster currency",
    "team:gpu_cost_per_hour:rate5m": "cluster team currency",
    "model:gpu_cost_per_hour:rate5m": "cluster model currency",
    "instance:gpu_power_watts:sum": "cluster instance",
    "cluster:gpu_power_watts:sum": "cluster",
    "gpu:gpu_energy_joules:rate5m": "cluster instance gpu uuid",
    "instance:gpu_energy_joules:rate5m": "cluster instance",
    "gpu:gpu_busy_seconds:rate5m": "cluster instance gpu uuid",
    "instance:gpu_busy_seconds:avg_rate5m": "cluster instance",
    "cluster:gpu_busy_seconds:avg_rate5m": "cluster",
    "instance:gpu_memory_used_per_total:ratio": "cluster instance",
}

RECORDED: Mapping[str, Recorded] = MappingProxyType(
    {
        name: Recorded(name, tuple(labels.split()), seconds)
        for seconds, rules in (
            (3600, _EVERY_HOUR),
            (300, _EVERY_FIVE_MINUTES),
            (120, _EVERY_TWO_MINUTES),
            (60, _EVERY_MINUTE),
            (15, _EVERY_SCRAPE),
        )
        for name, labels in rules.items()
    }
)
