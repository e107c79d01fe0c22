"""The configuration file of the agents: what it can say, and the one line about what it cannot."""

import os
from dataclasses import fields, replace
from pathlib import Path

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gputally.cli.options import combine
from gputally.config.settings import NodeSettings, read_file
from gputally.config.strict import ConfigError
from gputally.config.teams import TeamRule
from tests.cli.badconfig import BAD, as_bytes

# Every key of the file, with a value that is not the default and the setting that it makes.
KEYS = {
    "node.source": ("nvtop", {"source": "nvtop"}),
    "node.sample_interval": ("1m", {"sample_interval_ns": 60_000_000_000}),
    "node.state_dir": ("/var/lib/x", {"state_dir": Path("/var/lib/x")}),
    "node.collectors.processes": ("false", {"collector_processes": False}),
    "node.collectors.host": ("false", {"collector_host": False}),
    "node.collectors.gpm": ("true", {"collector_gpm": True}),
    "node.collectors.nvlink_links": ("true", {"collector_nvlink_links": True}),
    "node.collectors.jobs": ("false", {"collector_jobs": False}),
    "node.jobs.idle_policy": ("weighted", {"jobs_idle_policy": "weighted"}),
    "node.jobs.keep": ("24h", {"jobs_keep_ns": 86_400_000_000_000}),
    "node.jobs.announce": ("2m", {"jobs_announce_ns": 120_000_000_000}),
    "node.jobs.environment": ("true", {"jobs_environment": True}),
    "node.jobs.runs_dir": ("/srv/runs", {"jobs_runs_dir": Path("/srv/runs")}),
    "node.jobs.slurm_dir": ("/srv/slurm", {"jobs_slurm_dir": Path("/srv/slurm")}),
    "node.jobs.pod_logs_dir": ("/srv/pods", {"jobs_pod_logs_dir": Path("/srv/pods")}),
    "node.jobs.kubelet_socket": ("/srv/k.sock", {"jobs_kubelet_socket": Path("/srv/k.sock")}),
    "node.jobs.idle_watts": (
        "{GPU-1: 55.5, 'NVIDIA H*': 70}",
        {"idle_watts": {"GPU-1": 55.5, "NVIDIA H*": 70.0}},
    ),
    "teams": (
        "[{name: nlp, users: [ada, 'nlp-*'], slurm_accounts: [nlp], namespaces: [n], units: [u.slice]}]",
        {"teams": (TeamRule("nlp", ("nlp",), ("n",), ("u.slice",), ("ada", "nlp-*")),)},
    ),
    "node.simulated.gpus": ("0", {"simulated_gpus": 0}),
    "node.simulated.seed": ("2147483648", {"simulated_seed": 2**31}),
    "node.simulated.faults": ("true", {"simulated_faults": True}),
    "web.listen_addresses": ("[':1', '[::1]:2']", {"web_listen_address": (":1", "[::1]:2")}),
    "web.telemetry_path": ("/m", {"web_telemetry_path": "/m"}),
    "web.config_file": ("/etc/web.yml", {"web_config_file": Path("/etc/web.yml")}),
    "log.level": ("error", {"log_level": "error"}),
    "log.format": ("json", {"log_format": "json"}),
}


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "gputally.yml"
    path.write_bytes(as_bytes(text))
    return path


def nested(key: str, value: str) -> str:
    parts = key.split(".")
    return "".join("  " * depth + f"{part}:\n" for depth, part in enumerate(parts))[:-1] + f" {value}\n"


@pytest.mark.parametrize("key", KEYS)
def test_each_key_of_the_file_makes_its_setting_and_no_other(tmp_path, key):
    text, setting = KEYS[key]
    assert combine(write(tmp_path, nested(key, text)), {}) == replace(NodeSettings(), **setting)


def test_all_keys_stand_together_in_one_file(tmp_path):
    text = """
node:
  source: simulated
  sample_interval: 250ms
  state_dir: state
  collectors: {processes: false, host: true, gpm: true, nvlink_links: false, jobs: true}
  jobs:
    idle_policy: used
    keep: 10m
    announce: 0s
    environment: true
    runs_dir: runs
    slurm_dir: slurm
    pod_logs_dir: pods
    kubelet_socket: kubelet.sock
    idle_watts: {GPU-1: 50}
  simulated: {gpus: 64, seed: 0, faults: true}
web: {listen_addresses: ["127.0.0.1:0"], telemetry_path: /metrics, config_file: web.yml}
log: {level: debug, format: logfmt}
teams: [{name: nlp}]
"""
    always = {"site", "config_text"}
    assert set(read_file(write(tmp_path, text))) - always == {
        name for _, made in KEYS.values() for name in made
    }


def test_a_setting_that_the_file_cannot_give_belongs_to_the_machine_and_not_to_the_fleet():
    in_file = {name for _, made in KEYS.values() for name in made} | {"site", "config_text"}
    assert {field.name for field in fields(NodeSettings)} - in_file == {
        "nvml_release_ns",
        "memory_limit_bytes",
        "simulated_visitors_dir",
        "path_procfs",
        "path_sysfs",
    }


@pytest.mark.parametrize("text", ["{}\n", "node: {}\nweb: {}\nlog: {}\n", b"\xef\xbb\xbf{}\r\n"])
def test_a_file_that_sets_nothing_leaves_the_defaults(tmp_path, text):
    assert combine(write(tmp_path, text), {}) == NodeSettings()


def test_paths_are_relative_to_the_file(tmp_path):
    made = combine(write(tmp_path, "node: {state_dir: s/t}\nweb: {config_file: web.yml}\n"), {})
    assert (made.state_dir, made.web_config_file) == (tmp_path / "s/t", tmp_path / "web.yml")


@pytest.mark.fault("config-values")
@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_one_line_that_names_file_line_and_key(tmp_path, name):
    text, message = BAD[name]
    path = write(tmp_path, text)
    with pytest.raises(click.UsageError) as caught:
        combine(path, {})
    assert caught.value.message == f"{path}{message}"
    assert "\n" not in caught.value.message


@pytest.mark.fault("config-no-file")
def test_what_is_no_readable_file_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    no_file = "expected a regular file, found a directory, pipe or device"
    for name, words in {
        "missing": "cannot be read: No such file or directory",
        "loop": "cannot be read: Too many levels of symbolic links",
        "pipe": no_file,
        ".": no_file,
        "/dev/zero": no_file,
        "x" * 300: "cannot be read: File name too long",
        "gputally.yml/x": "cannot be read: Not a directory",
    }.items():
        write(tmp_path, "{}")
        with pytest.raises(ConfigError) as caught:
            read_file(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {words}"


KEYS_AND_VALUES = (
    "node: ",
    "web:\n  ",
    "log: ",
    "source: nvml",
    "gpm: true",
    "level: 1e400",
    "1s",
    ".nan",
    "---\n",
)
SIGNS = "~[]{}:- \n\t&*!'\"#|>%\\\x00🙂01<"
WORDS = st.sampled_from([*KEYS_AND_VALUES, *SIGNS])


@pytest.mark.fault("config-bytes")
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.lists(WORDS, max_size=40).map(lambda words: "".join(words).encode()), st.binary(max_size=200)
    )
)
def test_any_bytes_are_a_configuration_or_one_line(tmp_path, data):
    path = write(tmp_path, data)
    try:
        combine(path, {})
    except click.UsageError as error:
        message = error.message
    else:
        message = f"{path}: good"
    assert message.startswith(f"{path}:")
    assert message.isprintable()
