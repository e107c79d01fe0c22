"""Notices that processes end, through pidfds (pidfd_open(2)): a PID may change hands, what a pidfd means not.

Start times alone do not tell: they come in ticks of 10 ms, and a PID can be had again within one by force.
"""

import os
import resource
import select

from gputally.node.identity.proc import is_own

MOST = 512  # descriptors; whoever has none is told from others by the start time
_SHARE = 4  # of the descriptors that this process may have, no more than one in so many


class Watch:
    """Descriptors of processes, asked with one poll()."""

    def __init__(self, proc_root: str) -> None:
        """PIDs are those of `proc_root`; nothing is watched where these are not ours too."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = (MOST if soft < 0 else min(MOST, soft // _SHARE)) if is_own(proc_root) else 0
        self._poll = select.poll()
        self._pids: dict[int, int] = {}  # by descriptor
        self._fds: dict[int, int] = {}  # by PID

    def open(self, pid: int) -> int | None:
        """A descriptor for who has the PID now; None = cannot be watched. Raises ProcessLookupError.

        To be opened before anything is read of the process, and handed to `keep` or `close`.
        """
        if len(self._fds) >= self._most:
            return None
        try:
            return os.pidfd_open(pid)
        except OverflowError:  # no PID at all: a driver's garbage
            raise ProcessLookupError from None
        except ProcessLookupError:
            raise
        except OSError:  # too many files, a kernel before 5.3, a seccomp filter
            return None

    def exists(self, pid: int) -> bool:
        """Whether anybody has the PID, a zombie too, as far as can be told."""
        if self._most == 0:
            return False
        try:
            os.close(os.pidfd_open(pid))
        except OverflowError:
            return False
        except OSError as error:
            return not isinstance(error, ProcessLookupError)
        return True

    def keep(self, pid: int, fd: int) -> None:
        """Watch from now on."""
        self.drop(pid)
        self._pids[fd], self._fds[pid] = pid, fd
        self._poll.register(fd, select.POLLIN)

    def drop(self, pid: int) -> None:
        """Watch no longer."""
        fd = self._fds.pop(pid, None)
        if fd is not None:
            del self._pids[fd]
            self._poll.unregister(fd)
            os.close(fd)

    def ended(self) -> list[int]:
        """PIDs of watched processes that have ended since; they are watched no longer."""
        pids = [self._pids[fd] for fd, _ in self._poll.poll(0)] if self._fds else []
        for pid in pids:
            self.drop(pid)
        return pids


def has_ended(fd: int) -> bool:
    """Whether the process of a descriptor has ended: then what was read meanwhile may be another's."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))
