"""docs/scaling.md: its configurations are what Prometheus takes, and do what the page says of them."""

import itertools
import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripts.stack.processes import LOOPBACK, Program, find, free_port

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs" / "scaling.md").read_text()
BLOCKS = re.findall(r"^```yaml\n# (\S+).*\n((?:.*\n)*?)```$", PAGE, re.MULTILINE)
RULES = [
    rule["record"]
    for path in (TOP / "prometheus" / "rules").glob("*.yml")
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
]
Run = Callable[..., Program]


def block(word: str) -> dict[str, Any]:
    """The one block of the page in which the word stands."""
    (found,) = [text for _, text in BLOCKS if word in text]
    loaded: dict[str, Any] = yaml.safe_load(found)
    return loaded


def check(configuration: dict[str, Any], folder: Path) -> None:
    """As promtool sees it, beside all that is shipped."""
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(configuration))
    done = subprocess.run(
        ["promtool", "check", "config", "--syntax-only", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("text", [text for _, text in BLOCKS], ids=lambda text: text.split("\n")[0])
def test_prometheus_takes_every_configuration_alone_and_beside_what_is_shipped(
    text: str, tmp_path: Path
) -> None:
    shipped = yaml.safe_load((TOP / "prometheus" / "prometheus.yml").read_text())
    added = yaml.safe_load(text)
    check(added, tmp_path)
    for key, value in added.items():
        shipped[key] = {**shipped.get(key, {}), **value} if isinstance(value, dict) else value
    check(shipped, tmp_path)


def test_the_page_has_the_configurations_that_it_speaks_of() -> None:
    assert len(BLOCKS) == PAGE.count("```yaml") == 4


def test_what_is_sent_is_every_rule_of_ours_and_nothing_that_is_scraped() -> None:
    scraped = re.findall(r"^\| `([a-z_]+)` \|", (TOP / "docs" / "metrics.md").read_text(), re.MULTILINE)
    assert len(scraped) > 100
    for target in block("remote_write")["remote_write"]:
        (relabel,) = target["write_relabel_configs"]
        kept = re.compile(relabel["regex"])
        assert all(kept.fullmatch(name) for name in RULES)
        assert {name for name in scraped if kept.fullmatch(name)} == {
            name for name in scraped if name.startswith("site_") or name == "gputally_tariff_info"
        }


def test_roll_ups_are_those_of_no_single_gpu_and_no_single_job() -> None:
    pattern = block("/federate")["scrape_configs"][0]["params"]["match[]"][0]
    kept = re.compile(json.loads(pattern.removeprefix("{__name__=~").removesuffix("}")))
    sent = {name for name in RULES if kept.fullmatch(name)}
    assert {name.split(":")[0] for name in sent} <= {
        "cluster", "team_user_model", "consumer", "team", "model", "instance"
    }  # fmt: skip
    assert {"cluster:gpu_energy_cost:increase1h", "team_user_model:gpu_cost:increase1h"} <= sent


# two servers


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Start a Prometheus with this configuration."""
    started: list[Program] = []
    numbers = itertools.count()

    def begin(configuration: dict[str, Any], *flags: str, port: int | None = None) -> Program:
        folder = tmp_path / f"prometheus-{next(numbers)}"
        folder.mkdir()
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        port = port or free_port()
        argv = [
            str(find("prometheus")),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={LOOPBACK}:{port}",
            *flags,
        ]
        started.append(Program("prometheus", argv, folder / "log", port=port))
        started[-1].start()
        started[-1].wait_until_ready()
        return started[-1]

    yield begin
    for program in started:
        program.stop()


SITE_RULES = """
groups:
  - name: a
    interval: 1s
    rules:
      - {record: "cluster:gpu_energy_kwh:increase1h", expr: "vector(7)", labels: {cluster: north}}
      - {record: "uuid:gpu_energy_kwh:increase1h", expr: "vector(1)", labels: {uuid: GPU-0}}
"""


def site(folder: Path, own_port: int) -> dict[str, Any]:
    """A site's Prometheus that has roll-ups, and scrapes itself."""
    rules = folder / "rules.yml"
    rules.write_text(SITE_RULES)
    own = {"job_name": "prometheus", "static_configs": [{"targets": [f"{LOOPBACK}:{own_port}"]}]}
    return {"global": {"scrape_interval": "1s"}, "rule_files": [str(rules)], "scrape_configs": [own]}


def names(program: Program) -> dict[str, list[dict[str, str]]]:
    """Every series that it has, by name."""
    found: dict[str, list[dict[str, str]]] = {}
    query = urllib.parse.urlencode({"match[]": '{__name__!=""}'})
    with urllib.request.urlopen(f"{program.url}/api/v1/series?{query}", timeout=20) as answer:  # noqa: S310 - ours
        for one in json.load(answer)["data"]:
            found.setdefault(one.pop("__name__"), []).append(one)
    return found


def wait(program: Program, name: str) -> dict[str, list[dict[str, str]]]:
    for _ in range(600):
        found = names(program)
        if name in found:
            return found
        subprocess.run(["sleep", "0.1"], check=True)
    raise AssertionError(f"{name} does not arrive; there are {sorted(found)}")


def test_the_server_above_gets_the_roll_ups_and_no_more(run: Run, tmp_path: Path) -> None:
    port = free_port()
    below = run(site(tmp_path, port), port=port)
    wait(below, "cluster:gpu_energy_kwh:increase1h")
    above = block("/federate")
    above["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    above["scrape_configs"][0]["static_configs"][0]["targets"] = [f"{LOOPBACK}:{port}"]
    found = wait(run(above), "cluster:gpu_energy_kwh:increase1h")
    assert [one["cluster"] for one in found["cluster:gpu_energy_kwh:increase1h"]] == ["north"]
    assert {name for name in found if not name.startswith(("scrape_", "up"))} == {
        "cluster:gpu_energy_kwh:increase1h"
    }


def test_a_site_pushes_its_rules_with_its_name_and_no_scrapes(run: Run, tmp_path: Path) -> None:
    store = run({}, "--web.enable-remote-write-receiver")
    port = free_port()
    pushing = block("remote_write")
    target = pushing["remote_write"][0]
    (tmp_path / "token").write_text("battery staple")
    target["url"] = f"{store.url}/api/v1/write"
    target["authorization"]["credentials_file"] = str(tmp_path / "token")
    configuration = site(tmp_path, port)
    configuration["remote_write"] = [target]
    configuration["global"]["external_labels"] = pushing["global"]["external_labels"]
    run(configuration, port=port)
    found = wait(store, "uuid:gpu_energy_kwh:increase1h")
    assert set(found) <= {"uuid:gpu_energy_kwh:increase1h", "cluster:gpu_energy_kwh:increase1h", "up"}
    assert all(one["site"] == "north" for series in found.values() for one in series)
