"""Real processes that stand on fake GPUs, the jobs that they become, and sums that hold in every scrape."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.agent.metering import IDLE, counted_mj, is_up, true_mj, uuid_of
from tests.agent.running import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.agent.running import RunningAgent, Scrape, Watch
    from tests.fakenvml import FakeGpu

ENERGY = "gpu_job_energy_joules_total"
NOBODYS = "gpu_unattributed_energy_joules_total"
TEAMS = "gpu_team_energy_joules_total"
START_S = 1.0  # how exactly a start or an end must be known
_BY_JOB = {
    f"gpu_job_{what}_total": f"gpu_team_{what}_total"
    for what in ("energy_joules", "gpu_seconds", "busy_seconds")
}


# A program from which commands are started is known by its name: each that it starts is a job of its own.
_STARTER = """
while read -r verb rest; do
    case $verb in
    start) setsid $rest <&3 >/dev/null & echo $! ;;
    wait) wait $rest; echo $rest ;;
    esac
done 3</dev/null
"""


class Programs:
    """Programs that do nothing, each a command of its own as if from a terminal. All end with the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: list[subprocess.Popen[bytes]] = []
        self._pids: set[int] = set()
        folder.mkdir()
        self._starter = self.spawn(
            [str(self._copy("sh", "screen")), "-c", _STARTER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it says who was killed
        )

    def start(self, name: str = "worker", user: str = "") -> int:
        """Start a copy of sleep with this name, or sleep itself as another user; its PID."""
        if user:
            name, command = "sleep", f"setpriv --reuid={user} --clear-groups sleep"
        else:
            command = str(self._copy("sleep", name))
        pid = self._ask(f"start {command} 300")
        self._pids.add(pid)
        _soon(lambda: Path(f"/proc/{pid}/comm").read_text() == f"{name}\n")
        return pid

    def end(self, pid: int) -> None:
        """End a program, and wait until its PID is free."""
        os.kill(pid, signal.SIGKILL)
        self._pids.remove(pid)
        assert self._ask(f"wait {pid}") == pid

    def _ask(self, line: str) -> int:
        assert self._starter.stdin is not None
        assert self._starter.stdout is not None
        self._starter.stdin.write(f"{line}\n".encode())
        self._starter.stdin.flush()
        return int(self._starter.stdout.readline())

    def _copy(self, name: str, as_name: str) -> Path:
        program, original = self._folder / as_name, shutil.which(name)
        assert original is not None
        if not program.exists():
            shutil.copy(Path(original).resolve(), program)
        return program

    def spawn(self, command: list[str], **more: object) -> subprocess.Popen[bytes]:
        """Start anything in a session of its own."""
        self._children.append(subprocess.Popen(command, start_new_session=True, **more))  # type: ignore[call-overload]
        return self._children[-1]

    def run(
        self, folder: Path, *options: str, arguments: Iterable[str] = (), env: dict[str, str] | None = None
    ) -> Wrapped:
        """Start a command under `gputally run` that ends when it is told to."""
        wrapper = [str(PROGRAM), "run", f"--runs.dir={folder}", *options, "--"]
        command = ["sh", "-c", "read code; exit $code", "sh", *arguments]
        return Wrapped(self.spawn([*wrapper, *command], stdin=subprocess.PIPE, env=env))

    def close(self) -> None:
        """End all."""
        for pid in self._pids:
            os.kill(pid, signal.SIGKILL)
        for child in self._children:
            child.kill()
        for child in self._children:
            child.communicate()


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """Programs that end with the test."""
    made = Programs(tmp_path / "programs")
    yield made
    made.close()


class Wrapped:
    """A command under `gputally run`."""

    def __init__(self, wrapper: subprocess.Popen[bytes]) -> None:
        self.wrapper = wrapper
        self.pid = _soon(lambda: _child_of(wrapper.pid))  # of the command, which is what uses a GPU

    def end(self, code: int) -> int:
        """Let it exit with this status; that of the wrapper."""
        assert self.wrapper.stdin is not None
        self.wrapper.stdin.write(f"{code}\n".encode())
        self.wrapper.stdin.flush()
        return self.wrapper.wait(20)


def _child_of(pid: int) -> int:
    """The only child of a process when it has executed its program; 0 before that."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children and Path(f"/proc/{children[0]}/comm").read_text() == "sh\n" else 0


def _soon(find: Callable[[], int | bool], timeout_s: float = 20.0) -> int:
    deadline = time.monotonic() + timeout_s
    while not (found := find()):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return found


def start_with_pid(programs: Programs, pid: int, name: str) -> None:
    """Start a process that has the PID of one that is gone. Needs the right to choose (`ns_last_pid`)."""
    for _ in range(100):
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        got = programs.start(name)
        if got == pid:
            return
        programs.end(got)
    raise AssertionError(f"PID {pid} is taken")


def may_choose_pids() -> bool:
    """Whether this user may say which PID comes next."""
    return os.access("/proc/sys/kernel/ns_last_pid", os.W_OK) and os.getuid() == 0


def job_of(scrape: Scrape, pid: int) -> str | None:
    """The job that a process is shown with; None while it is shown with none."""
    found = scrape.series("gpu_process_memory_bytes", pid=str(pid))
    jobs = {dict(labels).get("job_id", "") for labels in found}
    assert len(jobs) <= 1, jobs
    return next(iter(jobs), "") or None


def wait_for_jobs(running: RunningAgent, *pids: int) -> list[str]:
    """Wait until all these processes have a job that is published; their ids."""

    def known(scrape: Scrape) -> bool:
        return all(state_of(scrape, job_of(scrape, pid) or "") == "running" for pid in pids)

    scrape = running.wait_until(known, what=f"jobs of {pids}")
    return [job_of(scrape, pid) or "" for pid in pids]


def settled(running: RunningAgent, *gpus: FakeGpu) -> Scrape:
    """No power any more, and all that was used is counted."""
    for gpu in gpus:
        gpu.power = IDLE
    time.sleep(max(2 * gpu.raw.energy_step_ns / 1e9 for gpu in gpus))  # the counter has one more step to make
    return running.wait_until(lambda s: all(is_up(s, g) and counted_mj(s, g) == true_mj(g) for g in gpus))


def state_of(scrape: Scrape, job_id: str) -> str | None:
    """State of a job; None where there is none."""
    return scrape.label("gpu_job_state", "state", job_id=job_id)


def job_mj(scrape: Scrape, job_id: str, gpu: FakeGpu | None = None) -> int:
    """Energy of a job, on one GPU or all, of either component."""
    labels = {"uuid": uuid_of(gpu)} if gpu is not None else {}
    return sum(mj(joules) for joules in scrape.series(ENERGY, job_id=job_id, **labels).values())


def nobodys_mj(scrape: Scrape, reason: str, gpu: FakeGpu | None = None) -> int:
    """Energy that is nobody's for a reason."""
    labels = {"uuid": uuid_of(gpu)} if gpu is not None else {}
    return sum(mj(joules) for joules in scrape.series(NOBODYS, reason=reason, **labels).values())


def mj(joules: float) -> int:
    """Whole millijoules of what was published."""
    return round(joules * 1000)


def assert_conserved(scrape: Scrape, off_mj: dict[str, int] | None = None) -> None:
    """All energy of each GPU is a job's or nobody's, and all of the jobs' is a team's; no rounding.

    `off_mj`: by UUID, what was metered while nothing was attributed.
    """
    metered: Counter[str] = Counter()
    owned: Counter[str] = Counter(off_mj or {})
    by_jobs: Counter[str] = Counter()
    by_teams: Counter[str] = Counter()
    for (name, labels), value in scrape.samples.items():
        if name == "gpu_energy_joules_total":
            metered[dict(labels)["uuid"]] = mj(value)
        elif name in (ENERGY, NOBODYS):
            owned[dict(labels)["uuid"]] += mj(value)
        if name in _BY_JOB:
            by_jobs[_BY_JOB[name]] += round(value * 1e9)
        elif name in _BY_JOB.values():
            by_teams[name] += round(value * 1e9)
    assert owned == metered, f"owned and metered mJ by GPU\n{scrape.body}"
    assert by_jobs == by_teams, scrape.body


def assert_all_conserved(running: RunningAgent, watch: Watch) -> None:
    """So in each scrape of a watch, and now; but for those before the first tick of an agent."""
    checked = [s for s in (*watch.scrapes, running.scrape()) if s.series("gpu_energy_joules_total")]
    assert checked
    for scrape in checked:
        assert_conserved(scrape)
