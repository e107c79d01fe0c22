"""Puts together who knows the jobs of this machine; the only place that knows all of them.

What a machine does not have is not loaded: the kubelet's client alone would double the agent's memory.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gputally.config.settings import NodeSettings
from gputally.model import Clock
from gputally.node.identity.binder import Binder
from gputally.node.identity.pods import Pods
from gputally.node.identity.protocol import Identities
from gputally.node.identity.runs import RunRecords
from gputally.node.identity.slurm import SlurmRecords

if TYPE_CHECKING:
    from gputally.node.identity.kubelet import Kubelet
    from gputally.node.sources.simulated import SimulatedSource


@dataclass(frozen=True, slots=True)
class Knowing:
    """Everybody who knows jobs."""

    jobs: Identities  # all of them as one
    binder: Binder  # of the machine's own processes
    kubelet: "Kubelet | None"  # where it is asked


def identities(
    settings: NodeSettings, clock: Clock, boot_id: str, simulation: "SimulatedSource | None" = None
) -> Knowing:
    """Assemble them. A kubelet is asked from now on, on a thread of its own."""
    kubelet = _kubelet(settings, clock)
    cgroup_root = settings.path_sysfs / "fs/cgroup"
    binder = Binder(
        settings.path_procfs,
        cgroup_root,
        teams=settings.teams,
        environment=settings.jobs_environment,
        slurm=SlurmRecords(settings.jobs_slurm_dir, boot_id),
        runs=RunRecords(settings.jobs_runs_dir, boot_id),
        pods=Pods(
            settings.jobs_pod_logs_dir,
            kubelet,
            cgroup_root=cgroup_root,
            boot_id=boot_id,
            clock=clock,
        ),
    )
    if simulation is None:
        return Knowing(binder, binder, kubelet)
    from gputally.node.identity.simulated import SimulatedIdentities  # noqa: PLC0415 - demonstrations only

    return Knowing(SimulatedIdentities(simulation, binder), binder, kubelet)


def _kubelet(settings: NodeSettings, clock: Clock) -> "Kubelet | None":
    if settings.jobs_kubelet_socket is None:
        return None
    from gputally.node.identity.kubelet import Kubelet  # noqa: PLC0415 - brings grpc, which few have

    kubelet = Kubelet(settings.jobs_kubelet_socket, clock=clock)
    kubelet.start()
    return kubelet
