"""The kubelet is asked over a real socket, and whatever it does costs its own answer alone."""

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest

from gputally.node.identity.kubelet import HOLD_SECONDS, Kubelet
from gputally.node.identity.pods import Held, Pods

from .kubelets import HELD, TRAIN, FakeKubelet, Hands, asked, devices, hands, kubelet, path, pod, server

__all__ = ["hands", "kubelet", "path", "server"]

UID = "ea8b9161-bee3-4bf6-a4e3-65fe256e3771"
NOBODY = 65534


def test_pods_with_gpus_are_told(server: FakeKubelet, kubelet: Kubelet) -> None:
    assert kubelet.held() == ()
    assert asked(kubelet) == (HELD, "")
    assert kubelet.held() is kubelet.held()
    server.answer = b""
    assert asked(kubelet) == ((), "")
    assert dict(kubelet.errors) == {}


def test_the_sampler_gets_allocations_from_a_thread_that_asks_by_itself(
    server: FakeKubelet, path: Path, tmp_path: Path
) -> None:
    (tmp_path / f"pods/nlp_train_{UID}").mkdir(parents=True)
    kubelet = Kubelet(path, pace_seconds=0.02)
    pods = Pods(tmp_path / "pods", kubelet, cgroup_root=tmp_path)
    kubelet.start()
    until = time.monotonic() + 20
    while not (found := pods.allocations()) and time.monotonic() < until:
        time.sleep(0.01)
    assert [(one.sighting.job.job_id, one.uuids) for one in found] == [(UID, ("GPU-a", "GPU-b"))]
    server.answer = b""
    while pods.allocations() and time.monotonic() < until:
        time.sleep(0.01)
    assert pods.allocations() == ()
    kubelet.stop()
    while any(t.name == "kubelet" for t in threading.enumerate()) and time.monotonic() < until:
        time.sleep(0.01)
    assert "kubelet" not in {t.name for t in threading.enumerate()}


# Faults.


def test_a_missing_socket_is_named_and_logged_once(
    path: Path, kubelet: Kubelet, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert asked(kubelet) == ((), "not_found")
    assert dict(kubelet.errors) == {"not_found": 3}
    assert [r.getMessage() for r in caplog.records] == [
        f"the kubelet does not tell which pods hold GPUs: {path}: there is no such socket"
    ]


@contextmanager
def not_permitted(path: Path) -> Iterator[None]:
    """Without the right to connect: as another user where this one may do everything."""
    path.chmod(0)
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(os.getuid())
        path.chmod(0o666)


def test_a_socket_that_is_not_for_us_is_named(server: FakeKubelet, path: Path, kubelet: Kubelet) -> None:
    with not_permitted(path):
        assert asked(kubelet) == ((), "no_permission")
    assert server.asked == 0
    assert asked(kubelet) == (HELD, "")


def test_a_socket_that_nobody_listens_on_is_named(path: Path, kubelet: Kubelet) -> None:
    """As after a crash."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert asked(kubelet) == ((), "refused")


@pytest.mark.fault("kubelet-fails")
def test_a_restarted_kubelet_heals_without_help_and_pods_hold_meanwhile(
    server: FakeKubelet, path: Path, kubelet: Kubelet, hands: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert asked(kubelet) == (HELD, "")
    server.stop()
    for _ in range(3):
        hands.seconds += 10
        assert asked(kubelet) == (HELD, "not_found")
    again = FakeKubelet(path)
    again.answer = pod("vision", "new", devices("nvidia.com/mig-1g.10gb", "MIG-c"))
    again.start()
    assert asked(kubelet) == ((Held("vision", "new", ("MIG-c",)),), "")
    again.stop()
    server.start()  # for the fixture to stop
    assert dict(kubelet.errors) == {"not_found": 3}
    assert [r.levelname for r in caplog.records] == ["WARNING", "INFO"]


def test_an_old_answer_is_not_believed_for_ever(server: FakeKubelet, kubelet: Kubelet, hands: Hands) -> None:
    """Not even while a question hangs for good."""
    assert asked(kubelet) == (HELD, "")
    assert server.asked == 1
    hands.seconds += HOLD_SECONDS
    assert kubelet.held() == HELD
    hands.seconds += 1
    assert kubelet.held() == ()
    assert kubelet.held() is kubelet.held()
    assert asked(kubelet) == (HELD, "")


@pytest.mark.fault("kubelet-fails")
def test_a_kubelet_that_hangs_is_left_at_the_deadline(server: FakeKubelet, path: Path, hands: Hands) -> None:
    server.answer = server.hang
    kubelet = Kubelet(path, clock=hands, deadline_seconds=0.2)
    assert asked(kubelet) == ((), "timeout")
    server.released.set()
    server.answer = TRAIN
    assert asked(Kubelet(path, clock=hands, deadline_seconds=10)) == (HELD, "")


def test_a_listener_that_says_nothing_is_left_at_the_deadline(path: Path, hands: Hands) -> None:
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(path))
        mute.listen()
        assert asked(Kubelet(path, clock=hands, deadline_seconds=0.2)) == ((), "timeout")


@pytest.mark.fault("kubelet-fails")
def test_an_answer_of_16_megabytes_is_refused(server: FakeKubelet, kubelet: Kubelet) -> None:
    server.answer = TRAIN * (16 * 2**20 // len(TRAIN))
    assert asked(kubelet) == ((), "too_large")
    server.answer = TRAIN
    assert asked(kubelet) == (HELD, "")


@pytest.mark.fault("kubelet-fails")
@pytest.mark.parametrize(
    "garbage", [b"\xff" * 64, b"\x0a\x7f", TRAIN[:-1], b"not a message", b"\x0a\x04\x0a\x02\xff\xfe"]
)
def test_garbage_is_named_and_what_was_known_holds(
    server: FakeKubelet, kubelet: Kubelet, garbage: bytes
) -> None:
    assert asked(kubelet) == (HELD, "")
    server.answer = garbage
    assert asked(kubelet) == (HELD, "garbage")
    server.answer = TRAIN
    assert asked(kubelet) == (HELD, "")


def test_a_refusal_has_the_word_of_grpc(server: FakeKubelet, kubelet: Kubelet) -> None:
    """RESOURCE_EXHAUSTED apart, as which too large an answer shows."""

    def refuse(context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today")
        raise AssertionError

    server.answer = refuse
    assert asked(kubelet) == ((), "failed_precondition")


def test_a_kubelet_without_this_version_of_the_api_is_named(path: Path, kubelet: Kubelet) -> None:
    class Old(FakeKubelet):
        def service(self, handler_call_details: object) -> None:
            """It has no method of ours."""
            del handler_call_details

    old = Old(path)
    old.start()
    assert asked(kubelet) == ((), "unimplemented")
    old.stop()


def test_another_protocol_on_the_socket_is_no_answer(path: Path, hands: Hands) -> None:
    with socket.socket(socket.AF_UNIX) as web:
        web.bind(str(path))
        web.listen()

        def talk() -> None:
            while True:
                try:
                    caller = web.accept()[0]
                except OSError:
                    return
                with caller, suppress(OSError):
                    caller.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=talk, daemon=True).start()
        held, reason = asked(Kubelet(path, clock=hands, deadline_seconds=2))
        web.shutdown(socket.SHUT_RDWR)
    assert held == ()
    assert reason in {"unavailable", "timeout", "internal"}


def test_without_the_extra_the_log_says_what_to_install(
    kubelet: Kubelet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    assert asked(kubelet) == ((), "grpcio_missing")
    assert "pip install 'gputally[kubernetes]'" in caplog.text


def test_a_fault_that_nobody_thought_of_is_contained(
    kubelet: Kubelet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gputally.node.identity.kubelet.question", lambda *_: None)
    assert asked(kubelet) == ((), "unexpected")
