"""Writes what Kubernetes reads of rules and dashboards: `python -m k8s.build`. With `--check` it only looks.

Rules become PrometheusRule for Prometheus' operator, dashboards ConfigMaps for the sidecar beside Grafana;
both say the same as the files they are made of, which are what is edited.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

TOP = Path(__file__).parents[1]
PART_OF = {"app.kubernetes.io/part-of": "gputally"}
SIDECAR_LABEL = {"grafana_dashboard": "1"}  # what grafana/helm-charts looks for by default
FOLDER_ANNOTATION = "grafana_folder"  # set sidecar.dashboards.folderAnnotation to it

Manifest = dict[str, Any]


class _Dumper(yaml.SafeDumper):
    """YAML as people write it: lists indented, texts of several lines as blocks, nothing by reference."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's own
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002 - as above
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def rule_object(kind: str, path: Path) -> Manifest:
    """One file of rules or alerts."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": f"gputally-{kind}-{path.stem.replace('_', '-')}", "labels": dict(PART_OF)},
        "spec": yaml.safe_load(path.read_text()),
    }


def rules(kind: str) -> list[Manifest]:
    """All files of prometheus/rules/ or prometheus/alerts/ but the site's own."""
    paths = sorted((TOP / "prometheus" / kind).glob("*.yml"))
    return [rule_object(kind, path) for path in paths if path.name != "user.yml"]


def dashboard_object(path: Path, folder: str) -> Manifest:
    """One dashboard, without the white space that only readers of the repository need."""
    body = json.dumps(json.loads(path.read_text()), separators=(",", ":"), ensure_ascii=False)
    metadata = {
        "name": path.stem,
        "labels": PART_OF | SIDECAR_LABEL,
        "annotations": {FOLDER_ANNOTATION: folder},
    }
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {path.name: body}}


def folders() -> Iterator[tuple[str, str]]:
    """Name below grafana/folders/ and title of each folder of Grafana."""
    provisioning = TOP / "grafana" / "provisioning" / "dashboards" / "gputally.yml"
    for provider in yaml.safe_load(provisioning.read_text())["providers"]:
        yield Path(provider["options"]["path"]).name, provider["folder"]


def dashboards(name: str, title: str) -> list[Manifest]:
    """All dashboards of a folder."""
    paths = sorted((TOP / "grafana" / "folders" / name).glob("*.json"))
    return [dashboard_object(path, title) for path in paths]


def as_text(source: str, manifests: list[Manifest]) -> str:
    """Manifests as one file."""
    documents = [
        yaml.dump(one, Dumper=_Dumper, sort_keys=False, width=10**6, allow_unicode=True) for one in manifests
    ]
    return f"# Written by `python -m k8s.build` from {source}; edit those.\n---\n" + "---\n".join(documents)


def rendered() -> dict[Path, str]:
    """File -> its text."""
    made = {
        f"monitoring/{kind}.yml": as_text(f"prometheus/{kind}/", rules(kind)) for kind in ("rules", "alerts")
    }
    for name, title in folders():
        made[f"dashboards/{name}.yml"] = as_text(f"grafana/folders/{name}/", dashboards(name, title))
    return {TOP / "k8s" / name: text for name, text in made.items()}


def main() -> int:
    """Exit status 1 when `--check` finds a difference."""
    arguments = argparse.ArgumentParser(description="Writes k8s/ from prometheus/ and grafana/.")
    arguments.add_argument(
        "--check", action="store_true", help="write nothing; fail if a file is out of date"
    )
    check = arguments.parse_args().check
    stale = {path: text for path, text in rendered().items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        if check:
            print(f"{path.relative_to(TOP)}: out of date; run `make kubernetes`", file=sys.stderr)
        else:
            path.write_text(text)
            print(path.relative_to(TOP))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
