"""One command as a child that behaves as if it had been started without us.

The child stays in our process group: whatever a terminal or a shell sends to a job reaches both. We take our
own signals by sigwaitinfo(2), which says who sent them, hand on those that the child has not had already, and
stop when the child is stopped. We end when it ends: daemons that outlive it are let go, as by a shell, and
keep the job under which they were seen.
"""

import contextlib
import ctypes
import errno
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

_PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 4, 36  # linux/prctl.h
_SI_KERNEL = 0x80  # asm-generic/siginfo.h: not sent by a process; from a terminal, and so to the whole group
_SHELL = b"/bin/sh"
_STOPS = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_ENDS = (signal.SIGINT, signal.SIGTERM)
# The kernel sends these to a whole foreground group; all others, as of a timer, to us alone.
_OF_TERMINALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGCONT, signal.SIGWINCH, *_STOPS)
HANDED_ON = {
    *_OF_TERMINALS,
    *(
        signal.SIGTERM,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGALRM,
        signal.SIGURG,
        signal.SIGIO,
        signal.SIGPWR,
    ),
    *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
}
_ANCESTORS = 64
_PARENT_FIELD = 1  # `ppid` of proc_pid_stat(5), counted from the field behind the name


class Outcome(NamedTuple):  # a dataclass would take longer to load than the rest of this
    """How the child ended."""

    wait_status: int  # as waitpid(2) gives it
    asked_to_end: bool  # somebody sent SIGINT or SIGTERM

    @property
    def exit_code(self) -> int:
        """As shells say it: 128 + n for a signal n."""
        code = os.waitstatus_to_exitcode(self.wait_status)
        return code if code >= 0 else 128 - code

    @property
    def state(self) -> str:
        """In a word. Whoever was asked to end and did not end well was cancelled."""
        if self.exit_code == 0:
            return "completed"
        cancelled = self.asked_to_end or self.exit_code - 128 in _ENDS
        return "cancelled" if cancelled else "failed"


def adopt_orphans() -> None:
    """Become the parent of all below us whose parent ends: so daemons are known as ours while we live."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def run_child(
    command: Sequence[str], environment: dict[bytes, bytes], meanwhile: Callable[[], None]
) -> Outcome:
    """Run it to its end; `meanwhile` is done while it starts. Raises OSError when it cannot be executed."""
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # else its end would be nobody's to hear
    # Heard even where ignored, as after nohup(1): a child that handles them all the same shall get them.
    heard = {*HANDED_ON, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, heard)
    try:
        pid = _spawn(command, environment, before)
    except OSError:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise
    return _Child(pid, heard).outlive(meanwhile)


def end_as(outcome: Outcome) -> int:
    """End as the child did, so that a shell stops its loop at Ctrl-C. Gives what to exit with otherwise."""
    if not os.WIFSIGNALED(outcome.wait_status):
        return outcome.exit_code
    number = os.WTERMSIG(outcome.wait_status)
    _prctl(_PR_SET_DUMPABLE, 0)  # one core file is enough, and it is not ours
    with contextlib.suppress(OSError):  # SIGKILL can neither be set nor blocked, nor needs it
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    return outcome.exit_code  # the first process of a container survives its own signals


class _Child:
    """A child that runs, and the signals that are blocked while it does."""

    def __init__(self, pid: int, heard: set[int]) -> None:
        self._pid, self._heard = pid, heard
        self._asked_to_end = False

    def outlive(self, meanwhile: Callable[[], None]) -> Outcome:
        """Hand on signals until it ends."""
        # What came before the child was there has not reached it, whoever sent it.
        while early := signal.sigtimedwait(self._heard - {signal.SIGCHLD}, 0):
            self._asked_to_end |= _asks_to_end(early.si_signo)
            self._hand_on(early.si_signo)
        meanwhile()
        ended = self._reap()
        while ended is None:
            got = signal.sigwaitinfo(self._heard)
            if got.si_signo == signal.SIGCHLD:
                ended = self._reap()
                continue
            self._asked_to_end |= _asks_to_end(got.si_signo)
            if not self._has_had(got):
                self._hand_on(got.si_signo)
        return Outcome(ended, self._asked_to_end)

    def _hand_on(self, number: int) -> None:
        with contextlib.suppress(PermissionError):  # it may have become another user: sudo
            os.kill(self._pid, number)

    def _has_had(self, got: signal.struct_siginfo) -> bool:
        """Whether it was for the whole group: from the terminal, or from the command's own `kill 0`."""
        if got.si_code == _SI_KERNEL and got.si_signo in _OF_TERMINALS:
            # A session's leader is told alone when its terminal goes.
            return not (got.si_signo == signal.SIGHUP and os.getsid(0) == os.getpid())
        with contextlib.suppress(OSError):
            return os.getpgid(got.si_pid) == os.getpgrp() and _is_below(got.si_pid)
        return False

    def _reap(self) -> int | None:
        """Take note of children that ended or stopped, adopted ones too; the wait status when it is ours."""
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            if pid == 0:
                return None
            if pid != self._pid:
                continue
            if not os.WIFSTOPPED(status):
                return status
            if os.WSTOPSIG(status) in _STOPS:
                self._stop_too(os.WSTOPSIG(status))

    def _stop_too(self, number: int) -> None:
        """Stop as the child has, until continued; not for SIGSTOP, which was meant for it alone."""
        os.kill(os.getpid(), number)  # one with the terminal's own, which waits too
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        signal.pthread_sigmask(signal.SIG_BLOCK, {number})


def _asks_to_end(number: int) -> bool:
    """Whether a signal would end a program that does not know it."""
    return number in _ENDS and signal.getsignal(number) is not signal.SIG_IGN


def _spawn(command: Sequence[str], environment: dict[bytes, bytes], mask: set[int]) -> int:
    argv = [os.fsencode(word) for word in command]
    if not argv[0]:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    # Python ignores these two; a program that is not Python expects to die of them.
    reset = (signal.SIGPIPE, signal.SIGXFSZ)
    try:
        return os.posix_spawnp(argv[0], argv, environment, setsigmask=mask, setsigdef=reset)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
    # A script without `#!` runs in a shell, as execvp(3) has it.
    argv = [_SHELL, _found(argv[0]), *argv[1:]]
    return os.posix_spawn(_SHELL, argv, environment, setsigmask=mask, setsigdef=reset)


def _found(name: bytes) -> bytes:
    if b"/" in name:
        return name
    paths = (os.path.join(os.fsencode(folder), name) for folder in os.get_exec_path())  # noqa: PTH118 - bytes
    return next((path for path in paths if os.access(path, os.X_OK)), name)


def _is_below(pid: int) -> bool:
    """Whether a process descends from us. Raises OSError when it is gone."""
    for _ in range(_ANCESTORS):
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        pid = int(stat.rpartition(b")")[2].split()[_PARENT_FIELD])
        if pid == os.getpid():
            return True
        if pid <= 1:
            return False
    return False


def _prctl(option: int, value: int) -> None:
    """Ask, and take no for an answer: everything else works without."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)
