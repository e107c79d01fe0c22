"""What is known of one job, and the sighting that is shown of it. Pure but for the names of users.

A sighting never takes back what it has said: later looks fill in what was empty, and a user's number when the
directory service has told the name. So the same job has the same labels for as long as it is remembered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from gputally.config.teams import TeamRule
from gputally.model import UNASSIGNED, Instant, Job
from gputally.node.identity.owners import USER_LIMIT, OwnerNames
from gputally.node.identity.protocol import Evidence, Sighting
from gputally.node.identity.teams import Belonging, team
from gputally.node.labels import label_text

NO_EVIDENCE = Evidence()
_SAID_ONCE = ("user", "account", "namespace", "job_name", "model", "claim")


@dataclass(slots=True)
class Dossier:
    """One job. Texts are as their sources gave them."""

    job_id: str
    scheduler: str
    identity: str
    start_seconds: float = 0.0
    evidence: Evidence = NO_EVIDENCE
    scheduled: bool = False
    uid: int | None = None  # whose it is where no record names the user; None = nobody's on this machine
    user: str = ""
    account: str = ""
    namespace: str = ""
    units: tuple[str, ...] = ()
    job_name: str = ""
    spare_name: str = ""  # where nobody gives it a better one
    model: str = ""
    claim: str = ""  # to a team, by its user
    key: str = ""  # of the record that may tell more later: Slurm's number or SLUID, a pod's UID
    refused: bool = False  # the claim was
    shown: Sighting | None = None

    @property
    def complete(self) -> bool:
        """Whether a later look at records and users can add nothing."""
        job = self.shown.job if self.shown is not None else None
        return job is not None and not self.key and not job.user.isdecimal()

    def absorb(self, other: "Dossier") -> None:
        """Take from another look at the same job what this one did not know."""
        for name in _SAID_ONCE:
            if not getattr(self, name):
                setattr(self, name, getattr(other, name))
        self.uid = other.uid if self.uid is None else self.uid
        self.key = self.key and other.key
        mine, its = self.evidence, other.evidence
        self.evidence = Evidence(
            mine.record or its.record,
            mine.cgroup or its.cgroup,
            mine.leader or its.leader,
            mine.boot_id or its.boot_id,
        )

    def settle(self, rules: Sequence[TeamRule], owners: OwnerNames, now: Instant) -> Sighting:
        """Say what is known; the very same object as before if nothing is new."""
        job = self._job(rules, owners, now)
        if self.shown is not None:
            job = _kept(self.shown.job, job)
            if job == self.shown.job and self.evidence == self.shown.evidence:
                return self.shown
        self.shown = Sighting(job, self.start_seconds, self.evidence, self.scheduled)
        return self.shown

    def _job(self, rules: Sequence[TeamRule], owners: OwnerNames, now: Instant) -> Job:
        user, claim = self.user, self.claim
        if not user and self.uid is not None:
            user = owners.name(self.uid, now.boot_ns)
            claim = "" if owners.awaits(self.uid) else claim  # a rule for the user may still decide
        user = label_text(user, USER_LIMIT)
        belonging = Belonging(self.account, self.namespace, self.units, user)
        if self.shown is None or self.shown.job.team == UNASSIGNED:
            whose, refused = team(rules, belonging, claim)
            self.refused = self.refused or refused
        else:
            whose = self.shown.job.team
        return Job(
            job_id=self.job_id,
            scheduler=self.scheduler,
            user=user,
            team=whose,
            job_name=label_text(self.job_name or self.spare_name),
            model=label_text(self.model),
            identity=self.identity,
        )


def _kept(said: Job, new: Job) -> Job:
    """The job as it was said, with what was empty then."""
    changes = {
        field.name: getattr(new, field.name)
        for field in fields(Job)
        if getattr(said, field.name) in ("", UNASSIGNED) and getattr(new, field.name)
    }
    if said.user.isdecimal() and new.user and not new.user.isdecimal():
        changes["user"] = new.user
    return replace(said, **changes) if changes else said
