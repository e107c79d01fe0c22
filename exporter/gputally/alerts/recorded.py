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
    "instance:gpu_energy_kwh:increase1h": "cluster instance",
    "instance:gpu_energy_cost:increase1h": "cluster instance currency",
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
    "consumer:gpu_energy_kwh:increase1h": "cluster team user",
    "consumer:gpu_cost:increase1h": "cluster team user currency",
    "consumer:gpu_hours:increase1h": "cluster team user",
    "consumer:gpu_busy_hours:increase1h": "cluster team user",
    "consumer:gpu_unused_kwh:increase1h": "cluster team user",
    "consumer:gpu_unused_cost:increase1h": "cluster team user currency",
    "consumer:gpu_emissions_grams:increase1h": "cluster team user",
    "team:gpu_energy_kwh:increase1h": "cluster team",
    "team:gpu_cost:increase1h": "cluster team currency",
    "team:gpu_hours:increase1h": "cluster team",
    "host_team:gpu_hours:increase1h": "cluster instance team",
    "team:gpu_busy_hours:increase1h": "cluster team",
    "team:gpu_unused_kwh:increase1h": "cluster team",
    "team:gpu_unused_cost:increase1h": "cluster team currency",
    "team:gpu_emissions_grams:increase1h": "cluster team",
    "model:gpu_energy_kwh:increase1h": "cluster model",
    "model:gpu_cost:increase1h": "cluster model currency",
    "model:gpu_hours:increase1h": "cluster model",
    "model:gpu_busy_hours:increase1h": "cluster model",
    "model:gpu_unused_cost:increase1h": "cluster model currency",
    "model:gpu_emissions_grams:increase1h": "cluster model",
    "cluster:gpu_unattributed_kwh:increase1h": "cluster reason",
    "cluster:gpu_unattributed_cost:increase1h": "cluster reason currency",
    "cluster:gpu_unattributed_hours:increase1h": "cluster",
}
_EVERY_FIVE_MINUTES = {
    "job_id:gpu_job_energy_kwh:max": "cluster job_id",
    "job_id:gpu_job_cost:max": "cluster job_id currency",
    "job_id:gpu_job_gpus:max": "cluster job_id",
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
    "provider:gpu_market_fresh:bool": "cluster provider",
    "offer:gpu_market_usd_per_gpu_hour:live": "cluster provider card price_tier host_tier region",
    "card_provider:gpu_market_usd_per_gpu_hour:min": "cluster card provider price_tier host_tier",
    "card:gpu_market_usd_per_gpu_hour:min": "cluster card price_tier host_tier",
    "card:gpu_market_usd_per_gpu_hour:max": "cluster card price_tier host_tier",
    "card:gpu_market_providers:count": "cluster card price_tier host_tier",
    "card:gpu_market_cheapest_usd_per_gpu_hour:info": "cluster card provider price_tier host_tier",
    "card:gpu_market_spread:ratio": "cluster card price_tier host_tier",
    "card_provider:gpu_market_usd_per_tflop_hour:min": "cluster card provider price_tier host_tier",
    "card_provider:gpu_market_stock:ratio7d": "cluster card provider price_tier host_tier",
    "card_provider:gpu_market_gscore_part:ratio": "cluster card provider price_tier host_tier part",
    "card_provider:gpu_market_gscore:ratio": "cluster card provider price_tier host_tier",
    "rental:gpu_rental_saving_usd_per_month:max": "cluster rental team provider card price_tier host_tier",
    "uuid:gpu_card_info:max": "cluster uuid card",
    "card:gpu_own_utilization:ratio30d": "cluster card",
    "card:gpu_own_idle_watts:avg": "cluster card",
    "card:gpu_own_active_watts:avg30d": "cluster card",
    "cluster:site_electricity_usd_per_kwh:avg7d": "cluster",
    "card:gpu_own_fixed_usd_per_hour:sum": "cluster card",
    "card:gpu_own_marginal_usd_per_hour:sum": "cluster card",
    "card:gpu_own_usd_per_hour:avg": "cluster card",
    "card:gpu_own_breakeven_utilization:ratio": "cluster card price_tier host_tier",
    "card:gpu_own_is_cheaper:bool": "cluster card price_tier host_tier",
    "cluster:gpu_tile_seconds:last1h": "cluster",
    "host:gpu_own_cost_per_hour:avg": "cluster instance currency",
    "team:gpu_budget_edge_seconds:period": "cluster team period",
    "team:gpu_budget_hours:period": "cluster team",
    "team:gpu_budget_energy_cost:period": "cluster team currency",
    "team:gpu_own_cost:last1h": "cluster team currency",
    "team:gpu_budget_capital_cost:period": "cluster team currency",
    "team:gpu_budget_spent_cost:period": "cluster team currency part",
    "team:gpu_budget_credit_cost:period": "cluster team currency part",
    "team:gpu_budget_balance_cost:period": "cluster team currency",
    "team:gpu_budget_used:ratio": "cluster team",
    "team:gpu_budget_burn_cost_per_hour:avg3d": "cluster team currency",
    "team:gpu_budget_forecast_cost:period": "cluster team currency",
    "team:gpu_budget_forecast:ratio": "cluster team",
    "team:gpu_budget_left_days:ratio": "cluster team",
    "team:gpu_budget_known:ratio": "cluster team",
    "charge:gpu_cloud_cost_month_to_date:max": "cluster provider card team currency",
    "provider:gpu_cloud_cost_month_to_date:sum": "cluster provider currency",
    "card:gpu_cloud_cost_month_to_date:sum": "cluster card currency",
    "team:gpu_cloud_cost_month_to_date:sum": "cluster team currency",
    "provider:gpu_cloud_cost_by_day:sum": "cluster provider day currency",
    "card:gpu_cloud_cost_by_day:sum": "cluster card day currency",
    "team:gpu_cloud_cost_by_day:sum": "cluster team day currency",
    "cluster:gpu_cloud_and_own_cost_day:max": "cluster day currency where",
    "team:gpu_cloud_and_own_cost:sum31d": "cluster team currency where",
    "provider:gpu_cloud_usd_per_gpu_hour:avg31d": "cluster provider card",
    "provider:gpu_cloud_paid_per_market:ratio": "cluster provider card",
    "provider:gpu_cloud_bill_age_seconds:min": "cluster provider",
    "team:gpu_cloud_job_gpu_hours:sum30d": "cluster team status",
}
_EVERY_MINUTE = {
    "instance_uuid:gpu_cost_day:max2m": "cluster instance uuid day currency",
    "instance_uuid:gpu_energy_day_joules:max2m": "cluster instance uuid day",
    "cluster:gpu_cost_day:sum": "cluster day currency",
    "cluster:gpu_energy_day_kwh:sum": "cluster day",
    "cluster:gpu_cost_today:sum": "cluster currency",
    "cluster:gpu_energy_today_kwh:sum": "cluster",
    "reservation_gpu:gpu_reserved:max": "cluster machine instance gpu uuid reservation team",
    "holder:gpu_process_memory_bytes:sum": "cluster machine instance gpu uuid user holder",
    "reservation_user:gpu_reservation_foreign_bytes:sum": (
        "cluster machine instance gpu uuid reservation team user"
    ),
    "reservation_gpu:gpu_reservation_used:ratio": "cluster machine instance gpu uuid reservation team",
    "holder:gpu_reservation_any_bytes:sum": "cluster machine instance gpu uuid user holder",
    "machine:gpu_reservation_used:ratio": "cluster machine",
    "machine:gpu_reservation_missing_gpus:sum": "cluster machine",
    "reservation:gpu_reserved_gpus:sum": "cluster machine reservation team",
    "reservation:gpu_reservation_used_gpus:sum": "cluster machine reservation team",
    "reservation:gpu_reservation_wasted_gpus:sum": "cluster machine reservation team",
    "team:gpu_reserved_gpus:sum": "cluster team",
    "team:gpu_reservation_used_gpus:sum": "cluster team",
    "team:gpu_reservation_wasted_gpus:sum": "cluster team",
    "team:gpu_reservation_cost_per_hour:sum": "cluster team currency",
    "team:gpu_reserved_hours:sum1d": "cluster team",
    "team:gpu_reservation_used_hours:sum1d": "cluster team",
    "team:gpu_reservation_wasted_hours:sum1d": "cluster team",
    "team:gpu_reservation_cost:sum1d": "cluster team currency",
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
