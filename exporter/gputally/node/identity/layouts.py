"""How schedulers, container engines and systemd lay out their cgroups: one path in, what it proves out.

A path proves something only as far as root made it. Everything is read from the left; below a user's own
service manager, or below a service that was given its subtree, names are what their owner likes them to be.
Sources: systemd.slice(5), user@.service(5), Slurm's cgroup_v2 page, the kubelet's cgroup manager, dockerd
--cgroup-parent, podman-run(1), lxc.container.conf(5), the cgroup hooks of PBS and LSF.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

Parts = tuple[str, ...]

_HEX64: Final = "[0-9a-f]{64}"
_UID: Final = r"(?:[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})"  # static pods: no dashes
_POD_SLICE = re.compile(rf"(?:[a-z0-9]+-)*kubepods(?:-burstable|-besteffort)?-pod({_UID})\.slice")
_POD_FOLDER = re.compile(rf"pod({_UID})")
_POD_COLONS = re.compile(
    rf"kubepods(?:-burstable|-besteffort)?-pod({_UID})\.slice:(?:cri-containerd|crio):.*"
)
_CONTAINER_SCOPE = re.compile(rf"(docker|libpod)-({_HEX64})\.scope")
_LIBPOD_FOLDER = re.compile(rf"libpod-({_HEX64})")
_CONTAINER_ID = re.compile(_HEX64)
_SLURM_JOB = re.compile(r"job_([0-9]{1,10})")
_SLUID = re.compile(r"s[0-9A-HJKMNP-TV-Z]{13}")  # print_sluid() of Slurm: Crockford's base 32
_SLURM_USER = re.compile(r"uid_([0-9]{1,10})")
_LSF_JOB = re.compile(r"job\.([0-9]{1,12}(?:\[[0-9]{1,9}\])?)(?:\..*)?")
_PBS_JOB = re.compile(r"([0-9]{1,12}(?:\[[0-9]{1,9}\])?)(?:\.[A-Za-z0-9.-]+)?")
_LXC_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_USER_SLICE = re.compile(r"user-([0-9]{1,10})\.slice")
_USER_MANAGER = re.compile(r"user@([0-9]{1,10})\.service")
_UNIT = re.compile(r"[A-Za-z0-9:_.\\@-]{1,255}\.(?:service|scope)")
_SLICE = re.compile(r"[A-Za-z0-9:_.\\@-]{1,255}\.slice")
_CLAIM = re.compile(
    rf"(?:[^/]*_)?slurmstepd\.scope|kubepods(?:\.slice)?|.*kubepods[a-z-]*-pod{_UID}\.slice.*|pod{_UID}"
    rf"|docker-{_HEX64}\.scope"
)
_QOS = ("burstable", "besteffort", "guaranteed")
# Services in whose subtree a container engine of root's makes the cgroups of pods.
_ENGINES = frozenset(
    {
        "containerd.service",
        "cri-docker.service",
        "crio.service",
        "docker.service",
        "k0scontroller.service",
        "k0sworker.service",
        "k3s-agent.service",
        "k3s.service",
        "kubelet.service",
        "rke2-agent.service",
        "rke2-server.service",
        "snap.microk8s.daemon-containerd.service",
        "snap.microk8s.daemon-kubelite.service",
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process runs, as far as that is proven."""

    kind: str = ""  # slurm | kubernetes | docker | podman | lxc | lsf | pbs | systemd | session | ""
    id: str = ""  # job id or SLUID | pod's UID | container's id or name | unit
    uid: int | None = None  # the user whose job, session or user manager it is, where the path says so
    units: Parts = ()  # systemd's names for it, the innermost first
    folder: str = ""  # what names the job, below the root of its hierarchy; "" = is nobody's evidence
    hierarchy: str = ""  # "" = the unified one, else the controllers of a version 1 hierarchy
    owned: bool = False  # it is its user who says that it is this container
    lookalike: bool = False  # further below, somebody pretends to be a scheduler's job


NOWHERE = Place()


def read_path(parts: Parts, *, adrift: bool = False) -> Place:
    """What a path proves. `adrift`: it begins somewhere between the root and our own cgroup namespace.

    What lies there belongs to those above us, thus its first part is as good as if it stood at the root.
    """
    slices = _slices(parts)
    for read in (_slurm, _pod, _container, _batch, _lxc, _user, _unit):
        place = read(parts, slices, adrift)
        if place is not None:
            return place
    return Place(units=parts[:slices][::-1], lookalike=claims(parts[slices:]))


def claims(rest: Parts) -> bool:
    """Whether names that nobody vouches for are those of a scheduler's or an engine's jobs."""
    after_slurm = False
    for part in rest:
        if _CLAIM.fullmatch(part) or (after_slurm and _SLURM_JOB.fullmatch(part)):
            return True
        after_slurm = after_slurm or part.startswith("slurm") or _SLURM_USER.fullmatch(part) is not None
    return False


def _slices(parts: Parts) -> int:
    """How many slices stand in front: those that systemd has made as root."""
    return next((at for at, part in enumerate(parts) if not _SLICE.fullmatch(part)), len(parts))


def _place(kind: str, name: str, at: Parts, units: Parts = ()) -> Place:
    """A place whose folder is `at`; units from the outermost inwards."""
    return Place(kind, name, None, units[::-1], "/".join(at))


def _slurm(parts: Parts, slices: int, _adrift: bool) -> Place | None:
    scope = parts[slices] if slices + 1 < len(parts) else ""
    if scope == "slurmstepd.scope" or scope.endswith("_slurmstepd.scope"):
        name = parts[slices + 1]
        job = _SLURM_JOB.fullmatch(name)
        if job or _SLUID.fullmatch(name):
            return _place("slurm", job[1] if job else name, parts[: slices + 2], parts[:slices])
    if len(parts) > 2 and (parts[0] == "slurm" or parts[0].startswith("slurm_")):  # version 1
        user = _SLURM_USER.fullmatch(parts[1])
        job = _SLURM_JOB.fullmatch(parts[2])
        if user and (job or _SLUID.fullmatch(parts[2])):
            return Place("slurm", job[1] if job else parts[2], int(user[1]), folder="/".join(parts[:3]))
    return None


def _pod(parts: Parts, slices: int, adrift: bool) -> Place | None:
    for depth, name in enumerate(parts[:slices], 1):
        if pod := _POD_SLICE.fullmatch(name):
            return _place("kubernetes", pod[1].replace("_", "-"), parts[:depth], parts[:depth])
    start = slices + 1 if slices < len(parts) and parts[slices] in _ENGINES else slices
    if start < len(parts) and (pod := _POD_COLONS.fullmatch(parts[start])):
        return _place("kubernetes", pod[1].replace("_", "-"), parts[: start + 1], parts[:slices])
    start = 0 if start == slices else start
    if parts[start : start + 1] == ("kubelet",):
        start += 1
    rooted = parts[start : start + 1] == ("kubepods",)
    start += rooted
    if (rooted or adrift) and parts[start : start + 1] and parts[start] in _QOS:
        rooted, start = True, start + 1
    if (rooted or adrift) and start < len(parts) and (pod := _POD_FOLDER.fullmatch(parts[start])):
        return _place("kubernetes", pod[1].replace("_", "-"), parts[: start + 1])
    return None


def _container(parts: Parts, slices: int, adrift: bool) -> Place | None:
    place = _plain_container(parts, slices, adrift)
    if place is None:
        return None
    depth = place.folder.count("/") + 1
    inner = parts[depth:]  # a node of a cluster may itself be a container: kind, minikube, k3d
    if inner and inner[0] in ("kubelet", "kubelet.slice", "kubepods", "kubepods.slice"):
        pod = _pod(inner, _slices(inner), adrift=False)
        if pod is not None:
            return Place(pod.kind, pod.id, folder=f"{place.folder}/{pod.folder}")
    return place


def _plain_container(parts: Parts, slices: int, adrift: bool) -> Place | None:
    if slices < len(parts) and (scope := _CONTAINER_SCOPE.fullmatch(parts[slices])):
        kind = "docker" if scope[1] == "docker" else "podman"
        return _place(kind, scope[2], parts[: slices + 1], parts[:slices])
    if parts[:1] == ("docker",) and len(parts) > 1 and _CONTAINER_ID.fullmatch(parts[1]):
        return _place("docker", parts[1], parts[:2])
    if adrift and parts and _CONTAINER_ID.fullmatch(parts[0]):
        return _place("docker", parts[0], parts[:1])
    if parts[:1] == ("libpod_parent",):
        for depth, name in enumerate(parts[1:3], 2):  # in between may stand a pod of podman's
            if container := _LIBPOD_FOLDER.fullmatch(name):
                return _place("podman", container[1], parts[:depth])
    return None


def _batch(parts: Parts, _slices: int, _adrift: bool) -> Place | None:
    if len(parts) < 3:
        return None
    if parts[0] == "lsf" and (job := _LSF_JOB.fullmatch(parts[2])):
        return _place("lsf", job[1], parts[:3])
    if parts[0] in ("pbs_jobs.service", "pbspro.service") and parts[1] in ("jobid", "jobs"):
        job = _PBS_JOB.fullmatch(parts[2])
        return _place("pbs", job[1], parts[:3]) if job else None
    return None


def _lxc(parts: Parts, slices: int, _adrift: bool) -> Place | None:
    if slices or not parts:
        return None
    if parts[0] in ("lxc", "lxc.payload"):
        name, depth = parts[1] if len(parts) > 1 else "", 2
    else:
        name, depth = parts[0].removeprefix("lxc.payload."), 1
        name = name if name != parts[0] else ""
    return _place("lxc", name, parts[:depth]) if _LXC_NAME.fullmatch(name) else None


def _user(parts: Parts, slices: int, _adrift: bool) -> Place | None:
    """A login session, or what a user's own service manager runs."""
    below = parts[slices:]
    manager = _USER_MANAGER.fullmatch(below[0]) if below else None
    if manager is None:
        user = _USER_SLICE.fullmatch(parts[slices - 1]) if slices else None
        if user is None or (below and not below[0].startswith("session-")):
            return None
        return Place("session", "", int(user[1]), parts[: slices + 1][::-1], lookalike=claims(below[1:]))
    uid, units = int(manager[1]), parts[: slices + 1][::-1]
    for part in below[1:]:
        found = _CONTAINER_SCOPE.fullmatch(part) or _LIBPOD_FOLDER.fullmatch(part)
        if found:  # a rootless engine's, or so it says
            kind = "docker" if found[1] == "docker" else "podman"
            return Place(kind, found[found.re.groups], uid, units, owned=True)
    return Place("session", "", uid, units, lookalike=claims(below[1:]))


def _unit(parts: Parts, slices: int, adrift: bool) -> Place | None:
    if slices == len(parts) or parts[slices] == "init.scope":
        return None
    name = parts[slices].removeprefix("_")  # systemd's escape for names that the kernel has reserved
    if not _UNIT.fullmatch(name) or (adrift and not slices and name.endswith(".scope")):
        return None  # a scope beside our own container is another container of our pod
    place = _place("systemd", name, parts[: slices + 1], (*parts[:slices], name))
    return replace(place, lookalike=claims(parts[slices + 1 :]))
