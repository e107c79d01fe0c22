"""A real Slurm of one node: munged, slurmctld and slurmd on loopback, with our script as prolog and epilog.

Everything is in one folder, and nothing is installed or changed on the machine but control groups of our own.
Which release it is, PATH decides. As root, jobs may be other users'; otherwise all are one's own.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gputally.node.identity.slurm import SlurmRecords
from tests.slurm.configuration import GPUS, configure, free_ports, trackings
from tests.slurm.unified import prefix, remove_groups

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPT = Path(__file__).parents[3] / "systemd" / "slurm" / "gputally-record.sh"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
PATIENCE_S = 60
ACTIVE = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED"}


class NotReady(Exception):
    """It did not get there; the text has the ends of the logs."""


class Slurm:
    """A cluster that runs. Job ids are Slurm's own numbers, as text; each task of an array has one."""

    def __init__(self, folder: Path, tracking: str = "") -> None:
        """Nothing runs yet. `tracking` instead of the best that the machine has: see below."""
        self.folder = folder
        self.records_folder = folder / "records"
        self.node = f"gputally{os.getpid()}"
        # Other users' jobs start from scripts in here, and pytest's folders are closed to them.
        self._spool = Path(tempfile.mkdtemp(prefix="gputally-slurm-"))
        self._spool.chmod(0o755)
        self.tracking = ""  # cgroup/v1 | cgroup/v2 | linuxproc
        self.no_cgroups = "cgroups cannot be made here"  # why it is not one of the first two
        self._trackings = (tracking,) if tracking else tuple(trackings())
        self.version = _output("slurmd", "-V").split()[-1]
        self.reader = SlurmRecords(self.records_folder)
        self._daemons: list[subprocess.Popen[bytes]] = []
        self._environment = os.environ | {"SLURM_CONF": str(folder / "etc" / "slurm.conf")}

    def start(self) -> None:
        """Start with the best way of holding a job's processes together that this machine has."""
        ports = free_ports()
        for name in ("etc", "state", "prolog.d", "epilog.d"):
            (self.folder / name).mkdir()
        for name in ("prolog.d", "epilog.d"):
            hook = self.folder / name / "50-gputally"
            hook.write_text(
                f"#!/bin/sh\nGPUTALLY_SLURM_CONFIG={self.folder}/record.env exec {shlex.quote(str(SCRIPT))}\n"
            )
            hook.chmod(0o755)
        self.ask_controller(yes=True)
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        self._daemon(
            "munged",
            "munged",
            "--force",
            "--foreground",
            f"--key-file={key}",
            "--num-threads=2",
            f"--socket={self.folder}/munge.socket",
            f"--pid-file={self.folder}/munged.pid",
            f"--log-file={self.folder}/munged.log",
            f"--seed-file={self.folder}/munged.seed",
        )
        self._until((self.folder / "munge.socket").exists, "munged")
        for tracking in self._trackings:
            self.tracking = tracking
            configure(self.folder, self._spool, self.node, self.tracking, ports)
            if self._starts():
                return
            self.no_cgroups = self._logs(f"{self.tracking} did not work")
        raise NotReady(self._logs("slurmd does not run"))

    def _starts(self) -> bool:
        controller = self._daemon("slurmctld", "slurmctld", "-D", "-c", "-i")
        enter = prefix(self.folder) if self.tracking == "cgroup/v2" else ()
        slurmd = self._daemon("slurmd", *enter, "slurmd", "-D", "-N", self.node)
        self._until(lambda: slurmd.poll() is not None or self.node_state() == "idle", "node that is idle")
        if slurmd.poll() is not None:
            _stop(controller)
        return slurmd.poll() is None

    def stop(self) -> None:
        """End the jobs, then the daemons, and take away the control groups."""
        try:
            self._end_jobs()
        finally:
            for daemon in reversed(self._daemons):
                _stop(daemon)
            remove_groups(self.node)
            shutil.rmtree(self._spool)

    def ask_controller(self, *, yes: bool) -> None:
        """Whether prolog and epilog ask squeue, from the next job on."""
        self.settings(
            FOLDER=str(self.records_folder), SQUEUE="squeue" if yes else "", DEVICES=",".join(map(str, GPUS))
        )

    def settings(self, **settings: str) -> None:
        """What stands in the script's file of settings, from the next job on."""
        (self.folder / "record.env").write_text("".join(f"{k}={v}\n" for k, v in settings.items()))

    def submit(self, script: str, *options: str) -> str:
        """Queue a job that runs this line of shell, and say its id: of an array the first."""
        return self._run(
            "sbatch", "--parsable", "--output=/dev/null", "--chdir=/", *options, f"--wrap={script}"
        ).strip()

    def tasks(self, array: str) -> dict[int, str]:
        """Ids of an array's jobs by their number in it; those that wait have none of their own yet."""
        lines = self._run(
            "squeue", "--noheader", "--states=all", f"--jobs={array}", "--format=%K %A"
        ).splitlines()
        return {int(task): job for task, job in map(str.split, lines) if task.isdigit()}

    def state(self, job: str) -> str:
        """What Slurm says of a job: RUNNING, COMPLETED, FAILED, CANCELLED, TIMEOUT..."""
        return self._states(job)[job]

    def wait(self, job: str, *states: str) -> str:
        """Wait for one of these states, without any for the job's end, epilog included."""

        def there() -> bool:
            state = self.state(job)
            return state in states if states else state not in ACTIVE

        self._until(there, f"job {job} in {states or 'its end'}")
        return self.state(job)

    def wait_for_processes(self, job: str) -> tuple[int, ...]:
        """Wait until a job's own processes run; Slurm calls it running before that, while the prolog runs."""
        self._until(lambda: bool(self.pids(job)), f"process of job {job}")
        return self.pids(job)

    def cancel(self, job: str) -> None:
        """As its user would."""
        self._run("scancel", job)

    def requeue(self, job: str) -> None:
        """Take a running job from its node and queue it again, as its user may; it starts after seconds."""
        self._run("scontrol", "requeue", job)
        self._until(lambda: self.state(job) == "PENDING", f"job {job} in the queue again")

    def limit(self, job: str, seconds: int) -> None:
        """Let the job's time be over so many seconds from now; sbatch knows only minutes."""
        self._run("scontrol", "update", f"JobId={job}", f"EndTime=now+{seconds}")

    def pids(self, job: str) -> tuple[int, ...]:
        """Processes of a job that runs, as Slurm itself holds them together."""
        lines = self._run("scontrol", "listpids", job, self.node, check=False).splitlines()[1:]
        pids = (int(line.split()[0]) for line in lines)
        return tuple(pid for pid in pids if pid > 0)  # -1 stands for a step that is being started

    def _end_jobs(self) -> None:
        jobs = self._run("squeue", "--noheader", "--format=%A", check=False).split()
        if jobs:
            self._run("scancel", "--signal=KILL", *jobs, check=False)
            self._run("scancel", *jobs, check=False)
            self._until(lambda: not self._states(), "end of all jobs")

    def _daemon(self, log: str, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{log}.out").open("ab") as out:
            daemon = subprocess.Popen(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        self._daemons.append(daemon)
        return daemon

    def _run(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
        if check and done.returncode:
            raise NotReady(self._logs(f"{shlex.join(command)}: {done.stderr}"))
        return done.stdout

    def node_state(self) -> str:
        """What Slurm says of its one node: idle, mixed, drained..."""
        return self._run("sinfo", "--noheader", "--format=%T", check=False).strip()

    def _states(self, job: str = "") -> dict[str, str]:
        which = ("--states=all", f"--jobs={job}") if job else ()
        return dict(line.split() for line in self._squeue("%A %T", *which).splitlines())

    def _squeue(self, form: str, *which: str) -> str:
        return self._run("squeue", "--noheader", f"--format={form}", *which)

    def _until(self, there: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not there():
            if time.monotonic() > end:
                raise NotReady(self._logs(f"no {what} within {PATIENCE_S} s"))
            time.sleep(0.05)

    def _logs(self, why: str) -> str:
        ends = (
            f"{path.name}:\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
            for path in sorted(self.folder.glob("*.out"))
        )
        return "\n".join((why, *ends))


def missing() -> list[str]:
    """Programs that are not on PATH."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(10)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
