"""docs/central.md: its commands are run, and what it says of files, flags and alerts is so."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import requests
import yaml
from central.tests.conftest import Centre
from central.tests.programs import CENTRAL

from tests.cli.command import PROGRAM

MANUAL = (CENTRAL.parent / "docs" / "central.md").read_text()
REPOSITORY = CENTRAL.parent
ALERTS = yaml.safe_load((CENTRAL / "alerts" / "push.yml").read_text())["groups"][0]["rules"]


def commands(*words: str) -> list[str]:
    """Lines of the manual's shell blocks that have one of these words in them."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", MANUAL, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if any(word in line for word in words)]


def shell(lines: list[str], folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-ec", "\n".join(lines)],
        cwd=folder,
        env=os.environ | {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_commands_about_tokens_do_what_the_manual_says(tmp_path: Path) -> None:
    (tmp_path / "holders.yml").write_text((CENTRAL / "holders.yml").read_text())
    out = shell([*commands("install -d -m 700 new"), *commands("gputally tokens")], tmp_path)
    assert re.search(r"^node:gpu-node-1 \w{8} made$", out, re.MULTILINE)
    assert re.search(r"^node:gpu-node-1 \w{8} gone$", out, re.MULTILINE)
    assert re.search(r"^team:vision \w{8} gone$", out, re.MULTILINE)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_the_request_of_the_manual_is_answered(centre: Centre) -> None:
    (line,) = commands("curl -H")
    line = line.replace("https://centre.example.org:8443", centre.front.url).replace("new/", "tokens/")
    out = shell([line.replace("curl", f"curl -sf --cacert {centre.front.ca_file}")], centre.front.folder)
    assert '"status":"success"' in out


def test_rules_come_to_the_centre_as_the_manual_says_and_vmalert_takes_them(tmp_path: Path) -> None:
    lines = [
        line.replace("~-", str(REPOSITORY))
        for line in commands("mkdir -p rules", "cp ~-/prometheus", "sed -i '/^ *keep")
    ]
    assert len(lines) == 3
    shell(lines, tmp_path)
    files = {path.name for path in (tmp_path / "alerts").iterdir()}
    assert files >= {path.name for path in (REPOSITORY / "prometheus" / "alerts").glob("*.yml")} | {
        "push.yml"
    }
    rules = [f"-rule={tmp_path}/{kind}/*.yml" for kind in ("rules", "alerts")]
    done = subprocess.run(["vmalert", "-dryRun", *rules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_programs_that_are_nobody_can_read_the_folder_that_it_makes(tmp_path: Path) -> None:
    centre = tmp_path / "central"
    (line,) = commands("/etc/gputally/central && cp")
    line = line.replace("/etc/gputally/central", str(centre)).replace("cp ", f"cd {REPOSITORY} && cp ")
    shell([f"umask 022; {line}", f"cd {centre} && umask 022 && mkdir -p rules alerts"], tmp_path)
    assert len(commands("mkdir -p rules alerts")) == 1
    modes = {
        path.relative_to(tmp_path).as_posix(): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")
    }
    folders = dict.fromkeys(("central", "central/rules", "central/alerts"), 0o755)
    assert modes == folders | dict.fromkeys(("central/self.yml", "central/holders.yml"), 0o644)


@pytest.mark.parametrize(
    ("there", "status"), [(("rules/a.yml", "alerts/a.yml"), 0), (("rules/a.yml",), 1), ((), 1)]
)
def test_vmalert_is_not_started_without_rules(tmp_path: Path, there: tuple[str, ...], status: int) -> None:
    unit = (CENTRAL / "systemd" / "gputally-vmalert.service").read_text()
    (before,) = re.findall(r"^ExecStartPre=/bin/sh -c '(.*)'$", unit, re.MULTILINE)
    for name in there:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    line = before.replace("/etc/gputally/central", str(tmp_path))
    done = subprocess.run(["sh", "-c", line], capture_output=True, check=False)
    assert done.returncode == status


def test_files_and_flags_that_it_names_are_there() -> None:
    for path in re.findall(r"(?:~-/|cp (?:-r )?)((?:central|prometheus)/[\w./-]+)", MANUAL):
        assert (REPOSITORY / path).exists(), path
    usage = subprocess.run(["victoria-metrics", "-help"], capture_output=True, text=True, check=False)
    known = set(re.findall(r"^  -(\S+)", usage.stdout + usage.stderr, re.MULTILINE))
    arguments = re.search(r'^ARGS="(.*?)"$', MANUAL, re.MULTILINE | re.DOTALL)
    assert arguments is not None
    given = set(re.findall(r"-([\w.]+)=", arguments[1]))
    assert len(given) >= 5
    assert given <= known


@pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_of_nodes_that_push_has_its_runbook(alert: dict) -> None:
    assert alert["annotations"]["runbook_url"] == f"docs/central.md#{alert['alert'].lower()}"
    assert f"\n### {alert['alert']}\n" in MANUAL


def test_the_alerts_of_nodes_that_push_fire_when_they_should() -> None:
    done = subprocess.run(
        ["promtool", "check", "rules", "--lint-fatal", "alerts/push.yml"],
        cwd=CENTRAL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run(
        ["promtool", "test", "rules", "push_test.yml"],
        cwd=CENTRAL / "tests",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tested = (CENTRAL / "tests" / "push_test.yml").read_text()
    assert all(rule["alert"] in tested for rule in ALERTS)


def test_the_metrics_that_alerts_ask_for_are_what_the_programs_have(centre: Centre) -> None:
    text = requests.get(f"{centre.front.vmauth.url}/metrics", timeout=10).text
    assert 'vmauth_http_request_errors_total{reason="invalid_auth_token"}' in text
