"""A peer and all that it starts: begun, ended, and what they take of the machine."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from measure import cpu_seconds, resident_mib

STANDIN = "nvidia_smi.py"  # its cost is not that of the program which it stands for
END_S = 3


def tree(pids: Sequence[int]) -> list[int]:
    """These processes and their descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[1-9]*/stat"):
        with suppress(OSError):  # ended meanwhile
            after = entry.read_text().rpartition(")")[2].split()
            children.setdefault(int(after[1]), []).append(int(entry.parent.name))
    found, ahead = [], list(pids)
    while ahead:
        found.append(ahead.pop())
        ahead += children.get(found[-1], [])
    return found


def counted(pids: Sequence[int]) -> list[int]:
    """Those that count as the peer's: not the stand-in for nvidia-smi."""
    found = []
    for pid in tree(pids):
        with suppress(OSError):
            if STANDIN not in (Path("/proc") / str(pid) / "cmdline").read_text():
                found.append(pid)
    return found


class Running:
    """The processes of one peer, from start to stop."""

    def __init__(self, commands: Sequence[Sequence[str]], env: Mapping[str, str], folder: Path) -> None:
        self._commands, self._env, self._folder = commands, env, folder
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start every command, in its order; what they print goes to a file in the folder."""
        with (self._folder / "output.txt").open("ab") as output:
            self._children = [
                subprocess.Popen(
                    command,
                    env=self._env,
                    cwd=self._folder,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
                for command in self._commands
            ]

    def alive(self) -> bool:
        """Whether none of the commands has ended."""
        return all(child.poll() is None for child in self._children)

    def stop(self) -> None:
        """End them and what they started: in order first, by force what is left after some seconds."""
        everything = []
        for pid in tree([child.pid for child in self._children]):
            with suppress(OSError):  # a descriptor, so that a number used again is not taken for it
                everything.append(os.pidfd_open(pid))
        for child in reversed(self._children):
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + END_S
        for child in self._children:
            with suppress(subprocess.TimeoutExpired):
                child.wait(max(0.1, deadline - time.monotonic()))
        for descriptor in everything:  # a peer may have put children into a session of their own
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            os.close(descriptor)
        for child in self._children:
            child.wait()

    def cpu_s(self) -> dict[int, float]:
        """CPU seconds of each process so far."""
        taken = {}
        for pid in counted([child.pid for child in self._children]):
            with suppress(OSError):
                taken[pid] = cpu_seconds(pid)
        return taken

    def memory_mib(self) -> float:
        """Resident memory of all of them; pages that two share count twice."""
        total = 0.0
        for pid in counted([child.pid for child in self._children]):
            with suppress(OSError):
                total += resident_mib(pid)
        return total
