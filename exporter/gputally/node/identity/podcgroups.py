"""Where the kubelet puts the cgroup of a pod, to tell a pod that runs from one that has ended.

The names are those of the kubelet's two cgroup drivers, systemd and cgroupfs; below a folder of its own where
the kubelet itself is confined, as in "kind". A guaranteed pod stands at the top, others by class of service.
"""

from pathlib import Path

_TREES = ("kubepods.slice", "kubepods", "kubelet.slice/kubelet-kubepods.slice", "kubelet/kubepods")
_HIERARCHIES = ("", "systemd", "memory")  # version 2; two of version 1
_CLASSES = ("", "burstable", "besteffort")


def cgroup_of(uid: str, root: Path) -> str | None:
    """Path of a pod's cgroup below its hierarchy; "" = it has none; None = no pod has one, as far as we see.

    In a container without the host's cgroup file system there are none to be seen.
    """
    seen = False
    for hierarchy in _HIERARCHIES:
        for tree in _TREES:
            if not (root / hierarchy / tree).is_dir():
                continue
            seen = True
            for service in _CLASSES:
                path = f"{tree}/{_below(tree, service, uid)}"
                if (root / hierarchy / path).is_dir():
                    return path
    return "" if seen else None


def _below(tree: str, service: str, uid: str) -> str:
    if not tree.endswith(".slice"):
        return f"{service}/pod{uid}" if service else f"pod{uid}"
    stem = tree.rpartition("/")[2].removesuffix(".slice")
    pod = uid.replace("-", "_")  # a dash in a slice's name means another level
    if not service:
        return f"{stem}-pod{pod}.slice"
    return f"{stem}-{service}.slice/{stem}-{service}-pod{pod}.slice"
