"""Runs a program that reports on GPUs: found on PATH, bounded in time and in output, and gone afterwards.

Knows nothing of what the program prints. A child gets no input, speaks English (LC_ALL=C), leads a process
group of its own and takes all of it with it. A child that hangs in the driver, so that not even SIGKILL ends
it, is left alone, and no second one is started before it is gone.
"""

import atexit
import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from gputally.node.sources.protocol import SourceError, Unavailable

DEADLINE_SECONDS = 5.0
OUTPUT_LIMIT_BYTES = 32 << 20
TERM_SECONDS = 0.5  # to end by itself after SIGTERM: killing an NVML client outright has frozen GPUs
KILL_SECONDS = 1.0  # to be gone after SIGKILL, before it counts as stuck
_CHUNK_BYTES = 1 << 16
_GLANCE_SECONDS = 0.05  # how often to look whether a child ended while a grandchild keeps its pipes open
_SENTENCE_CHARACTERS = 200

_children: set[int] = set()
_children_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Output:
    """What a program printed before it ended. `code`: its exit status, or minus the signal that ended it."""

    stdout: bytes
    stderr: bytes
    code: int

    @property
    def sentence(self) -> str:
        """The first line that it printed, for a message to a person; errors before results."""
        for stream in (self.stderr, self.stdout):
            for line in stream[:4096].decode(errors="replace").splitlines():
                if words := " ".join("".join(c if c.isprintable() else " " for c in line).split()):
                    return words[:_SENTENCE_CHARACTERS]
        return "it printed nothing"


class Program:
    """A program by its name. Used by one thread at a time; several may use their own."""

    def __init__(self, name: str, *, output_limit_bytes: int = OUTPUT_LIMIT_BYTES) -> None:
        self.name = name
        self._output_limit_bytes = output_limit_bytes
        self._path: str | None = None
        self._stuck: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str, seconds: float = DEADLINE_SECONDS) -> Output:
        """Run it to its end and return what it printed; the exit status is the caller's to judge.

        Raises Unavailable when it is not on PATH or cannot be started, and SourceError with the reasons
        `timeout`, `flood` (too much output) and `stuck` (an earlier run cannot be ended).
        """
        until = time.monotonic() + seconds
        self._look_after_stuck()
        child = self._start(arguments)
        with _children_lock:
            _children.add(child.pid)
        try:
            stdout, stderr = self._collect(child, until, seconds)
        finally:
            self._end(child)
        return Output(stdout, stderr, child.returncode)

    def _look_after_stuck(self) -> None:
        if self._stuck is None:
            return
        if not _has_ended(self._stuck):
            raise SourceError(f"a run of {self.name} hangs in the driver and cannot be ended", reason="stuck")
        _reap(self._stuck)
        self._stuck = None

    def _start(self, arguments: tuple[str, ...]) -> "subprocess.Popen[bytes]":
        known = self._path is not None
        while True:
            path = self._path = self._path or find(self.name)
            try:
                return _spawn(path, arguments)
            except FileNotFoundError:
                if not known:
                    raise Unavailable(f"{path} is not there any more", reason="not_found") from None
                self._path, known = None, False  # moved by an upgrade: look once more
            except OSError as error:
                self._path = None
                raise Unavailable(
                    f"{path} cannot be started: {error.strerror}", reason="not_started"
                ) from None

    def _collect(self, child: "subprocess.Popen[bytes]", until: float, seconds: float) -> tuple[bytes, bytes]:
        """Read both pipes until the child has closed them or ended. Raises SourceError."""
        pipes = {pipe.fileno(): bytearray() for pipe in (child.stdout, child.stderr) if pipe is not None}
        out, err = pipes.values()
        with selectors.DefaultSelector() as selector:
            for number in pipes:
                os.set_blocking(number, False)
                selector.register(number, selectors.EVENT_READ)
            while selector.get_map():
                left = until - time.monotonic()
                if left <= 0:
                    raise SourceError(f"{self.name} gave no answer within {seconds:g} s", reason="timeout")
                ended = _has_ended(child)
                ready = selector.select(0 if ended else min(left, _GLANCE_SECONDS))
                if ended and not ready:
                    break  # the pipes are held open by a grandchild that will never write our answer
                for key, _ in ready:
                    if chunk := os.read(key.fd, _CHUNK_BYTES):
                        pipes[key.fd] += chunk
                    else:
                        selector.unregister(key.fd)
                if len(out) + len(err) > self._output_limit_bytes:
                    limit = f"{self._output_limit_bytes >> 20} MiB"
                    raise SourceError(f"{self.name} printed more than {limit}", reason="flood")
        if not _wait(child, until - time.monotonic()):
            raise SourceError(f"{self.name} gave no end within {seconds:g} s", reason="timeout")
        return bytes(out), bytes(err)

    def _end(self, child: "subprocess.Popen[bytes]") -> None:
        """End the child's group, reap the child, close the pipes. Never raises."""
        if not _has_ended(child):
            _signal(child.pid, signal.SIGTERM)
            _wait(child, TERM_SECONDS)
        # Before it is reaped, the dead leader still holds the group's number against reuse.
        _signal(child.pid, signal.SIGKILL)
        gone = _wait(child, KILL_SECONDS)
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
        if gone:
            _reap(child)
        else:
            self._stuck = child


def find(name: str) -> str:
    """The absolute path of a program on PATH; relative entries of PATH are passed over.

    Raises Unavailable when it is not there.
    """
    folders = [f for f in os.environ.get("PATH", os.defpath).split(os.pathsep) if Path(f).is_absolute()]
    path = shutil.which(name, path=os.pathsep.join(folders)) if folders else None
    if path is None:
        raise Unavailable(f"{name} is not on PATH", reason="not_found")
    return path


@atexit.register
def _stop_children() -> None:
    """Kill what still runs when the interpreter ends, without waiting: nobody is left to read its answer."""
    with _children_lock:
        for pid in _children:
            _signal(pid, signal.SIGKILL)


def refusal(program: str, output: Output) -> Unavailable:
    """What to raise when a program ended with a status that nobody knows better."""
    how = f"exit_{output.code}" if output.code >= 0 else f"signal_{-output.code}"
    return Unavailable(f"{program} ended with status {output.code}: {output.sentence}", reason=how)


def _spawn(path: str, arguments: tuple[str, ...]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - an absolute path from PATH, arguments of our own, no shell
        [path, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C"},
        cwd="/",
        start_new_session=True,
    )


def _has_ended(child: "subprocess.Popen[bytes]") -> bool:
    """Whether the child has ended; it stays to be reaped."""
    if child.returncode is not None:
        return True
    try:
        return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # reaped by somebody else: SIGCHLD is ignored in this process
        return True


def _wait(child: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Wait for the child to end, without reaping it; whether it has."""
    until = time.monotonic() + seconds
    pause = 0.0005
    while not _has_ended(child):
        left = until - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(2 * pause, 0.02)
    return True


def _reap(child: "subprocess.Popen[bytes]") -> None:
    with _children_lock:  # from here on its number may come to stand for another process
        _children.discard(child.pid)
    child.wait()


def _signal(group: int, number: signal.Signals) -> None:
    # Gone already, or nothing in it is ours to signal (nvidia-smi starts a setuid nvidia-modprobe).
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
