"""Containers and the CI job: pinned, closed, and about files, ports, flags and targets that are there.

No container engine is needed: what can be known from the files is checked here.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripts.stack.processes import find

TOP = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((TOP / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (TOP / "exporter" / "Dockerfile").read_text()
WORKFLOWS = sorted((TOP / ".github" / "workflows").glob("*.yml"))
BUILD_FILES = [TOP / "docker-compose.yml", TOP / "exporter" / "Dockerfile", TOP / ".ci" / "run", *WORKFLOWS]

NODES = ("node-gpu", "node-simulated")
service = pytest.mark.parametrize("name", SERVICES)
workflow = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda path: path.stem)


def is_pinned(image: str) -> bool:
    """A version with two numbers or more behind the colon; neither none nor a word that moves."""
    _, _, tag = image.rpartition(":")
    return bool(re.fullmatch(r"v?\d+(\.\d+)+(-[a-z0-9-]+)?", tag))


@pytest.mark.parametrize(
    ("image", "pinned"),
    [
        ("prom/prometheus:v3.5.0", True),
        ("python:3.12.11-slim-bookworm", True),
        ("debian:12.11", True),
        ("debian", False),
        ("debian:latest", False),
        ("debian:12", False),
        ("registry:5000/thing", False),
    ],
)
def test_what_counts_as_pinned(image: str, pinned: bool) -> None:
    assert is_pinned(image) is pinned


@service
def test_every_image_is_pinned(name: str) -> None:
    assert is_pinned(SERVICES[name]["image"])


def test_every_base_image_is_pinned_and_the_same() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert is_pinned(bases[0])


@pytest.mark.parametrize("file", BUILD_FILES, ids=lambda path: path.name)
def test_nothing_is_piped_from_the_net_into_a_shell(file: Path) -> None:
    assert not re.search(r"(curl|wget)[^\n]*\|\s*(sudo\s+)?(ba|da)?sh\b", file.read_text())


@service
def test_a_container_can_do_little(name: str) -> None:
    body = SERVICES[name]
    assert body["read_only"] is True
    assert body["cap_drop"] == ["ALL"]
    assert body["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices"} & set(body)
    assert body["user"].split(":")[0] not in {"0", "root"}
    assert body["pids_limit"] > 0
    assert body["mem_limit"]


@service
def test_ports_are_open_to_this_machine_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])


@service
def test_health_is_watched(name: str) -> None:
    """The node agent's check is part of its image; who serves on another port has one of his own."""
    assert ("healthcheck" in SERVICES[name]) != (name in NODES)


@service
def test_what_is_mounted_is_there_and_stays_as_it_is(name: str) -> None:
    for mount in SERVICES[name]["volumes"]:
        source, _, options = mount.partition(":")
        if source.startswith("."):
            assert (TOP / source).is_dir(), mount
            assert options.endswith(":ro"), mount
        elif source.startswith(
            "/"
        ):  # the machine's own: only the agent, to see who runs there, and in its place
            assert name == "node-gpu"
            assert options == f"{source}:ro"
        else:
            assert source in COMPOSE["volumes"]


def test_secrets_are_files_and_every_one_is_used() -> None:
    assert all(body["file"].startswith("./secrets/") for body in COMPOSE["secrets"].values())
    used = {
        one if isinstance(one, str) else one["source"]
        for body in SERVICES.values()
        for one in body.get("secrets", [])
    }
    assert used == set(COMPOSE["secrets"])
    values = [str(value) for body in SERVICES.values() for value in body.get("environment", {}).values()]
    assert [value for value in values if "password" in value.lower()] == [
        "/run/secrets/grafana_admin_password"
    ]


def test_alertmanager_finds_its_secrets_where_its_configuration_says() -> None:
    text = (TOP / "alertmanager" / "alertmanager.yml").read_text()
    mounted = {one["target"] for one in SERVICES["alertmanager"]["secrets"]}
    unrouted = {f"/etc/alertmanager/secrets/{name}" for name in ("slack_url", "discord_url")}
    assert set(re.findall(r"/etc/alertmanager/secrets/\w+", text)) == mounted | unrouted
    assert not mounted & unrouted


def test_the_agent_comes_with_gpus_or_simulated_and_never_both_by_itself() -> None:
    profiles = {name: body.get("profiles") for name, body in SERVICES.items() if "build" in body}
    assert profiles == {"node-gpu": ["gpu"], "node-simulated": ["simulated"], "site": None}
    (device,) = SERVICES["node-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["count"], "gpu" in device["capabilities"]) == ("nvidia", "all", True)
    assert SERVICES["node-gpu"]["volumes"] != SERVICES["node-simulated"]["volumes"]


def test_prometheus_is_given_targets_that_are_services_of_this_file() -> None:
    names = set(SERVICES) | {"node"}  # both node agents answer to this one
    assert all(SERVICES[one]["networks"]["default"]["aliases"] == ["node"] for one in NODES)
    folder = TOP / "prometheus" / "targets-compose"
    assert {path.name for path in folder.iterdir()} == {
        path.name for path in (TOP / "prometheus" / "targets").iterdir()
    }
    for path in folder.glob("*.yml"):
        for group in yaml.safe_load(path.read_text()):
            for target in group["targets"]:
                assert target.split(":")[0] in names


@pytest.mark.parametrize(
    ("name", "program"), [("prometheus", "prometheus"), ("alertmanager", "prometheus-alertmanager")]
)
def test_flags_are_the_programs_own(name: str, program: str) -> None:
    shown = subprocess.run([str(find(program, name)), "--help"], capture_output=True, text=True, check=False)
    for flag in SERVICES[name]["command"]:
        assert f"{flag.split('=')[0]}" in (shown.stdout + shown.stderr).replace("[no-]", "")


@pytest.mark.parametrize("name", [*NODES, "site"])
def test_the_agent_understands_its_command(name: str) -> None:
    command = [sys.executable, "-m", "gputally", *SERVICES[name]["command"], "--help"]
    environment = os.environ | SERVICES[name].get("environment", {})
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_site_agent_serves_where_it_is_asked_for_and_sees_nothing_of_the_machine() -> None:
    body = SERVICES["site"]
    address = body["environment"]["GPUTALLY_WEB_LISTEN_ADDRESS"]
    port = address.rpartition(":")[2]
    assert body["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f":{port}/-/healthy" in body["healthcheck"]["test"][-1]
    compile(body["healthcheck"]["test"][-1], "healthcheck", "exec")
    (group,) = yaml.safe_load((TOP / "prometheus" / "targets-compose" / "site.yml").read_text())
    assert group["targets"] == [f"site:{port}"]
    assert not {"pid", "cgroup", "deploy"} & set(body)
    assert body["volumes"] == []


def test_sites_and_nodes_meet_by_their_cluster() -> None:
    """Without the same label on both, no price would find its joules."""
    for folder in ("targets", "targets-compose"):
        groups = [
            group
            for name in ("node", "site")
            for group in yaml.safe_load((TOP / "prometheus" / folder / f"{name}.yml").read_text())
        ]
        assert [group["labels"]["cluster"] for group in groups] == ["default", "default"]


def test_the_image_runs_the_agent_as_nobody_and_copies_what_is_there() -> None:
    assert re.search(r"^USER 65532:65532$", DOCKERFILE, re.MULTILINE)
    kept = set(re.findall(r"^!(\S+)", (TOP / ".dockerignore").read_text(), re.MULTILINE))
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied == kept
    assert all((TOP / source).exists() for source in copied)


def test_the_health_check_of_the_image_is_a_program_that_compiles() -> None:
    (code,) = re.findall(r'CMD \["/opt/gputally/bin/python", "-I", "-c", "(.+)"\]', DOCKERFILE)
    assert "/-/healthy" in code
    compile(code, "HEALTHCHECK", "exec")


def test_versions_agree() -> None:
    from gputally import __version__  # noqa: PLC0415 - what is compared stands together

    assert SERVICES["node-gpu"]["image"] == f"gputally:{__version__}"


@workflow
def test_a_workflow_has_no_permissions_and_runs_nobody_elses_actions(file: Path) -> None:
    loaded = yaml.safe_load(file.read_text())
    assert loaded["permissions"] == {}
    for job in loaded["jobs"].values():
        assert is_pinned(job["container"])
        assert all("run" in step and "uses" not in step for step in job["steps"])


@workflow
def test_a_workflow_runs_targets_of_the_makefile(file: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(), re.MULTILINE))
    matrix = yaml.safe_load(file.read_text())["jobs"]["test"]["strategy"]["matrix"]["target"]
    assert {"test", "test-current"} == set(matrix)
    assert set(matrix) <= targets


def test_expressions_of_the_workflow_reach_no_shell_directly() -> None:
    """A branch's name can be a command."""
    for file in WORKFLOWS:
        for job in yaml.safe_load(file.read_text())["jobs"].values():
            assert not any("${{" in step["run"] for step in job["steps"])
