"""What benchmarks/curve.py computes: pages of many machines, their past, what is declared, the limit."""

import json
import sys
from array import array
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[3] / "benchmarks"))

from gputally.config.reservations import parse_reservations
from nodes import curve, past
from nodes.curve import SERVER, Step, crossing
from nodes.names import Template, host, instance, labels, on
from nodes.world import booked, targets

UUID = "GPU-51a0e051-eac4-27f7-839e-eb9c6a66bdb7"
PAGE = f"""\
# HELP gpu_up Says "uuid" and user.
gpu_up{{gpu="0",uuid="{UUID}"}} 1
gpu_job_info{{job_id="74",user="ada",team="nlp",model=""}} 1
gpu_process_memory_bytes{{gpu="0",uuid="{UUID}",pid="7",user="ada",job_id=""}} 2
gpu_team_energy_joules_total{{team="nlp",user="other",model="m"}} 3
gputally_samples_total 9
"""


def heads(page):
    return [line.rpartition(" ")[0] for line in page.splitlines() if not line.startswith("#")]


def test_a_machine_has_gpus_jobs_and_users_of_its_own_and_teams_and_values_of_all():
    assert Template(PAGE).page(17).splitlines() == [
        '# HELP gpu_up Says "uuid" and user.',
        f'gpu_up{{gpu="0",uuid="{UUID[:-4]}0011"}} 1',
        'gpu_job_info{job_id="740017",user="ada3",team="nlp",model=""} 1',
        f'gpu_process_memory_bytes{{gpu="0",uuid="{UUID[:-4]}0011",pid="7",user="ada3",job_id=""}} 2',
        'gpu_team_energy_joules_total{team="nlp",user="other",model="m"} 3',
        "gputally_samples_total 9",
    ]


def test_no_two_machines_share_a_gpu_and_a_page_that_was_made_changes_none_after_it():
    template = Template(PAGE)
    first = template.page(0)
    assert len({heads(template.page(node))[0] for node in range(2000)}) == 2000
    assert template.page(0) == first


def test_the_past_of_a_machine_has_the_series_of_its_page():
    """Otherwise rules would find each series twice."""
    target = {"instance": instance(17), "job": "gputally-node"}
    scraped = [tuple(sorted((labels(head) | target).items())) for head in heads(Template(PAGE).page(17))]
    assert [on(17, labels(head) | target) for head in heads(PAGE)] == scraped
    assert not any(value == "" for series in scraped for _, value in series)


def test_labels_are_read_as_they_were_before_they_were_written():
    assert labels(r'm{a="x,y=\"1\"",b="\\n\n",c=""}') == {"__name__": "m", "a": 'x,y="1"', "b": "\\n\n"}


def test_a_series_stands_still_while_it_is_away():
    seen = {}
    for number, scrape in enumerate((["a 1 0.0", 'b{c="d e"} 5 0.0'], ["a 2 15.0"], [], ["a 4 45.0"])):
        past.take(seen, number, scrape)
    assert past.standing(seen["a"]) == array("d", [1, 2, 2, 4])
    assert past.standing(seen['b{c="d e"}']) == array("d", [5])


def test_every_machine_has_the_past_and_the_site_has_its_own_once():
    seen = {
        'gpu_up{instance="node-0:9836",job="gputally-node"}': {1: 1.0, 2: 1.0},
        'site_pue_ratio{instance="site:9837",job="gputally-site"}': {0: 1.3},
    }
    found = list(past.lines(seen, 60_000, 3))
    assert [dict(line.labels)["instance"] for line in found] == [*map(instance, range(3)), "site:9837"]
    assert [(line.begin_ms, len(line.slots)) for line in found] == [(75_000, 2)] * 3 + [(60_000, 1)]


def test_every_tenth_machine_has_the_bookings_of_the_example_and_they_are_allowed():
    row = {"id": "a", "team": "t", "host": "127.0.0.1", "gpus": [1]}
    row |= {"start": "2026-11-20T12:00:00Z", "end": "2026-11-21T12:00:00Z"}
    declared = booked({"inventory": {"127.0.0.1": 8}, "reservations": [row]}, 12)
    assert [(one["id"], one["host"]) for one in declared["reservations"]] == [
        ("a-0", host(0)),
        ("a-10", host(10)),
    ]
    assert len(declared["inventory"]) == 12
    assert len(parse_reservations(json.dumps(declared).encode(), "x").reservations) == 2


def test_every_machine_is_a_target_with_a_name_and_a_path_of_its_own():
    rows = targets(3, "127.0.0.1:1", "127.0.0.1:2")["node.yml"]
    assert [row["labels"]["instance"] for row in rows] == [instance(node) for node in range(3)]
    assert [row["labels"]["__metrics_path__"] for row in rows] == ["/0", "/1", "/2"]


@pytest.mark.parametrize(
    ("points", "most", "at"),
    [
        ([(10, 1.0), (20, 3.0), (40, 9.0)], 2.0, (15, True)),
        ([(10, 1.0), (20, 3.0), (40, 9.0)], 3.0, (20, True)),
        ([(10, 1.0), (20, 3.0), (40, 9.0)], 12.0, (50, False)),
        ([(10, 5.0), (20, 6.0)], 2.0, (4, False)),
        ([(10, 5.0)], 0.0, (0, False)),
        ([(10, 1.0)], 2.0, None),
        ([(10, 1.0), (20, 0.5)], 2.0, None),
        ([(10, 0.0), (20, 0.0)], 0.0, None),
        ([(10, 0.0), (20, 0.0), (40, 7.0)], 0.0, (20, True)),
    ],
)
def test_where_a_limit_is_passed(points, most, at):
    assert crossing(points, most) == (None if at is None else pytest.approx(at))


def step(nodes, **figures):
    plain = dict.fromkeys(Step.__dataclass_fields__, 0.0)
    return Step(
        **plain
        | {"nodes": nodes, "gpus": 8 * nodes, "slowest": (0.01, "g"), "question": (1.0, "q")}
        | figures
    )


def test_the_stated_limit_is_the_first_of_the_servers_and_says_how_it_was_found():
    steps = [
        step(100, cores=0.2, slowest=(0.02, "g"), p95_ms=800),
        step(200, cores=0.4, slowest=(0.05, "g"), p95_ms=1800),
    ]
    said = curve.verdict(steps)
    assert said[-1].startswith(
        "limit of one Prometheus on 2 cores: 367 machines, 2,933 GPUs (extrapolated: 10% of"
    )
    assert any("live page" in line and "at 120 machines, between measured points" in line for line in said)
    lost = step(300, cores=0.6, slowest=(0.08, "g"), failed=2)
    assert curve.verdict([*steps, lost])[-1].startswith(
        "limit of one Prometheus on 2 cores: 200 machines, 1,600 GPUs (interpolated: a scrape failed"
    )


def test_a_curve_that_is_not_one_states_no_limit():
    assert curve.verdict([step(10)]) == ["", "no limit of the server is in sight at 10 machines"]


@pytest.mark.parametrize("criterion", SERVER, ids=lambda one: one.words)
def test_each_limit_is_one_of_something(criterion):
    """Of a quiet step none is passed, of one in which all goes wrong every one."""
    bad = step(1, cores=1.41, slowest=(0.11, "g"), missed=1.0, failed=1.0, late_s=1.1)
    assert criterion.figure(step(1)) <= criterion.most < criterion.figure(bad)


@pytest.mark.parametrize(
    ("figures", "does"), [({}, True), ({"missed": 1.0}, False), ({"failed": 1.0}, False)]
)
def test_the_curve_ends_where_the_server_does_not_keep_up(figures, does):
    assert curve.keeps_up(step(1, cores=1.41, slowest=(0.11, "g"), **figures)) is does


def test_a_row_has_a_cell_for_each_column():
    assert curve.row(step(125)).count(" | ") == curve.HEAD.partition("\n")[0].count(" | ")


def test_what_grows_is_told_by_a_line_and_where_it_leads():
    rows = curve.growth([step(125, series=140_000.0, cores=0.2), step(250, series=270_000.0, cores=0.3)])
    assert "| series | 130,000 | 10,000 | 140,000 | 1,310,000 | 13,010,000 |" in rows
    assert "| cores | 0.100 | 0.100 | 0.200 | 1.100 | 10.100 |" in rows
    assert curve.growth([step(125)]) == []


def test_of_twenty_queries_the_second_slowest_is_the_95th_percentile():
    assert curve.p95([*range(20, 0, -1)]) == 19
    assert curve.p95([7.0]) == 7
