"""How the Slurm of the tests is configured: all on loopback, all in one folder, GPUs that are no GPUs."""

from __future__ import annotations

import os
import pwd
import socket
from typing import TYPE_CHECKING

from tests.slurm.unified import CGROUPS, makes_groups, unified_root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GPUS = (4, 5, 6, 7)  # numbers of devices; not what one gets by counting from 0

_SLURM_CONF = """\
ClusterName=lab
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ctld_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={spool}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/{proctrack}
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
SlurmdParameters=config_overrides
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
KillWait=1
GresTypes=gpu
Prolog={folder}/prolog.d/*
Epilog={folder}/epilog.d/*
PrologFlags=Alloc
NodeName={node} NodeAddr=127.0.0.1 NodeHostname={host} Port={slurmd_port} CPUs=16 Gres=gpu:{gpus}
PartitionName=gpu Nodes=ALL Default=YES MaxTime=60 State=UP
"""


def configure(folder: Path, spool: Path, node: str, tracking: str, ports: tuple[int, int]) -> None:
    """Write all files below `folder`/etc. `tracking`: see trackings()."""
    etc, devices = folder / "etc", folder / "dev"
    devices.mkdir(exist_ok=True)
    for minor in GPUS:
        device = devices / f"nvidia{minor}"
        if not device.is_symlink():
            device.symlink_to("/dev/null")  # has to lead to a device
    by_cgroup = tracking.startswith("cgroup")
    text = _SLURM_CONF.format(
        folder=folder,
        spool=spool,
        node=node,
        host=socket.gethostname().partition(".")[0],
        user=pwd.getpwuid(os.geteuid()).pw_name,
        proctrack="cgroup" if by_cgroup else "linuxproc",
        ctld_port=ports[0],
        slurmd_port=ports[1],
        gpus=len(GPUS),
    )
    (etc / "slurm.conf").write_text(text)
    gres = "".join(f"NodeName={node} Name=gpu File={devices}/nvidia{minor}\n" for minor in GPUS)
    (etc / "gres.conf").write_text(f"AutoDetect=off\n{gres}")
    (etc / "cgroup.conf").write_text(f"CgroupPlugin={tracking}\nIgnoreSystemd=yes\n" if by_cgroup else "")


def trackings() -> Iterator[str]:
    """Ways of holding a job's processes together that may work here, the best first."""
    if os.geteuid() == 0:
        if makes_groups(CGROUPS / "freezer", "freezer.state"):
            yield "cgroup/v1"
        if unified_root() == CGROUPS:
            yield "cgroup/v2"
    yield "linuxproc"


def free_ports() -> tuple[int, int]:
    """Two that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]
