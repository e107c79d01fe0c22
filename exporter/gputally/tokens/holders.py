"""The file that says who may write and read; there is nothing secret in it.

store: http://127.0.0.1:8428
nodes:
  gpu-node-1: {cluster: north}
sites:
  south: {}
teams:
  nlp: {}
  deep-learning: {team: deep learning}
tenants:
  north: {}
operators:
  grafana: {}
concurrency: {nodes: 4, teams: 8}
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gputally.config.strict import Section, Value, load

# The label that every series has which is written or read, whatever the request says. `operators` read all.
_FORCED = {"nodes": "instance", "sites": "cluster", "teams": "team", "tenants": "cluster", "operators": ""}
WRITERS = ("nodes", "sites")
KINDS = {kind.removesuffix("s"): kind for kind in _FORCED}  # node -> nodes
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}", re.ASCII)
_LABEL = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,63}", re.ASCII)
_ADDRESS = re.compile(r"[!-\"$->A-~]+")  # what prints in ASCII, but for # ? @
_LONGEST_VALUE = 128
_MOST_REQUESTS = 10_000


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody who has tokens."""

    kind: str  # one of KINDS
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    requests: int | None = None  # at once

    @property
    def key(self) -> str:
        """How commands and metrics name it."""
        return f"{self.kind}:{self.name}"

    @property
    def writes(self) -> bool:
        """Whether it may write; all others may read."""
        return KINDS[self.kind] in WRITERS


@dataclass(frozen=True, slots=True)
class Holders:
    """What the file says."""

    store: str  # address of VictoriaMetrics, without a slash at its end
    by_key: Mapping[str, Holder]


def read_holders(path: Path) -> Holders:
    """Read the file. Raises ConfigError with file, line and key."""
    root = load(path)
    store = _store(root)
    concurrency = root.mapping("concurrency")
    holders: dict[str, Holder] = {}
    for kind, section in KINDS.items():
        requests = concurrency.integer(section, None, minimum=1, maximum=_MOST_REQUESTS)
        for name, value in root.mapping(section).items():
            holder = Holder(kind, _name(name, value), _labels(section, name, value), requests)
            holders[holder.key] = holder
    root.finish()
    return Holders(store, holders)


def _store(root: Section) -> str:
    """No query and no user: labels are put behind it."""
    text = root.string("store").rstrip("/")
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # half a bracket, a port that is none
        good = False
    if not good or not _ADDRESS.fullmatch(text):
        raise root.error("store", "expected an address such as http://127.0.0.1:8428")
    return text


def _name(name: str, value: Value) -> str:
    if not _NAME.fullmatch(name):
        raise value.error(f"a name has letters, digits and . _ @ + -, at most 64; found {name!r}")
    return name


def _labels(section: str, name: str, value: Value) -> dict[str, str]:
    """The labels of the kind and those that the file adds or sets otherwise."""
    forced = _FORCED[section]
    labels = {forced: name} if forced else {}
    for label, given in value.mapping().items():
        if not _LABEL.fullmatch(label):
            raise given.error("expected the name of a label")
        text = given.string("the label's value")
        if len(text) > _LONGEST_VALUE or not text.isprintable():
            raise given.error(f"a value has at most {_LONGEST_VALUE} printable characters")
        labels[label] = text
    return labels
