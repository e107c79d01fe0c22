"""The units are valid, as closed as they say, and their settings are settings that the agents have."""

import configparser
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.core import Option

from gputally.cli.node import node
from gputally.cli.site import site
from gputally.config.settings import NodeSettings

SYSTEMD = Path(__file__).parents[1]
UNITS = sorted(SYSTEMD.glob("*.service"))
AGENTS = {"node": node, "site": site}
EXPOSURE = {"gputally-node": 20, "gputally-site": 15}  # tenths; node_exporter's own unit has 92
DROP_IN_EXPOSURE = 23  # with the two capabilities that reading other users' environments takes


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_accepts_the_unit_without_a_word(unit: Path, tmp_path: Path) -> None:
    """Only the program's path is changed: this machine has not installed it."""
    text = unit.read_text()
    assert "/opt/gputally/venv/bin/python" in text
    copy = tmp_path / unit.name
    copy.write_text(text.replace("/opt/gputally/venv/bin/python", sys.executable))
    done = analyze("verify", "--man=no", str(copy))
    assert (done.returncode, [line for line in done.stderr.splitlines() if unit.name in line]) == (0, [])


def test_systemd_accepts_the_mount_and_it_is_where_the_agent_looks() -> None:
    unit = SYSTEMD / "run-gputally-runs.mount"
    done = analyze("verify", "--man=no", str(unit))
    assert (done.returncode, [line for line in done.stderr.splitlines() if unit.name in line]) == (0, [])
    assert f"\nWhere={NodeSettings().jobs_runs_dir}\n" in unit.read_text()


@pytest.mark.fault("environment-bare")
def test_the_launcher_runs_the_units_python_isolated() -> None:
    """What a user's environment says to Python is for the user's own programs."""
    text = (SYSTEMD / "gputally").read_text()
    command = read(SYSTEMD / "gputally-node.service")["Service"]["ExecStart"].removesuffix(" node")
    assert f'\nexec {command} "$@"\n' in text
    local = text.replace("/opt/gputally/venv/bin/python", sys.executable)
    environment = os.environ | {
        "PYTHONHOME": "/nonexistent",
        "PYTHONPATH": "/nonexistent",
        "PYTHONINSPECT": "1",
    }
    arguments = ["sh", "-c", local, "gputally", "run", "--", "sh", "-c", "echo $PYTHONHOME; exit 7"]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, "/nonexistent\n")


def test_the_group_that_reads_secrets_is_made_before_a_unit_needs_it(tmp_path: Path) -> None:
    """The real systemd-sysusers; without the group no agent would start."""
    (tmp_path / "etc").mkdir()
    conf = SYSTEMD / "gputally.sysusers.conf"
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", str(conf)], check=True, capture_output=True)
    made = [line.split(":")[0] for line in (tmp_path / "etc" / "group").read_text().splitlines()]
    assert [read(unit)["Service"]["SupplementaryGroups"] for unit in UNITS] == made * 2


def test_an_unknown_setting_would_be_noticed(tmp_path: Path) -> None:
    copy = tmp_path / "broken.service"
    copy.write_text(f"[Service]\nExecStart={sys.executable}\nMemoryMaxx=1\n")
    assert "MemoryMaxx" in analyze("verify", "--man=no", str(copy)).stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_the_unit_exposes_little(unit: Path) -> None:
    done = analyze("security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE[unit.stem]}", str(unit))
    assert done.returncode == 0, done.stdout.splitlines()[-1]


@pytest.mark.parametrize("drop_in", sorted((SYSTEMD / "drop-ins").glob("*.conf")), ids=lambda path: path.name)
def test_a_drop_in_is_valid_and_exposes_no_more_than_it_must(drop_in: Path, tmp_path: Path) -> None:
    """As systemd would read it behind the unit: later lines win, lists are reset or added to."""
    text = drop_in.read_text()
    (unit,) = re.findall(r"/etc/systemd/system/(gputally-\w+\.service)\.d/", text)
    joined = tmp_path / unit
    text = (SYSTEMD / joined.name).read_text().replace("/opt/gputally/venv/bin/python", sys.executable)
    before, install, after = text.partition("[Install]")
    joined.write_text(f"{before}{drop_in.read_text()}\n{install}{after}")
    done = analyze("verify", "--man=no", str(joined))
    assert (done.returncode, [line for line in done.stderr.splitlines() if joined.name in line]) == (0, [])
    threshold = f"--threshold={DROP_IN_EXPOSURE}"
    done = analyze("security", "--offline=yes", "--no-pager", threshold, str(joined))
    assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_folders_of_records_are_made_as_the_agent_expects_them(tmp_path: Path) -> None:
    """The real systemd-tmpfiles; paths and defaults are those of the agent's settings."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    for name in ("passwd", "group"):
        (root / "etc" / name).write_text(
            "root:x:0:0:root:/root:/bin/sh\n" if name == "passwd" else "root:x:0:\n"
        )
    conf = SYSTEMD / "gputally.tmpfiles.conf"
    subprocess.run(["systemd-tmpfiles", "--create", f"--root={root}", str(conf)], check=True)
    settings = NodeSettings()
    for folder, mode in ((settings.jobs_slurm_dir, 0o755), (settings.jobs_runs_dir, 0o1777)):
        assert (root / folder.relative_to("/")).stat().st_mode & 0o7777 == mode


def read(unit: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False, comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(unit.read_text())
    return parser


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_the_unit_says_ready_is_watched_and_never_gives_up(unit: Path) -> None:
    parser = read(unit)
    service = parser["Service"]
    assert (service["Type"], service["Restart"]) == ("notify", "always")
    assert int(service["WatchdogSec"]) <= 30
    assert parser["Unit"]["StartLimitIntervalSec"] == "0"


def test_each_agent_has_its_unit() -> None:
    assert {unit.name for unit in UNITS} == {f"gputally-{name}.service" for name in AGENTS}


def test_both_names_of_the_driver_are_allowed_and_devices_are_not_hidden() -> None:
    text = (SYSTEMD / "gputally-node.service").read_text()
    allowed = re.findall(r"^DeviceAllow=(\S+)", text, re.MULTILINE)
    assert {"char-nvidia", "char-nvidia-frontend"} <= set(allowed)
    assert "\nPrivateDevices=" not in text


def test_the_site_agent_sees_no_device_keeps_nothing_and_is_the_more_closed_of_the_two() -> None:
    """All that the node's unit closes is closed here too, word for word."""
    service = read(SYSTEMD / "gputally-site.service")["Service"]
    assert (service["PrivateDevices"], service["DevicePolicy"]) == ("yes", "closed")
    assert not {"DeviceAllow", "StateDirectory", "Environment"} & set(service)
    closed = read(SYSTEMD / "gputally-node.service")["Service"]
    own = {"EnvironmentFile", "Environment", "ExecStart", "StateDirectory", "StateDirectoryMode"}
    own |= {"DeviceAllow", "MemoryHigh", "MemoryMax", "TasksMax", "OOMScoreAdjust"}
    assert {key: service.get(key) for key in set(closed) - own} == {
        key: closed[key] for key in set(closed) - own
    }


@pytest.mark.parametrize("name", AGENTS)
def test_variables_of_the_environment_file_are_the_agents(name: str) -> None:
    """A misspelt one would be silently without effect."""
    known = {option.envvar for option in AGENTS[name].params if isinstance(option, Option)}
    named = re.findall(r"^#?(GPUTALLY_\w+)=", (SYSTEMD / f"gputally-{name}.env").read_text(), re.MULTILINE)
    assert named
    assert set(named) <= known


@pytest.mark.parametrize("name", AGENTS)
def test_the_agent_tells_systemd_that_it_is_ready_alive_and_stopping(name: str, tmp_path: Path) -> None:
    """The command line of the unit, with a socket in place of systemd's."""
    command = read(SYSTEMD / f"gputally-{name}.service")["Service"]["ExecStart"].split()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        environment = os.environ | {
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "3000000",
            "GPUTALLY_SOURCE": "simulated",  # the node's; the site agent does not ask
            "GPUTALLY_STATE_DIR": str(tmp_path / "state"),
            "GPUTALLY_WEB_LISTEN_ADDRESS": "127.0.0.1:0",
        }
        agent = subprocess.Popen(
            [sys.executable, *command[1:]],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert manager.recv(200).startswith(b"READY=1")
            assert manager.recv(200) == b"WATCHDOG=1"
            agent.terminate()
            deadline = time.monotonic() + 30
            while not manager.recv(200).startswith(b"STOPPING=1"):
                assert time.monotonic() < deadline
            assert agent.wait(30) == 0
        finally:
            agent.kill()
            agent.wait()
