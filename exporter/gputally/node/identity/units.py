"""Which run of a systemd service this is: a service that is started again is another job.

systemd keeps /run/systemd/units/invocation:UNIT, a link that "points" to the run's 128-bit id in hex and that
every user may read (systemd 239 and later).
"""

import os
from pathlib import Path

from gputally.node.identity.proc import Process, read_process

UNITS_ROOT = Path("/run/systemd/units")
SHOWN = 8  # characters of an invocation's id, in a job's
_HEX = frozenset("0123456789abcdef")
_MOST_PROCESSES = 64
# Services that others' programs are started from, root's among them: none of these programs is the service.
GATEWAYS = frozenset({
    "atd.service", "cron.service", "crond.service", "anacron.service", "docker.service", "containerd.service",
    "slurmd.service", "ssh.service", "sshd.service", "pbs.service", "lsfd.service", "systemd-logind.service",
})  # fmt: skip
_GATEWAY_TEMPLATES = ("ssh@", "sshd@", "getty@", "serial-getty@", "console-getty", "sshd-vsock@")


def is_gateway(unit: str) -> bool:
    """Whether a unit only starts what others have ordered."""
    return unit in GATEWAYS or unit.startswith(_GATEWAY_TEMPLATES)


def invocation(units_root: Path, unit: str) -> str:
    """The id of a unit's current run, 32 hex digits; "" where systemd does not say."""
    try:
        target = str((units_root / f"invocation:{unit}").readlink())
    except (OSError, ValueError):
        return ""
    return target if len(target) == 32 and _HEX.issuperset(target) else ""


def oldest(proc_root: str, cgroup: Path | None) -> Process | None:
    """The oldest process that is directly in a unit's cgroup: in all but odd cases the service's main one."""
    if cgroup is None:
        return None
    try:
        file = os.open(cgroup / "cgroup.procs", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        listed = os.read(file, 4096).split()[:_MOST_PROCESSES]
    except OSError:  # a "threaded" cgroup does not list processes
        return None
    finally:
        os.close(file)
    found = (read_process(proc_root, int(pid)) for pid in listed if pid.isdigit())
    return min((one for one in found if one is not None), key=lambda one: one.start_ticks, default=None)
