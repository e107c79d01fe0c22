"""A kubelet's pod-resources socket: a real gRPC server that answers what a test tells it to."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from gputally.model import Instant
from gputally.node.identity.kubelet import Kubelet
from gputally.node.identity.pods import Held

SECOND = 1_000_000_000
METHOD = "/v1.PodResourcesLister/List"


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, value: bytes | str) -> bytes:
    """A field of text or of a message."""
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def devices(resource: str, *ids: str) -> bytes:
    """A container with these devices."""
    return field(3, field(1, "main") + field(2, field(1, resource) + b"".join(field(2, one) for one in ids)))


def pod(namespace: str, name: str, *containers: bytes) -> bytes:
    """One pod of an answer."""
    return field(1, field(1, name) + field(2, namespace) + b"".join(containers))


class FakeKubelet(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Serves on a socket from start() to stop(); `answer` is what List gives, or a function that makes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answer: bytes | Callable[[Any], bytes] = b""
        self.asked = 0
        self.released = threading.Event()  # ends hanging answers
        self._server: Any = None

    def service(self, handler_call_details: Any) -> Any:
        if handler_call_details.method != METHOD:
            return None
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def start(self) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(2), handlers=(self,), options=[("grpc.max_send_message_length", -1)]
        )
        assert self._server.add_insecure_port(f"unix:{self.path}")
        self._server.start()

    def stop(self) -> None:
        self.released.set()
        self._server.stop(0).wait(10)
        self.path.unlink(missing_ok=True)

    def hang(self, _: Any) -> bytes:
        self.released.wait(30)
        return b""

    def _answer(self, request: bytes, context: Any) -> bytes:
        assert request == b""
        self.asked += 1
        return self.answer(context) if callable(self.answer) else self.answer


TRAIN = pod("nlp", "train", devices("nvidia.com/gpu", "GPU-a", "GPU-b"))
HELD = (Held("nlp", "train", ("GPU-a", "GPU-b")),)


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> Instant:
        return Instant(int(self.seconds * SECOND), 0)


def asked(kubelet: Kubelet) -> tuple[tuple[Held, ...], str]:
    """What is held after one question, and what was wrong with it."""
    kubelet.ask()
    return kubelet.held(), kubelet.reason


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kubelet.sock"


@pytest.fixture
def server(path: Path) -> Iterator[FakeKubelet]:
    server = FakeKubelet(path)
    server.answer = TRAIN
    server.start()
    yield server
    server.stop()


@pytest.fixture
def kubelet(path: Path, hands: Hands) -> Kubelet:
    return Kubelet(path, clock=hands, deadline_seconds=10)
