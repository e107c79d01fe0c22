"""From a process to the job that it works for.

In order of trust (model/job.py says what a job is):

1. Slurm: the prolog's record, or else the cgroup;
2. Kubernetes, LSF and PBS: the cgroup; the kubelet's folders name the pod;
3. containers of Docker, Podman and LXC: the cgroup. A rootless one is what its user says, so its job bears
   the user's number and cannot be taken for anybody else's;
4. `gputally run`: the record of its user about the user's own command;
5. a systemd service or scope of the system, one job for each run of it. Programs that it has started for
   other users are those users' commands;
6. a plain command of its owner (commands.py).

Inside the first three, `gputally run` only adds names, and so does the environment everywhere.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping

from gputally.model import Instant
from gputally.node.identity import units
from gputally.node.identity.commands import command_of
from gputally.node.identity.dossier import Dossier
from gputally.node.identity.environ import contradicts
from gputally.node.identity.facts import Facts, Reader, Roots
from gputally.node.identity.parts import Pods, RunRecords, SlurmRecord, SlurmRecords
from gputally.node.identity.proc import Folder, Process, boot_id
from gputally.node.identity.protocol import Evidence
from gputally.node.labels import label_text

_SHORT = 12  # characters of a container's id, as `docker ps` shows it
_REMEMBERED = 1024  # runs of Slurm jobs without a record
_UNIT_LIMIT = 100  # characters


class Resolver:
    """Judges processes. What a process or a record says never raises."""

    def __init__(
        self,
        roots: Roots,
        slurm: SlurmRecords | None = None,
        runs: RunRecords | None = None,
        pods: Pods | None = None,
        *,
        environment: bool = False,
    ) -> None:
        self.conflicts: Counter[str] = Counter()
        self.boot_id = boot_id(str(roots.proc))
        self._reader = Reader(roots, runs, self.boot_id, environment=environment)
        self._slurm, self._pods = slurm, pods
        self._reruns: dict[str, tuple[int, int]] = {}  # Slurm job -> inode of its cgroup, which run that is
        self._judges: Mapping[str, Callable[[Facts], Dossier]] = {
            "slurm": self._slurm_job,
            "kubernetes": self._pod,
            "docker": self._container,
            "podman": self._container,
            "lxc": self._lxc,
            "lsf": self._batch_job,
            "pbs": self._batch_job,
        }

    def resolve(self, folder: Folder, now: Instant) -> tuple[Process, Dossier]:
        """Whose a process is. Raises OSError where it has gone, ValueError where /proc makes no sense."""
        facts = self._reader.read(folder, now)
        if facts.where.lookalike:
            self.conflicts["lookalike"] += 1
        judge = self._judges.get(facts.where.kind)
        if judge is not None:
            dossier = judge(facts)
        else:
            dossier = self._run(facts) or self._unit(facts) or self._command(facts)
        for said in (facts.run, facts.claims):
            if said is not None:
                dossier.job_name = dossier.job_name or said.job_name
                dossier.model = dossier.model or said.model
                dossier.claim = dossier.claim or said.team
        return facts.process, dossier

    def complete(self, dossier: Dossier) -> None:
        """Ask the records again for what they did not know of a job."""
        if dossier.scheduler == "slurm":
            record = self._record(dossier.key)
            if record is not None and record.run_id == dossier.job_id:
                dossier.absorb(self.of_record(record))
                dossier.key = ""
        elif dossier.scheduler == "kubernetes":
            self._name_pod(dossier)

    def of_record(self, record: SlurmRecord) -> Dossier:
        """The job of a Slurm record, with or without a process."""
        return Dossier(
            job_id=label_text(record.run_id),
            scheduler="slurm",
            identity="record",
            start_seconds=record.start_seconds,
            evidence=Evidence(record=record.path, boot_id=self.boot_id),
            scheduled=True,
            user=record.user,
            account=record.account,
            job_name=record.job_name,
            model=record.comment_model,
        )

    def of_pod(self, uid: str, start_seconds: float, evidence: Evidence) -> Dossier:
        """The job of a pod, with or without a process. Nobody on this machine is its user."""
        dossier = Dossier(uid, "kubernetes", "cgroup", start_seconds, evidence, scheduled=True, key=uid)
        self._name_pod(dossier)
        return dossier

    def is_latest(self, job_id: str) -> bool:
        """Whether no later run of a Slurm job without a record has been seen."""
        number, _, run = job_id.partition("-r")
        return self._reruns.get(number, (0, 0))[1] <= (int(run) if run.isdecimal() else 0)

    def _record(self, key: str) -> SlurmRecord | None:
        if self._slurm is None or not key:
            return None
        return self._slurm.record_for(key) if key.isdigit() else self._slurm.record_for_sluid(key)

    def _slurm_job(self, facts: Facts) -> Dossier:
        key = facts.where.id
        record = self._record(key)
        number, sluid = (key, "") if key.isdigit() else ("", key)
        if contradicts(facts.claims, number if record is None else record.job_id, sluid):
            self.conflicts["environment"] += 1
        first = self._reader.first_inside(facts)
        if record is not None:
            dossier = self.of_record(record)
        else:
            dossier = Dossier(self._rerun(facts), "slurm", "cgroup", first.start_seconds(facts.now), key=key)
            dossier.scheduled = True
        dossier.uid = facts.process.uid if facts.where.uid is None else facts.where.uid
        dossier.evidence = self._reader.found_by(facts, first, dossier.evidence.record)
        return dossier

    def _rerun(self, facts: Facts) -> str:
        """Job id of a run that nobody has recorded: a job whose cgroup is another one has been requeued."""
        number = facts.where.id
        inode, run = self._reader.inode(facts), 0
        if inode:
            known = self._reruns.pop(number, (inode, 0))
            run = known[1] + (known[0] != inode)
            self._reruns[number] = (inode, run)
            if len(self._reruns) > _REMEMBERED:
                del self._reruns[next(iter(self._reruns))]
        return f"{number}-r{run}" if run else number

    def _pod(self, facts: Facts) -> Dossier:
        first = self._reader.first_inside(facts)
        found_by = self._reader.found_by(facts, first)
        return self.of_pod(facts.where.id, first.start_seconds(facts.now), found_by)

    def _name_pod(self, dossier: Dossier) -> None:
        pod = self._pods.pod(dossier.key) if self._pods is not None and dossier.key else None
        if pod is not None:
            dossier.namespace, dossier.job_name, dossier.key = pod.namespace, pod.name, ""
            dossier.identity = "record"

    def _container(self, facts: Facts) -> Dossier:
        where, name = facts.where, facts.where.id[:_SHORT]
        if where.owned:  # without the number, it could be given the name of somebody else's container
            name = f"{name}-u{where.uid}"
        dossier = self._inside(facts, f"{where.kind}-{name}", "owner" if where.owned else "cgroup")
        dossier.uid = where.uid if where.owned else facts.process.uid
        dossier.spare_name = label_text(facts.process.comm)
        return dossier

    def _lxc(self, facts: Facts) -> Dossier:
        """A container that bears a name for ever: each start of it is another job."""
        start = f"-{self._digest(self._reader.inode(facts))}" if facts.folder else ""
        dossier = self._inside(facts, f"lxc-{facts.where.id}{start}", "cgroup")
        dossier.spare_name = facts.where.id
        return dossier

    def _batch_job(self, facts: Facts) -> Dossier:
        dossier = self._inside(facts, facts.where.id, "cgroup")
        dossier.scheduled = True
        return dossier

    def _inside(self, facts: Facts, job_id: str, identity: str) -> Dossier:
        first = self._reader.first_inside(facts)
        dossier = Dossier(job_id, facts.where.kind, identity, first.start_seconds(facts.now))
        dossier.uid, dossier.units = facts.process.uid, facts.where.units
        dossier.evidence = self._reader.found_by(facts, first)
        return dossier

    def _run(self, facts: Facts) -> Dossier | None:
        if facts.run is None or facts.runner is None:
            return None
        dossier = Dossier(facts.run.job_id, "run", "record", facts.run.start_seconds)
        dossier.uid, dossier.units = facts.runner.uid, facts.where.units
        dossier.evidence = self._led_by(facts.runner, record=facts.run.path)
        return dossier

    def _unit(self, facts: Facts) -> Dossier | None:
        unit, process = facts.where.id, facts.process
        if facts.where.kind != "systemd" or units.is_gateway(unit):
            return None
        main, invocation = self._reader.main(facts)
        if main.uid != process.uid:
            return None
        run = invocation[: units.SHOWN] or self._digest(main.start_ticks)
        job_id = f"{label_text(unit, _UNIT_LIMIT)}-{run}"
        dossier = Dossier(job_id, "systemd", "unit", main.start_seconds(facts.now))
        dossier.uid, dossier.units = process.uid, facts.where.units
        dossier.spare_name = unit.rpartition(".")[0]
        dossier.evidence = self._led_by(main, cgroup=facts.folder)
        return dossier

    def _command(self, facts: Facts) -> Dossier:
        process, where = facts.process, facts.where
        leader, name = command_of(process, facts.line, self._reader.other)
        job_id = f"u{process.uid}-{leader.pid}-{leader.start_ticks}-{self.boot_id[:4]}".rstrip("-")
        dossier = Dossier(job_id, "process", "owner", leader.start_seconds(facts.now))
        dossier.uid, dossier.spare_name = process.uid, label_text(name)
        dossier.units = where.units if where.kind == "session" else ()
        dossier.evidence = self._led_by(leader)
        return dossier

    def _led_by(self, leader: Process, record: str = "", cgroup: str = "") -> Evidence:
        return Evidence(record, cgroup, (leader.pid, leader.start_ticks), self.boot_id)

    def _digest(self, number: int) -> str:
        """Eight hex digits that are others after a reboot, and for others of this boot."""
        text = f"{self.boot_id}:{number}".encode()
        return hashlib.blake2b(text, digest_size=units.SHOWN // 2).hexdigest()
