"""What the bands of a tariff come to, in promtool: derived from energy, prices and PUE."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from grafana.prices import cost_of_bands_by_day, cost_of_bands_over_time

KWH = "cluster:gpu_energy_by_tariff_kwh:increase1h"
PRICE = "site_electricity_price_per_kwh"
# Two clusters, of which one has another PUE; at night the price is below zero; `old` has none any more.
SERIES = {
    f'{KWH}{{cluster="c", tariff="day"}}': "10 _x11 10 _x11 10",
    f'{KWH}{{cluster="d", tariff="day"}}': "20 _x11 20 _x11 20",
    f'{KWH}{{cluster="c", tariff="night"}}': "5 _x11 5 _x11 5",
    f'{KWH}{{cluster="c", tariff="old"}}': "7 _x11 7 _x11 7",
    f'{PRICE}{{cluster="c", tariff="day", currency="EUR", instance="s1"}}': "0.3x40",
    f'{PRICE}{{cluster="c", tariff="day", currency="EUR", instance="s2"}}': "0.3x40",
    f'{PRICE}{{cluster="d", tariff="day", currency="EUR"}}': "0.2x40",
    f'{PRICE}{{cluster="c", tariff="night", currency="EUR"}}': "-0.1x40",
    'site_pue_ratio{cluster="c"}': "1.5x40",
    'site_pue_ratio{cluster="d"}': "1x40",
}


@pytest.mark.parametrize(
    ("chart", "interval", "day"),
    [(cost_of_bands_over_time, "1h", 10 * 0.3 * 1.5 + 20 * 0.2), (cost_of_bands_by_day, "2h", 17.0)],
)
def test_a_band_costs_its_energy_at_its_price_and_a_negative_price_nothing(
    tmp_path: Path, chart, interval: str, day: float
) -> None:
    (target,) = chart()["targets"]
    expr = target["expr"].replace("$cluster", ".*").replace("$currency", "EUR")
    asked = {"expr": expr.replace("$__interval", interval), "eval_time": "2h30m"}
    asked["exp_samples"] = [
        {"labels": '{tariff="day"}', "value": day},
        {"labels": '{tariff="night"}', "value": 0},
    ]
    series = [{"series": name, "values": values} for name, values in SERIES.items()]
    test = {"interval": "5m", "input_series": series, "promql_expr_test": [asked]}
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "5m", "tests": [test]}))
    command = ["promtool", "test", "rules", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, re.sub(r"\\", "", ran.stderr)
