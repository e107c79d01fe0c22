"""The agents in Kubernetes: valid for the API, able to do little, and about what is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from copy import deepcopy

import kubernetes_validate
import pytest
import yaml
from k8s.tests.manifests import (
    BESIDE,
    K8S,
    LEAVES,
    TOP,
    folders,
    found,
    kustomization,
    kustomized,
    of_folder,
    pod_specs,
)

from gputally import __version__
from gputally.cli.options import combine
from gputally.config.settings import NodeSettings, SiteSettings

BASE = of_folder("base")
PODS = dict(pod_specs(BASE))
NODE = PODS["gputally-node"]
OURS_NOT_KUBERNETES = "monitoring.coreos.com/v1"  # see test_monitoring.py
pod = pytest.mark.parametrize("name", PODS)


def containers(spec):
    return [*spec.get("initContainers", ()), *spec["containers"]]


@pytest.mark.parametrize("folder", folders())
@pytest.mark.parametrize("version", ["1.27", "1.37"])
def test_every_manifest_fits_the_schemas_that_kubernetes_publishes(folder, version):
    """Strict: a key that the API does not know is an error, too."""
    checked = [one for one in kustomized(folder) if one["apiVersion"] != OURS_NOT_KUBERNETES]
    for one in checked:
        kubernetes_validate.validate(one, version, strict=True)
    assert bool(checked) == (folder != "monitoring")


def test_the_schemas_refuse_a_slip_of_the_pen():
    wrong = deepcopy(found("DaemonSet", "gputally-node", kustomized("base")))
    wrong["spec"]["template"]["spec"]["hostPid"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.37", strict=True)


@pytest.mark.parametrize("folder", folders())
def test_everything_is_in_our_namespace_and_nothing_of_the_list_is_lost(folder):
    made = kustomized(folder)
    leaves = {".": LEAVES, "simulated": ("base",), "ledger": ("base", "ledger")}.get(folder, (folder,))
    generated = [one for leaf in leaves for one in kustomization(leaf).get("configMapGenerator", [])]
    assert len(made) == sum(len(of_folder(leaf)) for leaf in leaves) + len(generated)
    for one in made:
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "gputally"


def test_whatever_is_ours_says_so():
    for folder in LEAVES + BESIDE:
        for one in of_folder(folder):
            assert one["metadata"]["labels"]["app.kubernetes.io/part-of"] == "gputally"


def test_every_file_is_listed():
    for folder in LEAVES + BESIDE:
        listed = kustomization(folder)
        named = set(listed["resources"])
        named |= {name for one in listed.get("configMapGenerator", []) for name in one["files"]}
        assert named == {path.name for path in (K8S / folder).iterdir()} - {"kustomization.yml"}
    assert kustomization(".")["resources"] == list(LEAVES)


@pod
def test_a_pod_can_do_little(name):
    spec = PODS[name]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostIPC"} & set(spec)
    for container in containers(spec):
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"]["drop"] == ["ALL"]
        assert "privileged" not in context
        for key in ("limits", "requests"):
            assert set(container["resources"][key]) == {"cpu", "memory"}
        assert container["image"] == f"gputally:{__version__}"


def test_root_is_one_container_that_gives_a_folder_away_and_sees_no_gpu():
    everyone = [one for spec in PODS.values() for one in containers(spec)]
    (own_state,) = [one for one in everyone if "runAsUser" in one["securityContext"]]
    assert own_state in NODE["initContainers"]
    assert own_state["securityContext"]["capabilities"]["add"] == ["CHOWN"]
    assert [mount["name"] for mount in own_state["volumeMounts"]] == ["state"]
    assert {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"} in own_state["env"]
    user, folder = NODE["securityContext"]["runAsUser"], own_state["volumeMounts"][0]["mountPath"]
    assert f"os.chown('{folder}', {user}, {user})" in own_state["command"][-1]
    compile(own_state["command"][-1], "initContainer", "exec")


def test_nobody_has_a_role():
    kinds = {one["kind"] for folder in LEAVES for one in of_folder(folder)}
    assert not {kind for kind in kinds if "Role" in kind}


@pod
def test_services_of_the_namespace_do_not_become_variables_that_the_agent_refuses(name):
    assert PODS[name]["enableServiceLinks"] is False
    refused = subprocess.run(
        [sys.executable, "-m", "gputally", "site", "--help"],
        env=os.environ | {"GPUTALLY_SITE_SERVICE_HOST": "10.0.0.1"},
        capture_output=True,
        check=False,
    )
    assert refused.returncode == 2


def test_only_the_node_agent_sees_the_machine_and_changes_only_its_state():
    assert [name for name, spec in PODS.items() if spec.get("hostPID")] == ["gputally-node"]
    host = {one["name"] for one in NODE["volumes"] if "hostPath" in one}
    writable = {mount["name"] for mount in NODE["containers"][0]["volumeMounts"] if not mount.get("readOnly")}
    assert host & writable == {"state"}
    assert not [one for one in PODS["gputally-site"]["volumes"] if "hostPath" in one]


@pod
def test_the_agent_understands_its_command_and_serves_where_it_is_probed(name):
    (container,) = PODS[name]["containers"]
    variables = {one["name"]: one["value"] for one in container["env"]}
    done = subprocess.run(
        [sys.executable, "-m", "gputally", *container["args"], "--help"],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    (port,) = container["ports"]
    image = (TOP / "exporter" / "Dockerfile").read_text()
    listens = variables.get("GPUTALLY_WEB_LISTEN_ADDRESS", "")
    assert f":{port['containerPort']}" in listens or f"0.0.0.0:{port['containerPort']}" in image
    assert container["livenessProbe"]["httpGet"] == {"path": "/-/healthy", "port": port["name"]}
    assert container["readinessProbe"]["httpGet"] == {"path": "/-/ready", "port": port["name"]}


@pod
def test_what_is_mounted_is_a_volume_and_the_configuration_is_where_the_agent_looks(name):
    spec = PODS[name]
    mounted = {mount["name"] for container in containers(spec) for mount in container["volumeMounts"]}
    assert mounted == {one["name"] for one in spec["volumes"]}
    (generated,) = kustomization("base")["configMapGenerator"]
    assert {"name": "config", "configMap": {"name": generated["name"]}} in spec["volumes"]
    file = {one["name"]: one["value"] for one in spec["containers"][0]["env"]}["GPUTALLY_CONFIG_FILE"]
    assert file == f"/etc/gputally/{generated['files'][0]}"


def test_agents_take_the_configuration_and_start_anew_when_it_changes():
    for settings in (NodeSettings, SiteSettings):
        assert combine(K8S / "base" / "gputally.yml", {}, settings).log_format == "json"
    made = kustomized("base")
    (config,) = [one for one in made if one["kind"] == "ConfigMap"]
    assert config["metadata"]["name"].startswith("gputally-config-")
    for _, spec in pod_specs(made):
        assert {"name": "config", "configMap": {"name": config["metadata"]["name"]}} in spec["volumes"]


def test_services_and_policies_select_what_is_there():
    service, policy = found("Service", "gputally-site", BASE), found("NetworkPolicy", "gputally", BASE)
    runs = [one for one in BASE if "template" in one.get("spec", {})]
    labels = {one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"] for one in runs}
    assert service["spec"]["selector"].items() <= labels["gputally-site"].items()
    assert all(policy["spec"]["podSelector"]["matchLabels"].items() <= one.items() for one in labels.values())
    for one in runs:
        selector = one["spec"]["selector"]["matchLabels"]
        assert selector.items() <= labels[one["metadata"]["name"]].items()


def test_the_simulated_cluster_changes_what_is_there():
    (patch,) = kustomization("simulated")["patches"]
    daemon = found("DaemonSet", "gputally-node", BASE)
    assert patch["target"] == {"kind": "DaemonSet", "name": daemon["metadata"]["name"]}
    operations = yaml.safe_load(patch["patch"])
    for operation in operations:
        *way, last = operation["path"].strip("/").split("/")
        place = daemon
        for part in way:
            place = place[int(part) if isinstance(place, list) else part]
        assert last in place
        assert operation["op"] in ("remove", "replace")
    assert operations[-1]["value"] == ["node", "--source=simulated"]


def test_a_volume_for_a_ledger_is_where_the_example_has_it_and_the_agents_user_may_write():
    if "ledger" not in folders():
        pytest.skip("this kubectl puts no folders together")
    pods = dict(pod_specs(kustomized("ledger")))
    site, (claim,) = pods["gputally-site"], of_folder("ledger")
    assert site["securityContext"]["fsGroup"] == site["securityContext"]["runAsGroup"]
    assert {
        "name": "ledger",
        "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]},
    } in site["volumes"]
    (container,) = site["containers"]
    (mount,) = [one for one in container["volumeMounts"] if one["name"] == "ledger"]
    manual = (TOP / "docs" / "kubernetes.md").read_text()
    (file,) = re.findall(r"`ledger: \{file: (\S+)\}`", manual)
    assert file == f"{mount['mountPath']}/ledger.sqlite"
    assert manual.count(f" {mount['mountPath']}") >= 2
    assert pods["gputally-node"] == dict(pod_specs(kustomized("base")))["gputally-node"]


def test_the_example_of_a_sites_own_kustomization_is_about_what_is_there():
    manual = (TOP / "docs" / "kubernetes.md").read_text()
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", manual, re.DOTALL | re.MULTILINE)
    own = yaml.safe_load(example)
    images = {one["image"].partition(":")[0] for spec in PODS.values() for one in containers(spec)}
    assert {one["name"] for one in own["images"]} == images
    (generated,) = kustomization("base")["configMapGenerator"]
    (replaced,) = own["configMapGenerator"]
    assert (replaced["name"], replaced["files"]) == (generated["name"], generated["files"])
    kinds = {one["kind"] for one in of_folder("monitoring")}
    assert set(own["patches"][0]["target"]["kind"].split("|")) == kinds
    for folder in re.findall(r"kubectl apply -k (\S+)", manual):
        assert (TOP / folder / "kustomization.yml").is_file()
