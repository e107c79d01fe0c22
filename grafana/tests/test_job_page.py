"""One job on two machines, of which one ends long before the other; and what the home page says of alerts.

Prometheus' own tool answers the pages' queries, of series that are written here: a sample every 15 s.
"""

import subprocess
from pathlib import Path

import pytest
import yaml
from grafana.tests.chosen import filled
from grafana.tests.conftest import DASHBOARDS, targets

MINUTE = 4  # samples
KEPT = 5 * MINUTE  # an agent keeps a job's series after its end
HOST = 'cluster="c", job="j"'
SHORT, LONG = 20, 60  # minutes that the two parts of the job take
WATCHDOG = 'alertname="GputallyWatchdog", severity="info"'
LOST = f'alertname="GpuLost", severity="critical", {HOST}, instance="a", gpu="1"'


def query_of(page: str, title: str, letter: str = "A") -> str:
    (found,) = (
        target["expr"]
        for panel, target in targets(DASHBOARDS[page])
        if (panel["title"], target["refId"]) == (title, letter)
    )
    assert isinstance(found, str)
    return found.replace("$__range", "3h").replace("$__rate_interval", "1m")


def ask(folder: Path, query: str, series: dict[str, str], minute: int, answer: dict[str, float]) -> None:
    """Fail unless the query has exactly this answer at this minute of these series."""
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": filled(query),
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": labels, "value": value} for labels, value in answer.items()],
            }
        ],
    }
    file = folder / "asked.yml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": [test]}))
    command = ["promtool", "test", "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def part(instance: str, minutes: int, *, end: str = "completed") -> dict[str, str]:
    """What an agent shows of its part of the job: a kilowatt and a cent a minute, begun at minute 0."""
    labels = f'{HOST}, instance="{instance}", job_id="7"'
    gpu = f'{labels}, gpu="0", uuid="u-{instance}"'
    samples = minutes * MINUTE

    def counted(by_minute: float) -> str:
        each = by_minute / MINUTE
        return f"0+{each:.9g}x{samples} {by_minute * minutes:.9g}x{KEPT - 1} stale"

    return {
        f'gpu_job_energy_joules_total{{{gpu}, component="active"}}': counted(60_000),
        f'gpu_job_cost_total{{{labels}, currency="USD"}}': counted(0.01),
        f"gpu_job_gpu_seconds_total{{{labels}}}": counted(60),
        f"gpu_job_start_time_seconds{{{labels}}}": f"0x{samples + KEPT} stale",
        f'gpu_job_state{{{labels}, state="running"}}': f"1x{samples} stale",
        **(
            {
                f'gpu_job_state{{{labels}, state="{end}"}}': f"_x{samples} 1x{KEPT - 1} stale",
                f"gpu_job_end_time_seconds{{{labels}}}": f"_x{samples} {minutes * 60}x{KEPT - 1} stale",
            }
            if end
            else {}
        ),
    }


JOB = part("a", SHORT) | part("b", LONG)


@pytest.mark.parametrize(
    "minute", [SHORT + 2, LONG - 1, LONG + 1, LONG + 90], ids=lambda at: f"after {at} min"
)
def test_a_job_is_whole_on_its_page_whichever_of_its_machines_has_ended(tmp_path: Path, minute: int) -> None:
    spent = 0.01 * (SHORT + min(minute, LONG))
    query = query_of("gputally-job", "Cost so far ($currency)")
    ask(tmp_path, f"round({query}, 0.001)", JOB, minute, {"{}": spent})
    query = query_of("gputally-job", "GPU hours")
    ask(tmp_path, f"round({query} * 60, 0.01)", JOB, minute, {"{}": float(SHORT + min(minute, LONG))})


def test_its_energy_stands_by_gpu_after_its_end(tmp_path: Path) -> None:
    query = query_of("gputally-job", "Its GPUs", "D")
    places = {
        f'{{cluster="c", instance="{name}", gpu="0", uuid="u-{name}"}}': float(minutes)
        for name, minutes in (("a", SHORT), ("b", LONG))
    }
    ask(tmp_path, f"round({query} * 60, 0.01)", JOB, LONG + 90, places)


@pytest.mark.parametrize(
    ("series", "minute", "code"),
    [
        (JOB, SHORT + 2, 1.0),  # one of its machines goes on
        (JOB, LONG + 90, 2.0),
        (part("a", SHORT, end="failed") | part("b", LONG), LONG + 90, 6.0),
        (part("a", SHORT, end=""), SHORT + 2, 0.0),  # vanished
    ],
)
def test_its_state_is_the_worst_once_all_machines_have_ended(
    tmp_path: Path, series: dict[str, str], minute: int, code: float
) -> None:
    ask(
        tmp_path,
        query_of("gputally-job", "How does it go?"),
        series,
        minute,
        {'{cluster="c", job_id="7"}': code},
    )


def test_it_has_ended_when_the_last_machine_has(tmp_path: Path) -> None:
    query = query_of("gputally-job", "How does it go?", "C")
    ask(tmp_path, query, JOB, SHORT + 2, {})
    ask(tmp_path, query, JOB, LONG + 2, {'{cluster="c", job_id="7"}': 1000.0 * LONG * 60})


def firing(labels: str) -> dict[str, str]:
    return {
        f'ALERTS{{{labels}, alertstate="firing"}}': "1x40",
        f"ALERTS_FOR_STATE{{{labels}}}": "60x40",
    }


def test_the_heartbeat_alone_says_that_nothing_fires(tmp_path: Path) -> None:
    series = firing(WATCHDOG)
    ask(
        tmp_path, query_of("gputally-fleet", "Firing alerts"), series, 5, {'{alertname="Nothing fires"}': 0.0}
    )
    for letter in "ABC":
        ask(tmp_path, query_of("gputally-fleet", "Alerts", letter), series, 5, {"{}": 0.0})


def test_with_an_alert_the_heartbeat_is_not_listed(tmp_path: Path) -> None:
    series = firing(WATCHDOG) | firing(LOST)
    lost = '{cluster="c", alertname="GpuLost", instance="a", gpu="1"}'
    ask(tmp_path, query_of("gputally-fleet", "Firing alerts"), series, 5, {lost: 3.0})
    ask(tmp_path, query_of("gputally-fleet", "Firing alerts", "B"), series, 5, {lost: 60_000.0})
    ask(tmp_path, query_of("gputally-fleet", "Alerts", "A"), series, 5, {"{}": 1.0})
    ask(tmp_path, query_of("gputally-fleet", "Alerts", "C"), series, 5, {"{}": 0.0})


def test_without_a_heartbeat_no_zero_is_claimed(tmp_path: Path) -> None:
    series = {f"gpu_up{{{HOST}}}": "1x40"}
    ask(tmp_path, query_of("gputally-fleet", "Firing alerts"), series, 5, {})
    ask(tmp_path, query_of("gputally-fleet", "Alerts"), series, 5, {})
