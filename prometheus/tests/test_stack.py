"""`make run` as a person starts it: real agent, Prometheus and Alertmanager, each asked by its interface."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from prometheus.tests.conftest import ALERTS, RULES
from prometheus.tests.running import TOP, Run, await_truth, start
from scripts.stack.figures import live_line

SLOW = ("2m", "5m", "1h")  # intervals of groups that a test does not wait for
EXPRESSIONS = {rule.name: rule.expr for rule in RULES if rule.group.get("interval", "15s") in SLOW}

# Stands in for a program that Debian does not have: answers as Grafana does, and shows what it was told.
FAKE_GRAFANA = """#!/usr/bin/env python3
import http.server, json, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(dict(os.environ)).encode())
port = int(os.environ["GF_SERVER_HTTP_PORT"])
http.server.HTTPServer((os.environ["GF_SERVER_HTTP_ADDR"], port), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A stack with simulated GPUs, scraped every second, and a program that looks like Grafana."""
    folder = tmp_path_factory.mktemp("stack")
    fake = folder / "bin" / "grafana-server"
    fake.parent.mkdir()
    fake.write_text(FAKE_GRAFANA)
    fake.chmod(0o755)
    run = start(folder, "--source=simulated", "--scrape-interval=1s", path=str(fake.parent))
    try:
        await_truth(lambda: run.address("node") and " W" in run.text, lambda: run.text)
        yield run
    finally:
        run.end()


def test_every_target_is_up(run: Run) -> None:
    def health() -> dict[str, str]:
        return {target["scrapePool"]: target["health"] for target in run.ask("targets")["activeTargets"]}

    wanted = dict.fromkeys(("gputally-node", "gputally-site", "prometheus", "alertmanager"), "up")
    await_truth(lambda: health() == wanted, lambda: str(run.ask("targets")))


def test_live_figures_are_scraped(run: Run) -> None:
    await_truth(lambda: run.value("sum(gpu_up)") >= 1, lambda: run.text)
    assert run.value("sum(gpu_power_watts)") > 0
    before = run.value("sum(gpu_energy_joules_total)")
    await_truth(lambda: run.value("sum(gpu_energy_joules_total)") > before, lambda: "no joule was counted")


def test_what_the_site_declares_is_scraped_with_the_label_that_nodes_have(run: Run) -> None:
    def labels(name: str) -> list[dict[str, str]]:
        found = run.ask("query", query=name)["result"]
        return [
            {k: v for k, v in series["metric"].items() if k in ("cluster", "tariff", "day")}
            for series in found
        ]

    declared = {"cluster": "default", "tariff": "configured"}
    await_truth(lambda: labels("site_info") == [declared], lambda: run.text)
    assert labels("site_electricity_price_now_per_kwh") == [declared | {"tariff": "flat"}]
    assert run.value("site_electricity_price_per_kwh") == 0.12
    assert run.value("site_pue_ratio") == 1
    (day,) = labels("site_day_info")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", day["day"])
    matched = "count(gpu_cost_day and on (cluster, day) site_day_info)"
    await_truth(
        lambda: run.value(matched) == run.value("count(gpu_up)") > 0, lambda: str(labels("gpu_cost_day"))
    )


def test_a_recorded_market_is_asked_and_says_that_it_is_one(run: Run) -> None:
    def sources() -> dict[str, str]:
        found = run.ask("query", query="gpu_market_provider_info")["result"]
        return {series["metric"]["provider"]: series["metric"]["source"] for series in found}

    asked = dict.fromkeys(("vast", "akash", "ionet", "runpod", "lambda", "verda"), "recording")
    await_truth(lambda: sources() == asked | {"render": "file"}, lambda: str(sources()))
    cards = "count(count by (card) (gpu_market_offer_min_usd_per_gpu_hour))"
    await_truth(lambda: run.value(cards) > 30, lambda: str(run.value(cards)))
    assert "made-up figures" in run.text
    assert run.value("sum(gpu_market_fetch_failures_total)") == 0
    assert run.value("count(site_owned_gpu_card_info)") == 2
    assert run.value("count(gpu_plan_cheapest_usd)") == run.value("count(gpu_rental_gpus)") == 2


def reservations(run: Run, query: str) -> set[str]:
    return {series["metric"]["reservation"] for series in run.ask("query", query=query)["result"]}


def test_what_is_booked_meets_the_gpus_and_who_is_on_them(run: Run) -> None:
    held, user = "reservation:gpu_reserved_gpus:sum", psutil.Process(run.process.pid).username()
    now = {"thesis", "evaluation", "arm-tests"}
    await_truth(lambda: reservations(run, held) == now, lambda: str(reservations(run, held)), seconds=100)
    assert run.value(f"sum({held})") == 5
    pending = 'gpu_reservation_state{state="pending"}'
    assert reservations(run, pending) == {"camera-ready", "voices"}
    # The real command is of another team than the one that has booked its GPU.
    foreign = f'reservation_user:gpu_reservation_foreign_bytes:sum{{reservation="arm-tests", user="{user}"}}'
    await_truth(
        lambda: run.value(foreign) > 0, lambda: f"nobody is on arm-tests' GPU: {run.text}", seconds=100
    )
    both = "sum(reservation:gpu_reservation_used_gpus:sum) + sum(reservation:gpu_reservation_wasted_gpus:sum)"
    await_truth(lambda: abs(run.value(both) - 5) < 1e-6, lambda: str(run.value(both)), seconds=100)
    assert run.value("sum(team:gpu_reservation_cost_per_hour:sum)") == pytest.approx(4.5)


def test_a_command_books_and_what_is_wrong_in_the_file_is_told(run: Run) -> None:
    file = run.folder / "etc" / "site" / "reservations.yml"
    active = 'gpu_reservation_active{reservation="by-hand"}'

    def command(*words: str) -> int:
        argv = [sys.executable, "-m", "gputally", "reservations", words[0], f"--file={file}", *words[1:]]
        return subprocess.run(argv, cwd=TOP, capture_output=True, check=False).returncode

    book = ("--team=speech", "--host=127.0.0.1", "--start=now", "--for=1h")
    assert command("add", "by-hand", "--gpus=6", *book) == 0
    await_truth(lambda: run.value(active) == 1, file.read_text)
    assert command("add", "again", "--gpus=6", *book) == 1
    good = file.read_text()
    file.write_text(
        good + good[good.index("- id: thesis") : good.index("- id: wav2vec")].replace("thesis", "twice")
    )
    await_truth(lambda: run.value("gpu_reservation_conflicts") >= 1, file.read_text)
    assert run.value("gpu_reservation_config_valid") == 0
    assert run.value('gputally_config_last_reload_success{config="reservations"}') == 0
    assert run.value(active) == 1
    file.write_text(good)
    await_truth(
        lambda: run.value("gpu_reservation_config_valid - gpu_reservation_conflicts") == 1, lambda: good
    )
    assert command("cancel", "by-hand") == 0
    await_truth(lambda: not reservations(run, active), file.read_text)


def test_the_example_has_budgets_and_a_statement_of_each(run: Run) -> None:
    command = re.search(r": (\S+) report statement --team=vision --config.file=", run.text)
    assert command is not None
    assert (TOP / command[1]).is_file()  # it is on nobody's PATH
    await_truth(lambda: run.value("count(site_budget_info)") == 3, lambda: run.text)
    site = run.folder / "etc" / "site" / "gputally.yml"
    flags = (f"--config.file={site}", f"--prometheus.url={run.address('prometheus')}", "--format=json")
    for team, balance in {"vision": "1975", "language": "25", "speech": "1500"}.items():
        argv = [sys.executable, "-m", "gputally", "report", "statement", f"--team={team}", *flags]
        done = subprocess.run(argv, cwd=TOP, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        account = json.loads(done.stdout)["accounts"][0]
        amounts = [Decimal(str(line["amount"])) for line in account["lines"]]
        assert sum(amounts) == Decimal(str(account["balance"]))
        there = {"budget", "carried over", "deposit", "correction"}
        lines = zip(account["lines"], amounts, strict=True)
        assert sum(amount for line, amount in lines if line["kind"] in there) == Decimal(balance)


def jobs(run: Run, query: str = "gpu_job_info") -> list[dict[str, str]]:
    return [series["metric"] for series in run.ask("query", query=query)["result"]]


def test_jobs_of_three_teams_are_there_and_one_of_them_is_a_real_command(run: Run) -> None:
    def teams() -> set[str]:
        return {job["team"] for job in jobs(run)} - {"unassigned"}

    await_truth(lambda: len(teams()) >= 3, lambda: str(jobs(run)))
    await_truth(lambda: jobs(run, 'gpu_job_info{scheduler="run"}'), lambda: str(jobs(run)))
    job = jobs(run, 'gpu_job_info{scheduler="run"}')[0]
    assert (job["job_name"], job["team"], job["model"]) == ("demo-finetune", "vision", "demo-vit")
    assert job["user"] == psutil.Process(run.process.pid).username()
    # Alone on its card, which is idle then, it has seconds and may have no joules; beside a job that was
    # given the card, a part of the joules and no seconds.
    found = f'{{job_id="{job["job_id"]}"}}'
    held = f"sum(gpu_job_gpu_seconds_total{found}) + sum(gpu_job_energy_joules_total{found})"
    await_truth(lambda: run.value(held) > 0, lambda: f"of {job}: {run.ask('query', query=found)}")


def test_a_command_that_is_ended_is_shown_as_such_and_the_next_one_begins(run: Run) -> None:
    def states(state: str) -> set[str]:
        return {one["job_id"] for one in jobs(run, f'gpu_job_state{{job_id=~"run-.*",state="{state}"}} == 1')}

    await_truth(lambda: states("running"), lambda: str(jobs(run, "gpu_job_state")))
    (victim,) = (
        child
        for child in psutil.Process(run.process.pid).children(recursive=True)
        if child.cmdline()[1:3] == ["-m", "scripts.stack.visitor"]
    )
    before = states("running")
    victim.terminate()
    await_truth(lambda: states("cancelled") & before, lambda: str(jobs(run, "gpu_job_state")))
    await_truth(lambda: states("running") - before, lambda: str(jobs(run, "gpu_job_state")))


def test_every_rule_is_evaluated_without_an_error(run: Run) -> None:
    def rules() -> list[dict[str, Any]]:
        return [rule for group in run.ask("rules")["groups"] for rule in group["rules"]]

    quick = {rule.name for rule in RULES + ALERTS if rule.group.get("interval", "15s") not in SLOW}
    await_truth(
        lambda: quick <= {rule["name"] for rule in rules() if rule["health"] == "ok"},
        lambda: str(rules()),
        seconds=100,  # a group of one minute is evaluated for the first time within its first minute
    )
    assert {rule["name"] for rule in rules()} == {rule.name for rule in RULES + ALERTS}
    assert [rule for rule in rules() if rule.get("lastError")] == []


def written_out(expr: str) -> str:
    """An expression with rules' expressions for their names: what those of slow groups will record later.

    Matchers and instants are of series, which expressions are not: they are left out.
    """
    names = "|".join(re.escape(name) for name in sorted(EXPRESSIONS, key=len, reverse=True))
    while found := re.search(
        rf"(?<![\w:])({names})(?![\w:])(?:\{{[^}}]*\}})?(?: @ end\(\))?(\[\w+\])?", expr
    ):
        window = "[2m:30s]" if found[2] else ""
        expr = f"{expr[: found.start()]}({EXPRESSIONS[found[1]]}){window}{expr[found.end() :]}"
    # Nothing is older in a fresh stack, and nothing is to come.
    return re.sub(r"\[\w+:\w+\](?: offset -\w+)?", "[2m:30s]", expr)


def test_recording_rules_give_series_out_of_what_the_agents_really_show(run: Run) -> None:
    def empty() -> list[str]:
        return [rule.name for rule in RULES if not run.ask("query", query=written_out(rule.expr))["result"]]

    await_truth(lambda: empty() == [], lambda: f"nothing from {empty()}")


def test_nothing_is_wrong_with_a_fresh_stack(run: Run) -> None:
    firing = [
        alert["labels"]["alertname"] for alert in run.ask("alerts")["alerts"] if alert["state"] == "firing"
    ]
    assert firing == ["GputallyWatchdog"]


def test_alerts_go_to_the_alertmanager_and_from_there_into_the_log(run: Run) -> None:
    (manager,) = run.ask("alertmanagers")["activeAlertmanagers"]
    assert manager["url"].startswith(run.address("alertmanager"))
    labels = {"alertname": "Drill", "severity": "critical", "cluster": "c", "instance": "drill"}
    answer = requests.post(
        f"{run.address('alertmanager')}/api/v2/alerts", json=[{"labels": labels}], timeout=10
    )
    assert answer.status_code == 200
    log = run.folder / "log" / "notifications.log"
    await_truth(lambda: log.exists() and "firing: Drill on drill" in log.read_text(), lambda: run.text)


def test_grafana_is_told_where_everything_is_and_lets_nobody_change_it(run: Run) -> None:
    told = requests.get(run.address("grafana"), timeout=10).json()
    assert told["GPUTALLY_PROMETHEUS_URL"] == run.address("prometheus")
    assert told["GPUTALLY_ALERTMANAGER_URL"] == run.address("alertmanager")
    assert Path(told["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]).exists()
    assert (Path(told["GF_PATHS_PROVISIONING"]) / "datasources").is_dir()
    assert (Path(told["GPUTALLY_GRAFANA_DIR"]) / "folders" / "teams").is_dir()
    assert told["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


@pytest.mark.parametrize("name", ["GF_SECURITY_ADMIN_PASSWORD", "GF_SECURITY_SECRET_KEY"])
def test_grafana_reads_its_secrets_from_files_that_nobody_else_can_read(run: Run, name: str) -> None:
    told = requests.get(run.address("grafana"), timeout=10).json()
    found = re.fullmatch(r"\$__file\{(.+)\}", told[name])
    assert found
    file = Path(found[1])
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(file.read_text()) > 20
    assert not [name for name in told if name.endswith("__FILE")]  # only Grafana's image knows these


def test_a_second_run_on_the_same_data_is_refused_in_one_line(run: Run) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.stack", f"--folder={run.folder}"],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"make run: already running with its data in {run.folder}\n"


def test_the_live_line_tells_nothing_of_a_run_before(run: Run) -> None:
    port = int(run.address("prometheus").rpartition(":")[2])
    await_truth(lambda: "GPUs up" in live_line(port, 60), lambda: run.text)
    assert live_line(port, -5) == ""


def test_the_live_line_tells_figures_and_that_they_are_simulated(run: Run) -> None:
    pattern = (
        r"^simulated: \d+ GPUs up  ·  .*[\d,]+ W  ·  \d+% utilised  ·  \d+ teams, \d+ jobs running  ·  "
        r".*kWh since start  ·  [\d,]+\.\d{4} USD today$"
    )
    await_truth(lambda: re.search(pattern, run.text, re.MULTILINE), lambda: run.text)


def test_a_signal_ends_everything_with_status_0(run: Run) -> None:
    """Last of this module: the stack is gone afterwards."""
    children = psutil.Process(run.process.pid).children(recursive=True)
    assert len(children) == 8  # six programs, the workload's wrapper and what it wraps
    assert run.end(signal.SIGINT) == 0
    assert [child for child in children if child.is_running() and child.status() != "zombie"] == []
    (state,) = (run.folder / "state").iterdir()
    assert [file for file in state.iterdir() if file.stat().st_size > 100]


@pytest.mark.fault("stack-program-ends")
def test_an_occupied_port_is_avoided_and_said_and_the_run_ends_by_itself(tmp_path: Path) -> None:
    with socket.socket() as taken:
        with contextlib.suppress(OSError):  # somebody else holds it: as good
            taken.bind(("127.0.0.1", 9836))
            taken.listen()
        run = start(tmp_path, "--scrape-interval=1s", "--run-for=8")
        assert run.process.wait(90) == 0, run.text
    assert "(port 9836 is taken)" in run.text
    assert re.search(r"\d+ GPUs up", run.text)


@pytest.mark.fault("stack-program-ends")
def test_a_program_that_ends_by_itself_ends_the_run_with_its_last_words(tmp_path: Path) -> None:
    run = start(tmp_path, "--source=simulated")
    try:
        await_truth(lambda: run.address("node"), lambda: run.text)
        children = psutil.Process(run.process.pid).children()
        (victim,) = [child for child in children if "--storage.tsdb" in " ".join(child.cmdline())]
        victim.kill()
        assert run.process.wait(30) == 1
    finally:
        run.end()
    assert "make run: prometheus ended with status -9" in run.text
    assert [child for child in children if child.is_running() and child.status() != "zombie"] == []


@pytest.mark.fault("stack-program-ends")
def test_children_do_not_outlive_a_runner_that_is_killed(tmp_path: Path) -> None:
    """Nothing is left behind that holds a port."""
    run = start(tmp_path, "--source=simulated")
    await_truth(lambda: run.address("node"), lambda: run.text)
    children = psutil.Process(run.process.pid).children()
    run.process.kill()
    run.process.wait(10)
    _, alive = psutil.wait_procs(children, timeout=20)
    for child in alive:
        child.kill()
    assert alive == []
