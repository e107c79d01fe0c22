"""The catalogue keeps its own laws, its fields exist, and the manual is what it says."""

from dataclasses import fields
from pathlib import Path

import pytest

from gputally.catalogue import BY_NAME, DEVICES, FAMILIES, Family
from gputally.catalogue.__main__ import main, manual
from gputally.model import (
    Description,
    FastReading,
    GpuCounters,
    GpuMoney,
    HostCounters,
    SelfReport,
    SlowReading,
    WebReport,
)
from gputally.model.budget import BudgetFigures
from gputally.model.ledger import LedgerFigures
from gputally.model.market import MarketFigures
from gputally.model.reservation import ReservationFigures
from gputally.model.site import SiteFigures

ROOT = Path(__file__).parents[3]
RECORDS = {
    "description": Description,
    "fast": FastReading,
    "slow": SlowReading,
    "counters": GpuCounters,
    "counters.money": GpuMoney,
    "host": HostCounters,
    "report": SelfReport,
    "web": WebReport,
    "site": SiteFigures,
    "market": MarketFigures,
    "reservations": ReservationFigures,
    "budgets": BudgetFigures,
    "ledger": LedgerFigures,
}


@pytest.mark.parametrize("row", [row for row in FAMILIES if row.record], ids=lambda row: row.name)
def test_row_names_a_field_that_exists(row):
    assert row.key.partition(".")[0] in {field.name for field in fields(RECORDS[row.record])}


@pytest.mark.parametrize("row", DEVICES, ids=lambda row: row.name)
def test_series_of_a_gpu_carry_index_and_uuid(row):
    assert row.labels[:2] == ("gpu", "uuid") or row.name == "gpu_driver_info"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": "gpu_powerWatts"}, "snake_case"),
        ({"name": "nvidia_power_watts"}, "prefixes"),
        ({"name": "gpu_power_milliwatts", "unit": "milliwatts"}, "unit"),
        ({"name": "gpu_power_percent"}, "end in its unit"),
        ({"type": "counter"}, "_total"),
        ({"name": "gpu_power_watts_total"}, "_total"),
        ({"labels": ("gpu", "instance")}, "reserved"),
        ({"labels": ("gpu", "gpu")}, "repeat"),
        ({"labels": tuple(f"l{n}" for n in range(11))}, "too many"),
        ({"help": "power"}, "sentence"),
    ],
)
def test_a_row_that_breaks_a_law_cannot_be_made(change, complaint):
    row = {
        "name": "gpu_power_watts",
        "type": "gauge",
        "unit": "watts",
        "labels": ("gpu", "uuid"),
        "help": "Power.",
        "source": "x",
        "section": "y",
    }
    Family(**row)
    with pytest.raises(ValueError, match=complaint):
        Family(**{**row, **change})


def test_contract_names_of_the_design_exist():
    """Rules and dashboards of others rely on these."""
    promised = """
        gpu_info gpu_up gpu_power_watts gpu_power_limit_watts gpu_power_peak_watts
        gpu_energy_joules_total gpu_energy_source_info gpu_utilization_ratio
        gpu_utilization_peak_ratio gpu_busy_seconds_total gpu_memory_utilization_ratio
        gpu_engine_utilization_ratio gpu_memory_total_bytes gpu_memory_used_bytes
        gpu_memory_free_bytes gpu_memory_reserved_bytes gpu_temperature_celsius
        gpu_memory_temperature_celsius gpu_temperature_limit_celsius gpu_fan_speed_ratio
        gpu_clock_hertz gpu_clock_max_hertz gpu_performance_state gpu_throttle_seconds_total
        gpu_pcie_receive_bytes_total gpu_pcie_transmit_bytes_total gpu_pcie_replays_total
        gpu_pcie_link_generation gpu_pcie_link_width gpu_pcie_link_generation_max
        gpu_pcie_link_width_max gpu_ecc_errors_total gpu_retired_pages gpu_remapped_rows
        gpu_row_remap_pending gpu_row_remap_failed gpu_xid_errors_total
        gpu_xid_last_timestamp_seconds gpu_recovery_action gpu_processes gpu_process_memory_bytes
        gpu_process_utilization_ratio gputally_build_info gputally_collector_success
        gputally_collector_duration_seconds gputally_sample_errors_total
        gputally_last_sample_timestamp_seconds gputally_config_last_reload_success
        gputally_config_last_reload_successful_timestamp_seconds
        gpu_energy_cost_total gpu_energy_by_tariff_joules_total gpu_emissions_grams_total
        gpu_cost_day gpu_energy_day_joules gpu_job_cost_total gpu_team_cost_total site_info
        site_day_info site_electricity_price_per_kwh site_pue_ratio
        site_carbon_intensity_grams_per_kwh
    """
    assert set(promised.split()) <= set(BY_NAME)


def test_manual_is_up_to_date(capsys):
    assert main(["--check", str(ROOT / "docs/metrics.md")]) == 0, capsys.readouterr().err


def test_manual_out_of_date_is_noticed(tmp_path):
    page = tmp_path / "metrics.md"
    assert main([str(page)]) == 0
    assert main(["--check", str(page)]) == 0
    page.write_text(manual() + "x")
    assert main(["--check", str(page)]) == 1
    assert main(["--check", str(tmp_path / "none")]) == 1
    assert main([]) == 2
