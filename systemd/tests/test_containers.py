"""Containers and the CI job: pinned, closed, and about files, ports, flags and targets that are there.

No container engine is needed: what can be known from the files is checked here.
"""

import os
import re
import ssl
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
CENTRE = ("victoria-metrics", "vmauth", "vmalert", "central-proxy")
TOKENS = {"vmauth.yml", "push_token"}  # which `gputally tokens` makes
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
service = pytest.mark.parametrize("name", SERVICES)


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
    """Those that speak TLS until somebody says where else."""
    speaks_tls = name in ("proxy", "victoria-metrics")  # the latter's network is that of central-proxy
    this_machine = "${PUBLISH_ADDRESS:-127.0.0.1}:" if speaks_tls else "127.0.0.1:"
    assert all(port.startswith(this_machine) for port in SERVICES[name].get("ports", []))


@service
def test_health_is_watched(name: str) -> None:
    """The node agent's check is part of its image; who serves on another port has one of his own."""
    assert ("healthcheck" in SERVICES[name]) != (name in NODES)


@service
def test_what_is_mounted_is_there_and_stays_as_it_is(name: str) -> None:
    for mount in SERVICES[name].get("volumes", []):
        source, _, options = mount.partition(":")
        if source.startswith("."):
            assert (TOP / source).exists(), mount
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
    for body in SERVICES.values():
        for variable, value in body.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|_KEY", variable):
                assert variable.endswith("__FILE"), variable
                assert value.removeprefix("/run/secrets/") in body["secrets"]


def test_the_first_lines_name_every_secret() -> None:
    about = re.split(r"^name:", (TOP / "docker-compose.yml").read_text(), flags=re.MULTILINE)[0]
    assert set(COMPOSE["secrets"]) <= set(re.findall(r"\w[\w.]*\w", about))
    assert f"writes {NUMBERS[len(set(COMPOSE['secrets']) - TOKENS)]} files" in about


def test_nobody_comes_into_grafana_without_a_password() -> None:
    environment = SERVICES["grafana"]["environment"]
    closed = ("AUTH_ANONYMOUS_ENABLED", "PUBLIC_DASHBOARDS_ENABLED", "USERS_ALLOW_SIGN_UP")
    assert {environment[f"GF_{name}"] for name in closed} == {"false"}
    for name in ("ADMIN_PASSWORD", "SECRET_KEY"):
        assert environment[f"GF_SECURITY_{name}__FILE"] == f"/run/secrets/grafana_{name.lower()}"


def test_grafana_is_told_of_services_of_this_file() -> None:
    environment = SERVICES["grafana"]["environment"]
    for name in ("prometheus", "alertmanager"):
        port = SERVICES[name]["ports"][0].rpartition(":")[2]
        assert environment[f"GPUTALLY_{name.upper()}_URL"] == f"http://{name}:{port}"


def test_grafana_finds_its_dashboards_where_they_are_mounted() -> None:
    """Folders are links into dashboards/, so that both have to be in one place."""
    mounted = dict(mount.split(":")[1::-1] for mount in SERVICES["grafana"]["volumes"])
    environment = SERVICES["grafana"]["environment"]
    folder = environment["GPUTALLY_GRAFANA_DIR"]
    assert mounted[f"{folder}/dashboards"] == "./grafana/dashboards"
    assert mounted[f"{folder}/folders"] == "./grafana/folders"
    home = environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (TOP / "grafana" / Path(home).relative_to(folder)).is_file()


def test_alertmanager_finds_its_secrets_where_its_configuration_says() -> None:
    text = (TOP / "alertmanager" / "alertmanager.yml").read_text()
    mounted = {one["target"] for one in SERVICES["alertmanager"]["secrets"]}
    unrouted = {f"/etc/alertmanager/secrets/{name}" for name in ("slack_url", "discord_url")}
    assert set(re.findall(r"/etc/alertmanager/secrets/\w+", text)) == mounted | unrouted
    assert not mounted & unrouted


def test_the_agent_comes_with_gpus_or_simulated_and_never_both_by_itself() -> None:
    profiles = {
        name: body.get("profiles") for name, body in SERVICES.items() if body["image"].startswith("gputally:")
    }
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


def test_the_centre_is_one_machine_in_four_containers_with_one_door() -> None:
    """So that the files of central/, which are about one machine, hold for them as they are."""
    assert all(SERVICES[name]["profiles"] == ["central"] for name in CENTRE)
    store, *others = (SERVICES[name] for name in CENTRE)
    assert [body["network_mode"] for body in others] == ["service:victoria-metrics"] * 3
    assert not any({"ports", "networks"} & set(body) for body in others)
    (port,) = re.findall(r"listen (\d+) ssl", (TOP / "central" / "nginx.conf").read_text())
    assert [one.rpartition(":")[2] for one in store["ports"]] == [port]
    base = re.findall(r"^FROM (\S+)", (TOP / "central" / "Dockerfile").read_text(), re.MULTILINE)
    version = base[0].rpartition(":v")[2]
    assert is_pinned(base[0])
    images = {
        SERVICES[name]["image"].rpartition(":")[2].removeprefix("v") for name in (*CENTRE[:3], "vmagent")
    }
    assert images == {version}


def test_what_the_containers_of_the_centre_are_told_is_what_its_units_say() -> None:
    """Where they differ, it is in where files lie."""
    for name in ("vmauth", "vmalert", "vmagent"):
        unit = (TOP / "central" / "systemd" / f"gputally-{name}.service").read_text()
        flags = set(re.findall(r" (-[\w.]+)=", unit.partition("ExecStart=")[2].partition("\nExecReload")[0]))
        assert {word.partition("=")[0] for word in SERVICES[name]["command"]} >= flags, name


@pytest.mark.parametrize("name", ["victoria-metrics", "vmauth", "vmalert", "vmagent"])
def test_flags_of_the_centre_are_the_programs_own(name: str) -> None:
    """In the release of Debian, too, which is older than that of the images."""
    shown = subprocess.run([str(find(name)), "-help"], capture_output=True, text=True, check=False)
    known = set(re.findall(r"^  (-\S+)", shown.stdout + shown.stderr, re.MULTILINE))
    assert {word.partition("=")[0] for word in SERVICES[name]["command"]} <= known


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


def test_secrets_are_made_for_every_service_and_stay_as_they_are(tmp_path: Path) -> None:
    """By the command that the first lines name."""
    for _ in range(2):
        done = subprocess.run(
            [TOP / "scripts" / "make-secrets.sh", tmp_path / "secrets"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        made = {path.name: path.read_bytes() for path in (tmp_path / "secrets").iterdir()}
        assert set(made) == set(COMPOSE["secrets"]) - TOKENS
        (tmp_path / "secrets" / "smtp_password").write_text("battery staple\n")
    assert made["smtp_password"] == b"battery staple\n"
    assert made["grafana_admin_password"] != made["grafana_secret_key"]
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()} == {0o644}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "secrets" / "tls_certificate", tmp_path / "secrets" / "tls_key")
