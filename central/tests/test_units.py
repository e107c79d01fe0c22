"""The units are valid and closed, the shipped files are what the programs take, and the flags are theirs."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from central.tests.programs import CENTRAL, PROMETHEUS

UNITS = sorted((CENTRAL / "systemd").glob("*.service"))
EXPOSURE = 15  # tenths; the package's own unit of VictoriaMetrics has 92


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_accepts_the_unit_and_it_exposes_little(unit: Path) -> None:
    done = analyze("verify", "--man=no", str(unit))
    assert (done.returncode, [line for line in done.stderr.splitlines() if unit.name in line]) == (0, [])
    done = analyze("security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE}", str(unit))
    assert done.returncode == 0, done.stdout.splitlines()[-1]


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_every_flag_of_the_unit_is_one_of_the_program(unit: Path) -> None:
    command = re.search(r"^ExecStart=(.*?[^\\])$", unit.read_text(), re.MULTILINE | re.DOTALL)
    assert command is not None
    program, *rest = command[1].replace("\\\n", " ").split()
    usage = subprocess.run([Path(program).name, "-help"], capture_output=True, text=True, check=False)
    known = set(re.findall(r"^  -(\S+)", usage.stdout + usage.stderr, re.MULTILINE))
    given = {word.partition("=")[0].removeprefix("-") for word in rest if word.startswith("-")}
    assert given
    assert given <= known


def test_vmagent_takes_the_shipped_file_and_the_jobs_are_those_of_prometheus() -> None:
    path = CENTRAL / "vmagent.yml"
    done = subprocess.run(
        ["vmagent", f"-promscrape.config={path}", "-dryRun"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    ours = yaml.safe_load(path.read_text())
    theirs = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert ours["global"]["scrape_interval"] == theirs["global"]["scrape_interval"]
    targets = {job["job_name"]: job["file_sd_configs"][0]["files"] for job in theirs["scrape_configs"]}
    for job in ours["scrape_configs"][:2]:
        assert job["file_sd_configs"][0]["files"] == targets[job["job_name"]]
