"""What asking the kubelet costs, and what exactly it is asked."""

import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from gputally.node.identity.kubelet import Kubelet

from .kubelets import HELD, TRAIN, FakeKubelet, Hands, asked, hands, kubelet, path, server

__all__ = ["hands", "kubelet", "path", "server"]


def test_grpc_is_not_imported_before_somebody_asks() -> None:
    code = "import sys, gputally.node.identity.kubelet; print('grpc' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "False\n"


def test_the_request_names_localhost_and_not_the_path(path: Path, hands: Hands) -> None:
    """Servers written in Go refuse a path as the authority of a request."""
    said = bytearray()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def listen() -> None:
            caller = listener.accept()[0]
            with caller, suppress(OSError):
                # An empty SETTINGS frame, by which gRPC feels connected.
                caller.sendall(b"\0\0\0\4\0\0\0\0\0")
                while chunk := caller.recv(4096):
                    said.extend(chunk)

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        assert asked(Kubelet(path, clock=hands, deadline_seconds=1)) == ((), "timeout")
        thread.join(10)
    assert b"/v1.PodResourcesLister/List" in said
    assert b"localhost" in said
    assert b"kubelet.sock" not in said


def test_questions_leave_nothing_open(server: FakeKubelet, kubelet: Kubelet) -> None:
    def left() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    for _ in range(5):
        kubelet.ask()
    before = left()
    for _ in range(100):
        kubelet.ask()
    assert server.asked == 105
    assert left() <= before + 3


def test_a_path_with_odd_characters_is_reached(tmp_path: Path, hands: Hands) -> None:
    folder = tmp_path / "a b%20c?d#é"
    folder.mkdir()
    server = FakeKubelet(tmp_path / "s")
    server.answer = TRAIN
    server.start()
    (tmp_path / "s").rename(folder / "s")
    assert asked(Kubelet(folder / "s", clock=hands)) == (HELD, "")
    server.stop()
