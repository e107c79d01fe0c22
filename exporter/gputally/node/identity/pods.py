"""Names of the pods on this node, from the folders that the kubelet makes for their logs; and what they hold.

/var/log/pods/<namespace>_<name>_<uid>/ is world-listable: no API server, no token, no privilege. Neither a
namespace nor a pod's name can contain an underscore, both being names of the DNS.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gputally.model import Clock, Job
from gputally.model.clock import NS_PER_SECOND, system_clock
from gputally.node.identity.parts import Pod
from gputally.node.identity.podcgroups import cgroup_of
from gputally.node.identity.protocol import Allocation, Evidence, Sighting
from gputally.node.labels import label_text

logger = logging.getLogger(__name__)
MOST_PODS = 10_000  # a node has 110 by default
LOOK_NS = NS_PER_SECOND
_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_HEX = frozenset("0123456789abcdef")
_DASHES = (8, 13, 18, 23)  # in a UUID


@dataclass(frozen=True, slots=True)
class Held:
    """The GPUs of one pod as the kubelet tells them; it does not tell the pod's UID."""

    namespace: str
    name: str
    uuids: tuple[str, ...] = ()  # of GPUs or of MIG instances
    minors: tuple[int, ...] = ()  # numbers of /dev/nvidiaN


class Holdings(Protocol):
    """Whoever knows which pods hold GPUs."""

    def held(self) -> tuple[Held, ...]:
        """What pods hold now; the same object as before while nobody has been asked again."""


class Pods:
    """The pods of one folder. For one thread; no method raises or blocks, whatever lies there.

    Whose a pod is, the binder says: namespaces have teams by the configuration. `boot_id` is of this boot.
    """

    def __init__(
        self,
        folder: Path,
        holdings: Holdings | None = None,
        *,
        cgroup_root: Path = Path("/sys/fs/cgroup"),
        boot_id: str = "",
        clock: Clock = system_clock,
    ) -> None:
        self._folder = folder
        self._holdings = holdings
        self._cgroup_root = cgroup_root
        self._boot_id = boot_id
        self._clock = clock
        self._looked_ns: int | None = None
        self._listed: tuple[int, int] | None = None  # inode and mtime of the folder when it was listed
        self._settled = False  # listed once more since: two changes may bear the same time
        self._pods: dict[str, Pod] = {}
        self._trouble = ""  # with the folder, as logged
        self._joined: tuple[tuple[Held, ...], dict[str, Pod]] | None = None  # what allocations are made of
        self._allocations: Sequence[Allocation] = ()

    def pod(self, uid: str) -> Pod | None:
        """Namespace and name of a pod by its UID in lower case, dashes as the API writes them."""
        self._refresh()
        return self._pods.get(uid)

    def allocations(self) -> Sequence[Allocation]:
        """Whole GPUs and MIG instances that pods hold, at work or not. Pods without a folder are left out."""
        if self._holdings is None:
            return ()
        self._refresh()
        held = self._holdings.held()
        if self._joined is None or self._joined[0] is not held or self._joined[1] is not self._pods:
            self._joined = (held, self._pods)
            self._allocations = self._join(held)
        return self._allocations

    def _refresh(self) -> None:
        now_ns = self._clock().boot_ns
        if self._looked_ns is not None and 0 <= now_ns - self._looked_ns < LOOK_NS:
            return
        self._looked_ns = now_ns
        try:
            found = self._folder.stat()
            listed = (found.st_ino, found.st_mtime_ns)
            if listed == self._listed and self._settled:
                return
            pods = _listing(self._folder)
        except OSError as error:
            self._listed, pods = None, {}
            self._say(error.strerror or "cannot be read")
        else:
            self._settled = listed == self._listed
            self._listed = listed
            self._say("")
        if pods != self._pods:
            self._pods = pods

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            if trouble:
                logger.info("pods are not named: %s: %s", self._folder, trouble)
            else:
                logger.info("pods are named by %s again", self._folder)

    def _join(self, held: tuple[Held, ...]) -> Sequence[Allocation]:
        """Find the pods by their names, the latest first: who comes later cannot hold what is still held."""
        by_name: dict[tuple[str, str], list[Pod]] = {}
        for pod in self._pods.values() if held else ():
            by_name.setdefault((pod.namespace, pod.name), []).append(pod)
        found = [
            (sighting, one)
            for one in held
            if (sighting := self._sighting(by_name.get((one.namespace, one.name), ()))) is not None
        ]
        found.sort(key=lambda pair: pair[0].start_seconds, reverse=True)
        taken: set[str | int] = set()
        allocations = []
        for sighting, one in found:
            uuids = tuple(uuid for uuid in one.uuids if uuid not in taken)
            minors = tuple(minor for minor in one.minors if minor not in taken)
            taken.update(uuids, minors)
            if uuids or minors:
                allocations.append(Allocation(sighting, uuids, minors))
        return tuple(allocations)

    def _sighting(self, pods: Sequence[Pod]) -> Sighting | None:
        """The running pod among those of one name; a pod of a set has the name and not the UID of its last.

        Kubelets before 1.34 go on telling of pods that have ended and are not deleted yet. What shows that is
        the pod's cgroup, which is gone by then, wherever we can see the cgroups of pods at all.
        """
        living = []
        for pod in pods:
            cgroup = cgroup_of(pod.uid, self._cgroup_root)
            started = self._started_seconds(pod)
            if started is not None and cgroup != "":
                living.append((started, pod.uid, cgroup or "", pod))
        if not living:
            return None
        started, uid, cgroup, pod = max(living, key=lambda one: one[:2])
        job = Job(uid, "kubernetes", job_name=label_text(pod.name), identity="record")
        evidence = Evidence(cgroup=cgroup, boot_id=self._boot_id if cgroup else "")
        return Sighting(job, started, evidence, scheduled=True)

    def _started_seconds(self, pod: Pod) -> float | None:
        """When the pod's latest container was started first, by which its folder changed the last time."""
        try:
            found = (self._folder / f"{pod.namespace}_{pod.name}_{pod.uid}").stat()
        except OSError:
            return None
        return found.st_mtime_ns / NS_PER_SECOND


def _listing(folder: Path) -> dict[str, Pod]:
    """The pods that have a folder, by UID. Raises OSError."""
    pods: dict[str, Pod] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            pod = parse(entry.name)
            if pod is not None and entry.is_dir(follow_symlinks=False):
                pods[pod.uid] = pod
                if len(pods) >= MOST_PODS:
                    break
    return pods


def parse(name: str) -> Pod | None:
    """The pod that a folder is named after; None for any other name."""
    namespace, _, rest = name.partition("_")
    pod, _, uid = rest.partition("_")
    fits = (
        0 < len(namespace) <= 63
        and _LOWER.issuperset(namespace)
        and 0 < len(pod) <= 253
        and _LOWER.issuperset(pod.replace(".", ""))
        and is_uid(uid)
    )
    return Pod(uid, namespace, pod) if fits else None


def is_uid(text: str) -> bool:
    """Whether this is a pod's UID: a UUID, or the 32 hex digits of a static pod's configuration."""
    if len(text) == 36:
        if any(text[at] != "-" for at in _DASHES):
            return False
        text = text.replace("-", "")
    return len(text) == 32 and _HEX.issuperset(text)
