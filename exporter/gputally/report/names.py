"""Who was there: the cards and the jobs of a range, with their names. Joined by uuid, cluster and job_id."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from gputally.model.elsewhere import OutsideJob
from gputally.report import questions
from gputally.report.answers import Sample
from gputally.report.asking import Inquiry, Task
from gputally.report.ranges import DAY_S, Part

JOB_NAMES = ("user", "team", "job_name", "model", "scheduler")
RUNNING, VANISHED = "running", "vanished"
# Where the parts of a job ended differently, the worst says how the job ended.
_STATES = ("failed", "timeout", "cancelled", "ended", "completed")
_NOTHING = ("", "unassigned")
_AT_ONCE_S = 240  # its series stay for at least 300 s after its end
_LATEST_S = 4_000_000_000  # a time of day that no calendar has is no time: the job's is then not known
JobKey = tuple[str, str]  # cluster, job_id


@dataclass(slots=True)
class Job:
    """One job, on however many machines."""

    names: dict[str, str] = field(default_factory=dict)
    places: dict[str, set[str]] = field(default_factory=dict)  # machine -> states that it showed there
    running: set[str] = field(default_factory=set)  # machines on which it runs at the end of the range
    ends_s: dict[str, Decimal] = field(default_factory=dict)  # machine -> when it ended there
    start_s: Decimal | None = None
    told: OutsideJob | None = None  # what a ledger says of it
    is_measured: bool = True

    @property
    def state(self) -> str:
        """How it ended, or that it runs; vanished where its machine was gone before anybody said."""
        if self.told is not None and not self.told.running:
            return self.told.status
        if self.running:
            return RUNNING
        ended = set().union(*self.places.values()) - {RUNNING}
        return next((state for state in _STATES if state in ended), min(ended, default=VANISHED))

    @property
    def end_s(self) -> Decimal | None:
        """When it ended everywhere; None while it runs, and where nobody saw the end."""
        return max(self.ends_s.values()) if self.ends_s and not self.running else None

    @property
    def is_uneven(self) -> bool:
        """Whether it left one machine long before another: the sum over machines was never seen at once."""
        if len(self.places) < 2 or self.running >= self.places.keys():
            return False
        ends = self.ends_s.values()
        return len(ends) < len(self.places) or max(ends) - min(ends) > _AT_ONCE_S

    def within(self, from_s: int, until_s: int) -> bool:
        """Whether it ran at any time of the range. Its series are there for a while after its end."""
        began = self.start_s is None or self.start_s < until_s
        return began and (self.end_s is None or self.end_s > from_s)


def find_jobs(inquiry: Inquiry) -> dict[JobKey, Job]:
    """The jobs of the range. One that ended within its last minutes is known by its end afterwards."""
    jobs: dict[JobKey, Job] = {}
    for task, samples in inquiry.answers(list(_job_tasks(inquiry))):
        for sample in samples:
            _learn(jobs.setdefault(_job_key(sample), Job()), task.column, sample)
    for sample in inquiry.now('group by (cluster, job_id, instance) (gpu_job_state{state="running"})'):
        instance = sample.labels.get("instance", "")
        job = jobs.get(_job_key(sample))
        # The scrape that says so may be older than the end.
        if job is not None and job.ends_s.get(instance, after(inquiry) + 1) > inquiry.range.until_s:
            job.running.add(instance)
    return {key: job for key, job in jobs.items() if job.within(inquiry.range.from_s, inquiry.range.until_s)}


def after(inquiry: Inquiry) -> int:
    """When a job that ended at the end of the range has surely been scraped, and is surely still there."""
    return min(inquiry.range.until_s + 240, max(inquiry.now_s, inquiry.range.until_s))


def _job_tasks(inquiry: Inquiry) -> Iterator[Task]:
    parts = list(inquiry.range.parts())
    last = parts[-1]
    parts[-1] = Part(last.from_s, after(inquiry))
    job, machine = questions.JOB_LABELS, questions.MACHINE_LABELS
    asked = {
        "info": lambda span: questions.seen("gpu_job_info", (*job, *JOB_NAMES), span),
        "state": lambda span: questions.seen("gpu_job_state", (*machine, "state"), span),
        "start": lambda span: questions.first("gpu_job_start_time_seconds", job, span),
        "end": lambda span: questions.seen("gpu_job_end_time_seconds", machine, span),
    }
    for column, question in asked.items():
        for part in parts:
            yield Task(column, question, part)


def _job_key(sample: Sample) -> JobKey:
    cluster, job_id = sample.key(questions.JOB_LABELS)
    return cluster, job_id


def _learn(job: Job, column: str, sample: Sample) -> None:
    instance = sample.labels.get("instance", "")
    if column == "info":
        names = {name: sample.labels.get(name, "") for name in JOB_NAMES}
        if _known(names) >= _known(job.names):  # names come with time: the fuller ones are the later ones
            job.names = names
    elif column == "state":
        job.places.setdefault(instance, set()).add(sample.labels.get("state", ""))
    elif not 0 <= sample.value <= _LATEST_S:
        return
    elif column == "start":
        job.start_s = sample.value if job.start_s is None else min(job.start_s, sample.value)
    else:
        job.ends_s[instance] = max(job.ends_s.get(instance, sample.value), sample.value)


def _known(names: dict[str, str]) -> int:
    return sum(value not in _NOTHING for value in names.values())


@dataclass(frozen=True, slots=True)
class Card:
    """What a GPU is called and where it is; where it was moved, the last place."""

    gpu: str = ""
    instance: str = ""
    name: str = ""
    state: str = "gone"  # up | down | gone, at the end of the range

    def row(self) -> dict[str, str]:
        """What stands in the row of a card."""
        return {"instance": self.instance, "gpu": self.gpu, "name": self.name, "state": self.state}


CARD_LABELS = ("cluster", "uuid", "instance", "gpu")


def find_cards(inquiry: Inquiry) -> dict[tuple[str, str], Card]:
    """Cards of the range by cluster and uuid."""
    step = inquiry.range.step
    names: dict[tuple[str, ...], str] = {}
    tasks = [
        Task(
            "", lambda span: questions.seen_now_and_then("gpu_info", (*CARD_LABELS, "name"), span, step), part
        )
        for part in inquiry.range.parts()
    ]
    places: dict[tuple[str, str], tuple[str, ...]] = {}
    for _task, samples in inquiry.answers(tasks):
        for sample in samples:
            place = sample.key(CARD_LABELS)
            names[place] = sample.labels.get("name", "")
            places[place[0], place[1]] = place
    here = _now(inquiry)
    places.update({(place[0], place[1]): place for place in here})
    return {
        key: Card(place[3], place[2], names.get(place, ""), here.get(place, "gone"))
        for key, place in places.items()
    }


def _now(inquiry: Inquiry) -> dict[tuple[str, ...], str]:
    """Place -> whether it answers, at the end of the range."""
    by = ", ".join(CARD_LABELS)
    found = inquiry.now(f"max by ({by}) (gpu_up)")
    return {sample.key(CARD_LABELS): "up" if sample.value else "down" for sample in found}


def hours_up(inquiry: Inquiry, parts: Sequence[Part], where: str = "") -> Sequence[Task]:
    """For how many hours each card answered."""
    step_s = 60 if inquiry.range.seconds < DAY_S else 300
    # A second is left out: the beginning of a part belongs to the part before.
    return [
        Task(
            "gpu_hours",
            lambda span: questions.hours_up(("cluster", "uuid"), span, step_s, where),
            Part(part.from_s + 1, part.until_s, part.day),
        )
        for part in parts
    ]
