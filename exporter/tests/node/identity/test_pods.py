"""Pods are named by the folders of their logs, whatever else lies there."""

import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.node.identity.parts import Pod
from gputally.node.identity.parts import Pods as PodsPart
from gputally.node.identity.pods import MOST_PODS, Pods, is_uid, parse

from .kubelets import Hands, hands
from .podfolders import OTHER, STATIC, UID, folder, make

__all__ = ["folder", "hands"]


# Names.


def test_a_pod_is_named_by_its_folder(folder: Path, hands: Hands) -> None:
    make(folder, "nlp", "train-0.gpu", UID)
    make(folder, "kube-system", "kube-proxy-node1", STATIC)
    pods: PodsPart = Pods(folder, clock=hands)
    assert pods.pod(UID) == Pod(UID, "nlp", "train-0.gpu")
    assert pods.pod(STATIC) == Pod(STATIC, "kube-system", "kube-proxy-node1")
    assert pods.pod(OTHER) is None
    assert pods.allocations() == ()


@pytest.mark.parametrize(
    "name",
    [
        *("", "_", "__", UID, f"_{UID}", f"__{UID}", f"ns_{UID}", f"ns__{UID}", f"_pod_{UID}"),
        *(f"ns_pod_extra_{UID}", f"ns_pod_{UID}_", f"ns_pod_{UID.upper()}", f"ns_pod_{UID[:-1]}"),
        *(f"ns_pod_{UID.replace('-', '_')}", f"ns_pod_{STATIC}0", "ns_pod_" + "g" * 32, "ns_pod_" + "-" * 36),
        *(f"NS_pod_{UID}", f"ns_p\u202eod_{UID}", f"ns_p od_{UID}", f"ns_po\nd_{UID}", f"n.s_pod_{UID}"),
        *(f"{'n' * 64}_pod_{UID}", f"ns_pod_{STATIC[:-1]}\u0661"),
    ],
)
def test_a_name_that_no_kubelet_gives_is_passed_over(folder: Path, hands: Hands, name: str) -> None:
    if name:
        (folder / name).mkdir()
    make(folder, "nlp", "right", OTHER)
    pods = Pods(folder, clock=hands)
    assert parse(name) is None
    assert [pods.pod(uid) for uid in (UID, UID.upper(), STATIC, "", "g" * 32)] == [None] * 5
    assert pods.pod(OTHER) is not None


def test_files_links_and_bytes_are_no_pods(folder: Path, hands: Hands) -> None:
    (folder / f"ns_file_{UID}").write_text("")
    (folder / f"ns_link_{OTHER}").symlink_to(folder)
    (folder / os.fsdecode(b"ns_p\xffd_" + STATIC.encode())).mkdir()
    pods = Pods(folder, clock=hands)
    assert [pods.pod(uid) for uid in (UID, OTHER, STATIC)] == [None] * 3


@given(st.text(alphabet=st.sampled_from("ab0-._AZ é\n") | st.characters(), max_size=80))
def test_whatever_the_name_what_comes_out_is_fit_for_a_label(name: str) -> None:
    pod = parse(name + "_" + UID)
    if pod is not None:
        assert f"{pod.namespace}_{pod.name}_{pod.uid}" == f"{name}_{UID}"
        assert (pod.namespace + pod.name).isascii()
        assert (pod.namespace + pod.name).isprintable()


@pytest.mark.parametrize(
    ("text", "good"), [(UID, True), (STATIC, True), (UID.replace("-", "", 1) + "-", False)]
)
def test_a_uid_is_a_uuid_or_32_hex_digits(text: str, *, good: bool) -> None:
    assert is_uid(text) is good


# When the folder is looked at.


def test_pods_that_come_and_go_are_seen_within_a_second(folder: Path, hands: Hands) -> None:
    pods = Pods(folder, clock=hands)
    assert pods.pod(UID) is None
    path = make(folder, "nlp", "train", UID)
    assert pods.pod(UID) is None
    hands.seconds += 1
    assert pods.pod(UID) == Pod(UID, "nlp", "train")
    path.rename(folder.parent / "deleted")
    hands.seconds += 1
    assert pods.pod(UID) is None


def count_listings(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    listed: list[object] = []
    scandir = os.scandir

    def counted(path: object) -> object:
        listed.append(path)
        return scandir(path)  # type: ignore[call-overload]

    monkeypatch.setattr("gputally.node.identity.pods.os.scandir", counted)
    return listed


def test_a_folder_that_does_not_change_is_listed_twice_and_never_again(
    folder: Path, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice, for two changes within the kernel's clock tick bear the same time."""
    listed = count_listings(monkeypatch)
    make(folder, "nlp", "train", UID)
    pods = Pods(folder, clock=hands)
    for _ in range(50):
        hands.seconds += 0.3
        pods.pod(OTHER)
    assert len(listed) == 2


def test_a_change_within_the_same_clock_tick_is_not_missed(folder: Path, hands: Hands) -> None:
    pods = Pods(folder, clock=hands)
    pods.pod(UID)
    before = folder.stat()
    make(folder, "nlp", "train", UID)
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    hands.seconds += 1
    assert pods.pod(UID) is not None


def test_a_busy_folder_is_listed_once_a_second_at_most(
    folder: Path, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = count_listings(monkeypatch)
    pods = Pods(folder, clock=hands)
    for n in range(40):
        make(folder, "nlp", f"pod-{n}", f"{n:032x}")
        pods.pod(UID)
        hands.seconds += 0.1
    assert 4 <= len(listed) <= 5


def test_a_missing_folder_names_nobody_and_is_logged_once(
    tmp_path: Path, hands: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pods = Pods(tmp_path / "pods", clock=hands)
    for _ in range(5):
        assert pods.pod(UID) is None
        hands.seconds += 1
    assert [r.getMessage() for r in caplog.records] == [
        f"pods are not named: {tmp_path}/pods: No such file or directory"
    ]
    make(tmp_path / "pods", "nlp", "train", UID)
    hands.seconds += 1
    assert pods.pod(UID) is not None
    assert len(caplog.records) == 2


def test_no_more_pods_are_remembered_than_fit(folder: Path, hands: Hands) -> None:
    for n in range(MOST_PODS + 50):
        (folder / f"ns_pod-{n}_{n:032x}").mkdir()
    pods = Pods(folder, clock=hands)
    assert sum(pods.pod(f"{n:032x}") is not None for n in range(MOST_PODS + 50)) == MOST_PODS
