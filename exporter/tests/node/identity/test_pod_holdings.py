"""What pods hold by the kubelet's word, joined to the pods that have a folder and run."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gputally.model import Job
from gputally.node.identity.pods import Held, Pods
from gputally.node.identity.protocol import Allocation, Evidence, Sighting

from .kubelets import Hands, hands
from .podfolders import OTHER, UID, folder, make

__all__ = ["folder", "hands"]


@dataclass
class Told:
    """What the kubelet is said to have told."""

    answer: tuple[Held, ...] = ()

    def held(self) -> tuple[Held, ...]:
        return self.answer


def sighting(uid: str, name: str, started: float, **more: str) -> Sighting:
    job = Job(uid, "kubernetes", job_name=name, identity="record")
    return Sighting(job, started, Evidence(**more), scheduled=True)


def holding(folder: Path, hands: Hands, told: Told, cgroups: Path | None = None) -> Pods:
    return Pods(
        folder,
        told,
        cgroup_root=cgroups or folder.parent / "none",
        boot_id="boot-1",
        clock=hands,
    )


def test_an_allocation_names_pod_and_start(folder: Path, hands: Hands) -> None:
    make(folder, "nlp", "train", UID, started=1000.5)
    told = Told((Held("nlp", "train", ("GPU-a", "MIG-b"), (3,)),))
    pods = holding(folder, hands, told)
    (found,) = pods.allocations()
    assert found == Allocation(sighting(UID, "train", 1000.5), ("GPU-a", "MIG-b"), (3,))
    told.answer = ()
    assert pods.allocations() == ()


def test_a_pod_without_a_folder_is_skipped_until_it_has_one(folder: Path, hands: Hands) -> None:
    pods = holding(folder, hands, Told((Held("nlp", "train", ("GPU-a",)),)))
    assert pods.allocations() == ()
    make(folder, "other", "train", OTHER)
    make(folder, "nlp", "train", UID)
    hands.seconds += 1
    assert [one.sighting.job.job_id for one in pods.allocations()] == [UID]


def test_the_answer_is_worked_through_once(folder: Path, hands: Hands) -> None:
    """Ticks are many, answers few."""
    make(folder, "nlp", "train", UID)
    told = Told((Held("nlp", "train", ("GPU-a",)),))
    pods = holding(folder, hands, told)
    first = pods.allocations()
    hands.seconds += 5
    assert pods.allocations() is first
    told.answer = tuple(replace(one) for one in told.answer)
    assert pods.allocations() is not first


def test_of_two_pods_of_one_name_the_later_one_holds(folder: Path, hands: Hands) -> None:
    """A set's pod has come back; the folder of the one before is still there."""
    make(folder, "nlp", "train-0", UID, started=1000)
    make(folder, "nlp", "train-0", OTHER, started=2000)
    pods = holding(folder, hands, Told((Held("nlp", "train-0", ("GPU-a",)),)))
    assert [one.sighting.job.job_id for one in pods.allocations()] == [OTHER]


def test_of_two_pods_on_one_gpu_the_later_one_holds(folder: Path, hands: Hands) -> None:
    """An older kubelet tells of ended pods, too."""
    make(folder, "nlp", "ended", UID, started=1000)
    make(folder, "nlp", "running", OTHER, started=2000)
    held = (Held("nlp", "ended", ("GPU-a", "GPU-b"), (1,)), Held("nlp", "running", ("GPU-a",), (1,)))
    found = holding(folder, hands, Told(held)).allocations()
    assert {one.sighting.job.job_id: (one.uuids, one.minors) for one in found} == {
        OTHER: (("GPU-a",), (1,)),
        UID: (("GPU-b",), ()),
    }


KIND = "kubelet.slice/kubelet-kubepods.slice"
UNDERSCORED = UID.replace("-", "_")


@pytest.mark.parametrize(
    ("hierarchy", "path"),
    [
        ("", f"kubepods.slice/kubepods-pod{UNDERSCORED}.slice"),
        ("", f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UNDERSCORED}.slice"),
        ("memory", f"kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UNDERSCORED}.slice"),
        ("", f"kubepods/pod{UID}"),
        ("systemd", f"kubepods/burstable/pod{UID}"),
        ("", f"kubelet/kubepods/besteffort/pod{UID}"),
        (
            "",
            f"{KIND}/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{UNDERSCORED}.slice",
        ),
    ],
)
def test_a_pod_that_runs_has_a_cgroup_and_one_that_ended_has_none(
    folder: Path, hands: Hands, tmp_path: Path, hierarchy: str, path: str
) -> None:
    """A finished pod may be listed until somebody deletes it; it must not pay for an idle GPU meanwhile."""
    cgroup = tmp_path / "cgroup" / hierarchy / path
    cgroup.mkdir(parents=True)
    make(folder, "nlp", "runs", UID, started=1000)
    make(folder, "nlp", "ended", OTHER, started=2000)
    told = Told((Held("nlp", "runs", ("GPU-a",)), Held("nlp", "ended", ("GPU-b",))))
    pods = holding(folder, hands, told, tmp_path / "cgroup")
    expected = sighting(UID, "runs", 1000, cgroup=path, boot_id="boot-1")
    assert pods.allocations() == (Allocation(expected, ("GPU-a",)),)
    cgroup.rmdir()
    told.answer = tuple(replace(one) for one in told.answer)
    assert pods.allocations() == ()
