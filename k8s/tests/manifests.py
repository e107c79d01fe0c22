"""What kubectl would send: manifests of a folder, read by its list, and by the real kustomize."""

from __future__ import annotations

import json
import os
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

K8S = Path(__file__).parents[1]
TOP = K8S.parent
LEAVES = ("base", "monitoring", "dashboards")  # folders that consist of files
BESIDE = ("market",)  # and those that only some want
TOGETHER = (
    ".",
    "simulated",
    "ledger",
)  # and those that put folders together, which kubectl learned with 1.21

Manifest = dict[str, Any]


def load(path: Path) -> list[Manifest]:
    """All documents of a file."""
    return list(yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader))


def kustomization(folder: str) -> Manifest:
    """A folder's list."""
    (found,) = load(K8S / folder / "kustomization.yml")
    return found


def of_folder(folder: str) -> list[Manifest]:
    """All manifests of the files that a folder lists."""
    names = [name for name in kustomization(folder)["resources"] if name.endswith(".yml")]
    return [one for name in names for one in load(K8S / folder / name)]


def folders() -> tuple[str, ...]:
    """Those that the kubectl of this machine can read; Debian 12 has 1.20."""
    told = subprocess.run(
        ["kubectl", "version", "--client", "--output=json"], capture_output=True, text=True, check=True
    )
    release = re.match(r"v(\d+)\.(\d+)", json.loads(told.stdout)["clientVersion"]["gitVersion"])
    assert release
    leaves = LEAVES + BESIDE
    return leaves + TOGETHER if tuple(map(int, release.groups())) >= (1, 21) else leaves


@cache
def kustomized(folder: str) -> list[Manifest]:
    """What `kubectl kustomize` makes of a folder, for reading alone. It needs no cluster."""
    done = subprocess.run(
        ["kubectl", "kustomize", str(K8S / folder)],
        env=os.environ | {"KUBECONFIG": os.devnull},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.load_all(done.stdout, Loader=yaml.CSafeLoader))


def found(kind: str, name: str, manifests: list[Manifest]) -> Manifest:
    """One of them."""
    (one,) = [one for one in manifests if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return one


def pod_specs(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Name and pod of everything that runs."""
    for one in manifests:
        if one["kind"] in ("DaemonSet", "Deployment"):
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]
