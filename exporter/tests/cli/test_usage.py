"""The one line about every way of getting the command line wrong, and nothing written beside it."""

from pathlib import Path

import click
import pytest

from gputally.config.settings import NodeSettings
from tests.cli.badconfig import BAD, as_bytes
from tests.cli.command import assert_refused, gputally
from tests.cli.flags import FLAGS, settled, variable

# Wrong in every way: (arguments, what the line says).
_DURATION = "expected a duration such as 250ms, 1s, 1m30s, 2h or 1d"
_ADDRESS = "expected HOST:PORT, :PORT or [IPv6]:PORT"
WRONG_VALUES = {
    "--web.listen-address": {
        "": _ADDRESS,
        "localhost": f"localhost: {_ADDRESS}",
        "::1:9836": f"::1:9836: {_ADDRESS}; an IPv6 address stands in brackets",
        "[127.0.0.1]:1": "[127.0.0.1]:1: expected an IPv6 address in the brackets",
        "127.0.0.1:65536": "127.0.0.1:65536: expected a port from 0 to 65535, found 65536",
        "127.0.0.1:http": f"127.0.0.1:http: {_ADDRESS}",
        "a b:1": "a b:1: expected a host name or an IP address before the port",
        "http://127.0.0.1:1": f"http://127.0.0.1:1: only TCP is supported, {_ADDRESS}",
        "127.0.0.1:1\nx": f"'127.0.0.1:1\\nx': {_ADDRESS}",
    },
    "--web.telemetry-path": {
        "": "'': expected a plain path such as /metrics",
        "metrics": "'metrics': expected a plain path such as /metrics",
        "/": "/: this path is taken by the landing page",
        "/-/healthy": "/-/healthy: this path is taken by the health checks",
        "/a b": "'/a b': expected a plain path such as /metrics",
        "/mé": "'/m\\xe9': expected a plain path such as /metrics",
        "/a\nb": "'/a\\nb': expected a plain path such as /metrics",
    },
    "--web.config.file": {"": "the path is empty", ".": "is a directory"},
    "--config.file": {"": "the path is empty", ".": "is a directory"},
    "--state.dir": {"": "the path is empty", "FILE": "is a file"},
    "--path.procfs": {"": "the path is empty", "FILE": "is a file"},
    "--path.sysfs": {"": "the path is empty", "FILE": "is a file"},
    "--sample.interval": {
        "": f"'': {_DURATION}",
        "1": f"'1': {_DURATION}",
        "fast": f"'fast': {_DURATION}",
        "-1s": f"'-1s': {_DURATION}",
        "1.5s": f"'1.5s': {_DURATION}",
        "0": "0 is not between 250ms and 1m",
        "249ms": "249ms is not between 250ms and 1m",
        "61s": "61s is not between 250ms and 1m",
    },
    "--nvml.release": {"999ms": "999ms is not between 1s and 1h", "1d": "1d is not between 1s and 1h"},
    "--source": {"nvm": "'nvm' is not one of", "NVML": "'NVML' is not one of", "": "'' is not one of"},
    "--jobs.idle-policy": {"never": "'never' is not one of", "": "'' is not one of"},
    "--jobs.keep": {"4m": "4m is not between 5m and 1d", "25h": "25h is not between 5m and 1d"},
    "--jobs.announce": {"11m": "11m is not between 0s and 10m", "-1s": f"'-1s': {_DURATION}"},
    "--jobs.runs-dir": {"": "the path is empty", "FILE": "is a file"},
    "--jobs.slurm-dir": {"": "the path is empty", "FILE": "is a file"},
    "--jobs.pod-logs-dir": {"": "the path is empty", "FILE": "is a file"},
    "--jobs.kubelet-socket": {"": "the path is empty", ".": "is a directory"},
    "--simulated.visitors-dir": {"": "the path is empty", "FILE": "is a file"},
    "--simulated.gpus": {"65": "65 is not in the range", "-1": "-1 is not in the range", "x": "'x' is not a"},
    "--simulated.seed": {"-1": "-1 is not in the range", "1.0": "'1.0' is not a valid integer range"},
    "--memory.limit-bytes": {"1": "1 is not in the range", "64M": "'64M' is not a valid integer range"},
    "--log.level": {"warn": "'warn' is not one of", "": "'' is not one of"},
    "--log.format": {"xml": "'xml' is not one of", "\x1b[31m": "'\\x1b[31m' is not one of"},
}
SWITCHES = [flag for flag, row in FLAGS.items() if isinstance(getattr(NodeSettings(), row[0]), bool)]


def refused(arguments: list[str | bytes], folder: Path, env: dict[str, str] | None = None) -> str:
    (folder / "FILE").touch()
    before = {entry.name for entry in folder.iterdir()}
    return assert_refused(gputally("node", *arguments, folder=folder, env=env), folder, before)


def complaint(*arguments: str) -> str:
    with pytest.raises(click.UsageError) as caught:
        settled(*arguments)
    return caught.value.format_message()


@pytest.mark.parametrize("flag", WRONG_VALUES)
def test_a_wrong_value_is_refused_with_the_name_of_flag_and_variable(flag, tmp_path, monkeypatch):
    (tmp_path / "FILE").touch()
    monkeypatch.chdir(tmp_path)
    for text, words in WRONG_VALUES[flag].items():
        line = complaint(f"{flag}={text}")
        assert line.startswith(f"Invalid value for '{flag}' (env var: '{variable(flag)}'): ")
        assert words in line
        if text:
            monkeypatch.setenv(variable(flag), text)
            line = complaint()
            assert f"(env var: '{variable(flag)}')" in line
            monkeypatch.delenv(variable(flag))


@pytest.mark.parametrize("flag", WRONG_VALUES)
def test_the_program_says_so_in_one_line_and_writes_nothing_else(flag, tmp_path):
    text, words = next((text, words) for text, words in WRONG_VALUES[flag].items() if text)
    more = ["--state.dir=state"] if flag != "--state.dir" else []
    assert words in refused([f"{flag}={text}", *more], tmp_path)


def test_every_flag_that_takes_a_value_is_among_the_wrong_ones():
    assert {*WRONG_VALUES, *SWITCHES} == {*FLAGS, "--config.file"}


@pytest.mark.parametrize("flag", SWITCHES)
def test_a_switch_takes_no_value_and_its_variable_only_a_boolean(flag, tmp_path, monkeypatch):
    assert refused([f"{flag}=true"], tmp_path) == f"Option '{flag}' does not take a value."
    monkeypatch.setenv(variable(flag), "maybe")
    line = complaint()
    assert f"(env var: '{variable(flag)}'): 'maybe' is not a valid boolean" in line


WRONG_COMMANDS = {
    "no command": ([], "Missing command, one of alerts, bills, check, "),
    "no command of a command": (["alerts"], "Missing command, one of render, thresholds"),
    "unknown command": (["nodes"], "No such command 'nodes'."),
    "flag of the other agent": (["site", "--source=nvml"], "No such option '--source'."),
    "address of the site": (["site", "--web.listen-address=9837"], "9837: expected HOST:PORT"),
    "option before the command": (["--source=nvml", "node"], "No such option '--source'."),
    "argument": (["node", "extra"], "Got unexpected extra argument (extra)"),
    "unknown flag": (["node", "--nope"], "No such option '--nope'."),
    "near flag": (["node", "--sample.intervall=1s"], "Did you mean '--sample.interval'?"),
    "short flag": (["node", "-h"], "No such option '-h'."),
    "flag without value": (["node", "--source"], "Option '--source' requires an argument."),
    "abbreviated flag": (["node", "--sour=nvml"], "No such option '--sour'."),
    "bytes": (["node", b"--\xff\xfe"], "No such option"),
    "value in bytes": (["node", b"--source=\xff\xfe"], "is not one of"),
    "newline": (["node", "--a\nb\r\x1b[1m"], "No such option"),
    "long": (["node", "--log.level=" + "x" * 5000], "is not one of"),
    "format of check": (["check", "--format=xml"], "'xml' is not one of 'table', 'json'."),
}


@pytest.mark.parametrize("name", WRONG_COMMANDS)
def test_a_wrong_command_line_is_one_line_and_leaves_no_trace(name, tmp_path):
    arguments, words = WRONG_COMMANDS[name]
    line = assert_refused(gputally(*arguments, folder=tmp_path), tmp_path, set())
    assert words in line


@pytest.mark.fault("variable-unknown")
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("GPUTALLY_SAMPLE_INTERVALL", ", did you mean GPUTALLY_SAMPLE_INTERVAL?"),
        ("GPUTALLY_STATEDIR", ", did you mean GPUTALLY_STATE_DIR?"),
        ("GPUTALLY_", ""),
        ("GPUTALLY_XYZ", ""),
    ],
)
def test_an_unknown_variable_is_refused_by_every_command(name, hint, tmp_path):
    for command in (["--version"], ["check"]):
        answer = gputally(*command, folder=tmp_path, env={name: ""})
        assert assert_refused(answer, tmp_path, set()) == f"unknown environment variable {name}{hint}"


@pytest.mark.fault("config-values")
@pytest.mark.parametrize("command", ["check", "node", "site"])
def test_a_bad_file_is_refused_by_all_commands_alike(command, tmp_path):
    state = ["--state.dir=state"] if command != "site" else []
    for name in ("latin-1", "unknown key", "duplicate at depth three", "port 65536", "10 MB"):
        text, message = BAD[name]
        (tmp_path / "c.yml").write_bytes(as_bytes(text))
        answer = gputally(command, "--config.file=c.yml", *state, folder=tmp_path)
        assert assert_refused(answer, tmp_path, {"c.yml"}) == f"c.yml{message}"


@pytest.mark.parametrize("command", ["check", "node", "site"])
def test_a_bad_price_file_is_refused_by_its_own_name_and_line(command, tmp_path):
    (tmp_path / "c.yml").write_text(
        "tariff: {currency: EUR, price_per_kwh: 0.2, prices: {file: prices.csv}}\n"
    )
    (tmp_path / "prices.csv").write_text("start,end,price_per_kwh\n2026-01-01T00:00:00Z,soon,0.1\n")
    answer = gputally(command, "--config.file=c.yml", folder=tmp_path)
    line = assert_refused(answer, tmp_path, {"c.yml", "prices.csv"})
    assert line.startswith("prices.csv:2:1 end: expected an instant with its offset")


@pytest.mark.fault("config-web")
@pytest.mark.parametrize("command", ["check", "node", "site"])
def test_a_bad_web_file_is_refused_before_anything_is_written(command, tmp_path):
    (tmp_path / "web.yml").write_text("basic_auth_user: {}\n")
    (tmp_path / "c.yml").write_text("node: {state_dir: state}\nweb: {config_file: web.yml}\n")
    answer = gputally(command, f"--config.file={tmp_path / 'c.yml'}", folder=tmp_path)
    line = assert_refused(answer, tmp_path, {"c.yml", "web.yml"})
    assert line.startswith(
        f"{tmp_path / 'web.yml'}:1:1 basic_auth_user: unknown key, did you mean basic_auth_users?"
    )
