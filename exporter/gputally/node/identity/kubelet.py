"""Which pods hold which GPUs, even while these idle: the kubelet's pod-resources API on its unix socket.

The socket belongs to root and tells of every pod of the node, so it is asked only where the configuration
names it. gRPC is an extra (`pip install gputally[kubernetes]`), imported then and not before.
"""

import logging
import socket
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from threading import Event, Thread
from types import MappingProxyType
from urllib.parse import quote

from gputally.model import Clock
from gputally.model.clock import NS_PER_SECOND, system_clock
from gputally.node.identity.podresources import decode
from gputally.node.identity.pods import Held

logger = logging.getLogger(__name__)
METHOD = "/v1.PodResourcesLister/List"  # k8s.io/kubelet/pkg/apis/podresources/v1/api.proto
PACE_SECONDS = 10.0
DEADLINE_SECONDS = 5.0
HOLD_SECONDS = 60.0  # pods go on while a kubelet is being restarted
MOST_BYTES = 4 << 20  # a full node's answer is a tenth of it
_OPTIONS = (
    ("grpc.max_receive_message_length", MOST_BYTES),
    ("grpc.default_authority", "localhost"),  # else the path, which servers written in Go refuse
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
)
_WORDS = {"deadline_exceeded": "timeout", "resource_exhausted": "too_large"}
_SENTENCES = {
    "grpcio_missing": "the Python package grpcio is not installed: pip install 'gputally[kubernetes]'",
    "not_found": "there is no such socket",
    "no_permission": "its owner does not let us",
    "refused": "nobody listens",
    "timeout": "no answer in time",
    "too_large": "the answer is too large",
    "garbage": "the answer is not what the API promises",
}
_NOTHING: tuple[Held, ...] = ()


class Unanswered(Exception):
    """The kubelet has not answered; `reason` is a word for a label."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(_SENTENCES.get(reason) or detail or reason)
        self.reason = reason


class Kubelet:
    """Asks now and then, on a thread of its own. What it found is read from any thread, without waiting."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock = system_clock,
        pace_seconds: float = PACE_SECONDS,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._path = path
        self._clock = clock
        self._pace_seconds, self._deadline_seconds = pace_seconds, deadline_seconds
        self._answer: tuple[tuple[Held, ...], int] | None = None  # and when it came
        self._errors: Counter[str] = Counter()
        self._stop = Event()
        self.reason = ""  # why the latest question had no answer; "" = it had one, or none was asked yet

    def start(self) -> None:
        """Start asking. The thread is a daemon: one that hangs keeps nobody from ending."""
        Thread(target=self._run, name="kubelet", daemon=True).start()

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()

    def held(self) -> tuple[Held, ...]:
        """What pods hold, by an answer that is at most a minute old."""
        answer = self._answer
        if answer is None or self._clock().boot_ns - answer[1] > HOLD_SECONDS * NS_PER_SECOND:
            return _NOTHING
        return answer[0]

    @property
    def errors(self) -> Mapping[str, int]:
        """Questions that had no answer since the start, by reason."""
        return MappingProxyType(self._errors)

    def ask(self) -> None:
        """Ask once. Never raises; blocks until the deadline at most."""
        try:
            held = decode(question(self._path, self._deadline_seconds))
        except Exception as error:  # noqa: BLE001 - no answer may end the thread
            self._failed(error)
        else:
            self._answer = (held, self._clock().boot_ns)
            if self.reason:
                logger.info("the kubelet tells again which pods hold GPUs")
            self.reason = ""

    def _failed(self, error: Exception) -> None:
        if isinstance(error, ValueError):
            error = Unanswered("garbage")
        reason = error.reason if isinstance(error, Unanswered) else "unexpected"
        if reason not in self._errors:  # grow by a whole new dict: `errors` may be read meanwhile
            self._errors = Counter({**self._errors, reason: 0})
        self._errors[reason] += 1
        if reason != self.reason:
            said = error if isinstance(error, Unanswered) else repr(error)
            logger.warning("the kubelet does not tell which pods hold GPUs: %s: %s", self._path, said)
        self.reason = reason

    def _run(self) -> None:
        while True:
            self.ask()
            if self._stop.wait(self._pace_seconds):
                return


def question(path: Path, deadline_seconds: float) -> bytes:
    """The kubelet's raw answer to List. Raises Unanswered.

    A connection for each question: it sees a kubelet that was restarted, and a socket that was replaced, at
    once and without any back-off of gRPC's own.
    """
    try:
        import grpc  # noqa: PLC0415 - 20 MiB of memory that only who asks a kubelet should pay
    except ImportError as error:
        raise Unanswered("grpcio_missing") from error
    try:
        with grpc.insecure_channel(f"unix:{quote(str(path.absolute()))}", options=_OPTIONS) as channel:
            answer: bytes = channel.unary_unary(METHOD)(b"", timeout=deadline_seconds)
            return answer
    except grpc.RpcError as error:
        code = error.code().name.lower()
        reason = _why(path) if code == "unavailable" else _WORDS.get(code, code)
        raise Unanswered(reason, str(error.details())[:200]) from error


def _why(path: Path) -> str:
    """What the kernel says to a connection; gRPC calls all of it unavailable."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, NotADirectoryError):
            return "not_found"
        except PermissionError:
            return "no_permission"
        except ConnectionRefusedError:
            return "refused"
        except OSError:
            pass
    return "unavailable"
