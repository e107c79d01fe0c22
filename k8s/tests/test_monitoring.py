"""What Prometheus' operator and Grafana's sidecar are given: valid, and as the files that it is made of."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
import yaml
from k8s import build
from k8s.tests.manifests import K8S, TOP, found, of_folder
from scripts.stack.processes import find

MONITORING = of_folder("monitoring")
MONITORS = {one["metadata"]["name"]: one for one in MONITORING if one["kind"].endswith("Monitor")}
PROMETHEUS = yaml.safe_load((TOP / "prometheus" / "prometheus.yml").read_text())
DASHBOARDS = of_folder("dashboards")
ENDPOINTS = {"gputally-node": "podMetricsEndpoints", "gputally-site": "endpoints"}
RULE_FILES = [path for kind in ("rules", "alerts") for path in (TOP / "prometheus" / kind).glob("*.yml")]


def snake(name: str) -> str:
    """As the operator writes a key -> as Prometheus does."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def test_the_generated_files_are_up_to_date():
    assert {path.name for path, text in build.rendered().items() if path.read_text() != text} == set()


def test_rules_and_alerts_are_those_of_prometheus(tmp_path):
    objects = [one for one in MONITORING if one["kind"] == "PrometheusRule"]
    shipped = [path for path in RULE_FILES if path.name != "user.yml"]
    groups = [group for one in objects for group in one["spec"]["groups"]]
    assert len(objects) == len(shipped)
    expected = [group for path in shipped for group in yaml.safe_load(path.read_text())["groups"]]
    by_name = {group["name"]: group for group in expected}
    assert {group["name"]: group for group in groups} == by_name
    assert len(groups) == len(expected) == len(by_name)
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": groups}))
    command = [str(find("promtool")), "check", "rules", tmp_path / "rules.yml"]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize("name", ENDPOINTS)
def test_jobs_limits_and_labels_are_those_of_prometheus(name):
    (job,) = [one for one in PROMETHEUS["scrape_configs"] if one["job_name"] == name]
    spec = MONITORS[name]["spec"]
    limits = {snake(key): value for key, value in spec.items() if key.lower().endswith("limit")}
    assert limits == {key: value for key, value in job.items() if key.endswith("_limit")}
    (endpoint,) = spec[ENDPOINTS[name]]
    assert endpoint["interval"] == PROMETHEUS["global"]["scrape_interval"]
    assert endpoint["scrapeTimeout"] == PROMETHEUS["global"]["scrape_timeout"]
    (job_label,) = [one for one in endpoint["relabelings"] if one.get("targetLabel") == "job"]
    assert job_label["replacement"] == name
    targets = {one["targetLabel"] for one in endpoint["relabelings"] if "targetLabel" in one}
    assert targets == {"job", "instance", "cluster"}


def test_nodes_and_site_meet_by_their_cluster():
    clusters = {
        rule["replacement"]
        for name, key in ENDPOINTS.items()
        for rule in MONITORS[name]["spec"][key][0]["relabelings"]
        if rule.get("targetLabel") == "cluster"
    }
    assert clusters == {"default"}


def scrape_config(name: str) -> dict[str, Any]:
    """The job that the operator makes of a monitor: its keys are Prometheus', in another spelling."""
    spec = dict(MONITORS[name]["spec"])
    (endpoint,) = spec.pop(ENDPOINTS[name])
    del spec["selector"]
    renamed = {"interval": "scrape_interval", "relabelings": "relabel_configs"}
    job = {renamed.get(key, snake(key)): value for key, value in (spec | endpoint).items() if key != "port"}
    rules = [{snake(key): value for key, value in rule.items()} for rule in job["relabel_configs"]]
    return {"job_name": name} | job | {"relabel_configs": rules}


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize("more", [{}, {"sample_limits": 1}])
def test_prometheus_takes_every_key_of_a_monitor_and_no_other(name, more, tmp_path):
    """No package of Python carries the operator's schemas; Prometheus refuses what it does not know."""
    text = yaml.safe_dump({"scrape_configs": [scrape_config(name) | more]})
    (tmp_path / "prometheus.yml").write_text(text)
    command = [str(find("promtool")), "check", "config", tmp_path / "prometheus.yml"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode == 0) == (not more), done.stderr


def test_monitors_select_pods_and_ports_that_are_there():
    base = of_folder("base")
    daemon, service = found("DaemonSet", "gputally-node", base), found("Service", "gputally-site", base)
    node, site = MONITORS["gputally-node"]["spec"], MONITORS["gputally-site"]["spec"]
    assert node["selector"]["matchLabels"].items() <= daemon["spec"]["template"]["metadata"]["labels"].items()
    assert site["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (container,) = daemon["spec"]["template"]["spec"]["containers"]
    assert node["podMetricsEndpoints"][0]["port"] == container["ports"][0]["name"]
    assert site["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


def test_dashboards_are_those_of_grafana_in_the_same_folders():
    shown = {}
    for one in DASHBOARDS:
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        ((file, text),) = one["data"].items()
        assert json.loads(text) == json.loads((TOP / "grafana" / "dashboards" / file).read_text())
        shown[file] = one["metadata"]["annotations"]["grafana_folder"]
    assert set(shown) == {path.name for path in (TOP / "grafana" / "dashboards").glob("*.json")}
    assert set(shown.values()) == {title for _, title in build.folders()}


def test_a_dashboard_fits_into_what_kubectl_keeps_beside_an_object():
    """`kubectl apply` puts a copy into an annotation, and all annotations may have 256 KiB."""
    for one in DASHBOARDS:
        assert len(json.dumps(one).encode()) < 250 << 10, one["metadata"]["name"]


def test_names_are_names_of_the_api():
    for folder in ("base", "monitoring", "dashboards"):
        for one in of_folder(folder):
            assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", one["metadata"]["name"])
    assert (K8S / "kustomization.yml").is_file()
