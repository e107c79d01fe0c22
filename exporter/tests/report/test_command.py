"""`gputally report` as a person types it: flags, variables, forms, exit statuses, one line for an error."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import click
import pytest

from gputally.cli import REPORT_VARIABLES, main
from gputally.cli.report import report
from tests.agent.scraping import free_ports
from tests.cli.command import PROGRAM, assert_refused, environment, gputally
from tests.report.answering import Answer, handing_on, speaking, wanting
from tests.report.conftest import RULES
from tests.report.truth import CARDS

REPORTS = ("jobs", "teams", "users", "models", "gpus", "today", "waste")
ACCOUNTS = ("statement", "budgets")  # of the configuration as well: test_statement.py
KEYS = {
    "jobs": ["job_id", "job_name", "team", "user", "model", "scheduler", "state", "start", "end"],
    "teams": ["team"],
    "users": ["user"],
    "models": ["model"],
    "gpus": ["instance", "gpu", "name", "uuid", "state"],
    "today": ["instance", "gpu", "name", "uuid", "state"],
    "waste": ["team", "user", "reason"],
}


@pytest.fixture
def say(scene, capsys):
    """Run a report in this process: what it wrote and how it ended."""

    def run(*arguments: str, url: str = scene.served.url) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["report", *arguments, f"--prometheus.url={url}"])
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    return run


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_in_every_form_has_the_same_rows(scene, say, name):
    status, table, err = say(name, "--limit=0")
    assert (status, err) == (0, "")
    lines = table.splitlines()
    assert lines[0].startswith(f"{name}: 20")
    assert lines[0].endswith(f" {scene.world.zone}")
    assert lines[-1] == "Totals are sums of unrounded amounts."
    status, text, err = say(name, "--format=csv")
    assert (status, err) == (0, "")
    listed = rows(text)
    assert list(listed[0])[: len(KEYS[name])] == KEYS[name]
    rule = next(at for at, line in enumerate(lines) if set(line) <= {"-", " "} and line)
    assert len(listed) == rule - 3
    status, text, _ = say(name, "--format=json")
    document = json.loads(text, parse_float=Decimal)
    assert (status, document["report"], document["row_count"]) == (0, name, len(listed))
    assert document["timezone"] == str(scene.world.zone)
    for one, other in zip(listed, document["rows"], strict=True):
        for column, value in one.items():
            shown = "" if other[column] is None else str(other[column])
            if value and isinstance(other[column], int | Decimal):
                # Asked a moment apart: what runs has grown by a scrape at most.
                assert float(value) == pytest.approx(float(shown), rel=1e-3, abs=1e-6), column
            else:
                assert value == shown, column


def test_money_of_a_table_is_rounded_and_its_total_is_not_the_sum_of_what_is_shown(say):
    _, text, _ = say("jobs", "--team=tools", "--format=json")
    document = json.loads(text, parse_float=Decimal)
    exact = sum(row["cost"] for row in document["rows"])
    assert abs(document["totals"][0]["cost"] - exact) < Decimal("0.00001")


def test_pages_of_a_table_lead_on(say):
    status, first, _ = say("jobs", "--team=tools", "--limit=5")
    assert (status, "Page 1 of 3, 12 rows in all; --page 2 shows more." in first) == (0, True)
    names = [
        row["job_id"]
        for page in (1, 2, 3)
        for row in rows(say("jobs", "--team=tools", "--limit=5", f"--page={page}", "--format=csv")[1])
    ]
    assert len(names) == len(set(names)) == 12
    status, out, err = say("jobs", "--team=tools", "--limit=5", "--page=4")
    assert (status, out, err) == (2, "", "gputally: error: --page 4: there are 3, of 12 rows\n")


def test_a_table_has_fifty_rows_if_nobody_says_how_many(say, monkeypatch):
    monkeypatch.setattr("gputally.cli.shapeflags.TABLE_ROWS", 4)
    assert "Page 1 of 5, 17 rows in all" in say("jobs")[1]
    assert len(rows(say("jobs", "--format=csv")[1])) == 17


def test_columns_filters_and_times_reach_the_report(say):
    _, text, _ = say(
        "teams",
        "--by=user,day,team",
        "--from=yesterday",
        "--to=today",
        "--team=nlp",
        "--team=tools",
        "--format=csv",
    )
    listed = rows(text)
    assert list(listed[0])[:3] == ["day", "user", "team"]
    assert {row["team"] for row in listed} == {"nlp", "tools"}
    _, text, _ = say("gpus", "--by=name", "--from=2h", "--format=csv")
    assert {row["name"]: row["gpus"] for row in rows(text)} == {"NVIDIA H100": "2"}
    _, text, _ = say("gpus", "--timezone=UTC", "--from=24h", "--format=json")
    assert json.loads(text)["timezone"] == "UTC"
    _, text, _ = say("jobs", "--user=grace", "--model=vit", "--format=csv")
    assert [row["job_id"] for row in rows(text)] == ["4713"]


def test_a_card_that_is_gone_stays_in_the_report_of_its_day(say):
    _, text, _ = say("today", "--format=csv")
    states = {row["uuid"]: row["state"] for row in rows(text)}
    assert states == {uuid: "gone" if uuid == "GPU-c" else "up" for uuid in CARDS}


WRONG = {
    "no report": ([], "Missing command, one of budgets, gpus, "),
    "unknown report": (["team"], "No such command 'team'."),
    "unknown column": (["teams", "--by=gpu"], "'gpu' is none of cluster, team, user, model, day"),
    "no column": (["teams", "--by=team,,user"], "'' is none of"),
    "columns of cards": (["gpus", "--by=team"], "'team' is none of gpu, name, instance, cluster, day"),
    "cards have no teams": (["gpus", "--team=nlp"], "No such option '--team'."),
    "today has no range": (["today", "--from=7d"], "No such option '--from'."),
    "waste has no price": (["waste", "--re-price=x"], "No such option '--re-price'."),
    "form": (["teams", "--format=xml"], "'xml' is not one of 'table', 'csv', 'json'."),
    "page": (["teams", "--page=0"], "0 is not in the range"),
    "limit": (["teams", "--limit=-1"], "-1 is not in the range"),
    "timeout": (["teams", "--timeout=0s"], "0s is not between 1s and 10m"),
    "url": (["teams", "--prometheus.url=localhost:9090"], "--prometheus.url: expected an address such as"),
    "password in url": (["teams", "--prometheus.url=http://a:secret@x"], "no user and password in it"),
    "password": (["teams", "--prometheus.password=x"], "No such option '--prometheus.password'."),
    "price file": (["teams", "--re-price=gone.yml"], "gone.yml"),
    "argument": (["teams", "nlp"], "Got unexpected extra argument (nlp)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage_is_one_line_and_status_two(name, tmp_path):
    arguments, words = WRONG[name]
    line = assert_refused(gputally("report", *arguments, folder=tmp_path), tmp_path, set())
    assert words in line
    assert "secret" not in line


@pytest.mark.parametrize("text", ["soon", "2026-02-30", "9999d"])
def test_a_wrong_time_is_status_two(say, text):
    status, out, err = say("teams", f"--from={text}")
    assert (status, out) == (2, "")
    assert err.startswith("gputally: error: --from")
    assert err.count("\n") == 1


@pytest.mark.fault("report-unanswered")
@pytest.mark.parametrize("name", REPORTS)
def test_without_prometheus_every_report_is_one_line_and_status_one(say, name):
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    expected = f"gputally: error: {url}: Connection refused; is Prometheus running? (--prometheus.url)\n"
    assert say(name, url=url) == (1, "", expected)


def test_no_data_is_status_one(say):
    status, out, err = say("gpus", "--from=2020-01")
    assert (status, out) == (1, "")
    assert err.startswith("gputally: error: no data from 2020-01-01 00:00")


def test_notes_stand_beside_csv_and_not_in_it(say, scene):
    def check(seen):
        return None if b"tariff_info" not in seen.body else Answer(200, default_price())

    with speaking(handing_on(scene.served.url, check)) as proxy:
        status, out, err = say("teams", "--format=csv", "--timezone=UTC", url=proxy.url)
        assert status == 0
        assert err == (
            "gputally report: note: Cost is at the default price, 0.12 USD per kWh, not at yours: "
            "no tariff is configured.\n"
        )
        assert len(rows(out)) == 3
        assert "Note: Cost is at the default price" in say("teams", "--timezone=UTC", url=proxy.url)[1]
        _, out, _ = say("teams", "--format=json", "--timezone=UTC", url=proxy.url)
        assert json.loads(out)["notes"][1].startswith("Cost is at the default price")


def default_price() -> bytes:
    result = [{"metric": {"source": "default"}, "value": [0, "1"]}]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


def test_a_warning_of_the_server_is_a_note(say, scene):
    def answer(seen):
        said = handing_on(scene.served.url)(seen)
        return Answer(
            said.status, said.body.replace(b'{"status"', b'{"warnings":["a store is down"],"status"', 1)
        )

    with speaking(answer) as proxy:
        assert "Note: Prometheus warns: a store is down" in say("teams", url=proxy.url)[1]


def test_user_password_and_tenant_through_a_proxy(say, scene, tmp_path, monkeypatch):
    (tmp_path / "password").write_text("s3cret\n")
    with speaking(handing_on(scene.served.url, wanting("ada", "s3cret"))) as proxy:
        status, out, err = say("teams", url=proxy.url)
        assert (status, out) == (1, "")
        assert "401 Unauthorized: user and password are missing or wrong" in err
        given = [
            "--prometheus.user=ada",
            f"--prometheus.password-file={tmp_path / 'password'}",
            "--tenant=lab",
        ]
        assert say("teams", *given, url=proxy.url)[0] == 0
        assert {seen.headers.get("X-Scope-OrgID") for seen in proxy.seen[2:]} == {"lab"}
        monkeypatch.setenv("GPUTALLY_PROMETHEUS_PASSWORD", "s3cret")
        assert say("teams", "--prometheus.user=ada", url=proxy.url)[0] == 0
        status, _, err = say("teams", *given, url=proxy.url)
        assert (status, "either --prometheus.password-file or GPUTALLY_PROMETHEUS_PASSWORD" in err) == (
            2,
            True,
        )


def test_every_way_to_reach_prometheus_has_a_variable(scene, tmp_path):
    known = {
        parameter.envvar
        for command in report.commands.values()
        for parameter in command.params
        if parameter.envvar is not None
    }
    agents = {"GPUTALLY_CONFIG_FILE"}  # of which accounts are made
    assert (known - agents) | {"GPUTALLY_PROMETHEUS_PASSWORD"} == set(REPORT_VARIABLES)
    for parameter in report.commands["teams"].params:
        if parameter.envvar is not None:
            flag = parameter.opts[0].removeprefix("--")
            assert parameter.envvar == "GPUTALLY_" + flag.upper().replace(".", "_").replace("-", "_")
    env = {"GPUTALLY_PROMETHEUS_URL": scene.served.url, "GPUTALLY_TIMEZONE": "UTC"}
    answer = gputally("report", "gpus", "--format=json", folder=tmp_path, env=env)
    assert (answer.status, answer.err) == (0, "")
    assert json.loads(answer.out)["timezone"] == "UTC"


def test_variables_of_reports_do_not_disturb_other_commands_and_slips_are_found(tmp_path):
    answer = gputally("--version", folder=tmp_path, env={"GPUTALLY_PROMETHEUS_URL": "http://x"})
    assert answer.status == 0
    answer = gputally("report", "teams", folder=tmp_path, env={"GPUTALLY_PROMETHEUS_ULR": "http://x"})
    line = assert_refused(answer, tmp_path, set())
    assert (
        line == "unknown environment variable GPUTALLY_PROMETHEUS_ULR, did you mean GPUTALLY_PROMETHEUS_URL?"
    )


def test_help_names_every_report_and_asks_nobody(capsys):
    with pytest.raises(SystemExit):
        main(["report", "--help"])
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in (*REPORTS, *ACCOUNTS))
    assert set(report.commands) == {*REPORTS, *ACCOUNTS}


AGENT_IMPORTS = (
    "import sys, gputally.cli, gputally.cli.node, gputally.cli.site, gputally.cli.agent, gputally.cli.check, "
    "gputally.cli.run; sys.exit('requests' in sys.modules or 'urllib3' in sys.modules)"
)


def test_no_agent_carries_requests_about():
    assert (
        subprocess.run([sys.executable, "-c", AGENT_IMPORTS], check=False, env=environment()).returncode == 0
    )


def in_terminal(*arguments: str) -> tuple[str, str]:
    """What a report writes on standard output (a pipe), and on a terminal as standard error."""
    here, there = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, "report", *arguments],
        stdout=subprocess.PIPE,
        stderr=there,
        env=environment() | {"TERM": "xterm"},
    )
    os.close(there)
    parts: list[bytes] = []

    def read() -> None:
        try:
            while data := os.read(here, 65536):
                parts.append(data)
        except OSError:  # the terminal is gone
            pass

    thread = threading.Thread(target=read)
    thread.start()
    out, _ = process.communicate(timeout=60)
    thread.join()
    os.close(here)
    return out.decode(), b"".join(parts).decode()


def test_a_long_range_shows_its_progress_on_a_terminal_and_nowhere_else(scene):
    url = f"--prometheus.url={scene.served.url}"
    out, err = in_terminal("teams", "--from=30d", "--by=day,team", url)
    assert out.startswith("teams: ")
    assert "asking Prometheus" in err
    assert "100%" in err
    out, err = in_terminal("teams", "--from=6h", url)
    assert (out.startswith("teams: "), err) == (True, "")


def test_nothing_is_written_beside_the_report_where_nobody_looks(scene, tmp_path):
    answer = gputally(
        "report", "teams", "--from=30d", "--by=day", f"--prometheus.url={scene.served.url}", folder=tmp_path
    )
    assert (answer.status, answer.err) == (0, "")
    assert list(Path(tmp_path).iterdir()) == []


def test_a_reader_that_goes_away_is_no_trouble(scene):
    command = f"'{PROGRAM}' report jobs --limit=0 --prometheus.url={scene.served.url} | head -1"
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, check=False, env=environment()
    )
    assert done.stdout.startswith("jobs: ")
    assert done.stderr == ""


def test_by_takes_columns_once_and_days_first():
    by = next(parameter for parameter in report.commands["teams"].params if parameter.name == "by")
    assert by.type.convert("user, team,user,day", None, None) == ("day", "user", "team")
    with pytest.raises(click.BadParameter):
        by.type.convert("job", None, None)


def test_the_manual_names_every_flag_variable_and_column_of_rows():
    page = (RULES.parents[1] / "docs" / "report.md").read_text()
    for command in report.commands.values():
        for parameter in command.params:
            assert f"{parameter.opts[0]}`" in page or f"{parameter.opts[0]} " in page, parameter.opts[0]
            assert parameter.envvar is None or f"`{parameter.envvar}`" in page
        by = next((parameter for parameter in command.params if parameter.name == "by"), None)
        if by is None:
            assert command.name in ACCOUNTS
            continue
        cells = [line.split("|") for line in page.splitlines() if line.count("|") == 5]
        (row,) = (row for row in cells if f"`{command.name}`" in row[1])
        columns = re.findall(r"`(\w+)`", row[3])
        assert set(columns) == set(by.type.known)
