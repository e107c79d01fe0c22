"""What one job has come to, in PromQL: from its own counters, machine by machine.

So a job whose machines end one by one is whole. The agents keep a job's series for five minutes after its
end, Prometheus for as long as it keeps anything: its last words are found where the page's range has its end.
"""

from grafana.queries import ONE_JOB

from gputally.report.questions import ENERGY_LABELS, JOB_LABELS, MACHINE_LABELS

BY_JOB = f"by ({', '.join(JOB_LABELS)})"
SAME_JOB = f"on ({', '.join(JOB_LABELS)})"
RUNS = f'gpu_job_state{{{ONE_JOB}, state="running"}}'
# A look every two minutes misses nothing of what stays for five, and is quick over a month of many GPUs.
_LOOK = "2m"
_IN_RANGE = f"{{{ONE_JOB}}}[$__range]"


def reached(counter: str, *by: str, only: str = "") -> str:
    """The highest value on each of the job's machines, by labels."""
    series = f"{counter}{{{', '.join(part for part in (ONE_JOB, only) if part)}}}"
    labels = ", ".join((*MACHINE_LABELS, *by))
    return f"max by ({labels}) ({series} or max_over_time({series}[$__range:{_LOOK}]))"


def total(counter: str, *by: str) -> str:
    """The same of all its machines together."""
    return f"sum by ({', '.join((*JOB_LABELS, *by))}) ({reached(counter, *by)})"


def kwh() -> str:
    """Energy: card by card, so that one which changes its index under way is there once."""
    return f"sum {BY_JOB} ({reached('gpu_job_energy_joules_total', *ENERGY_LABELS)}) / 3.6e6"


def gpus() -> str:
    """How many it has had."""
    cards = reached("gpu_job_energy_joules_total", "uuid")
    return f"count {BY_JOB} ({cards})"


def gpu_hours() -> str:
    """For how many it held GPUs."""
    return f"{total('gpu_job_gpu_seconds_total')} / 3600"


def began() -> str:
    """Unix time, on the first of its machines."""
    return f"min {BY_JOB} (min_over_time(gpu_job_start_time_seconds{_IN_RANGE}))"


def ended() -> str:
    """Unix time, on the last of its machines; nothing while one of them goes on."""
    end = f"max {BY_JOB} (max_over_time(gpu_job_end_time_seconds{_IN_RANGE}))"
    return f"({end} unless {SAME_JOB} {RUNS})"


def until() -> str:
    """The same; while it runs, now; of a job that has vanished, when it was last seen."""
    now = f"time() + 0 * max {BY_JOB} ({RUNS})"
    return f"{ended()} or {SAME_JOB} ({now}) or {SAME_JOB} max {BY_JOB} ({last_seen()})"


def exit_code() -> str:
    """Of the machine on which it ended worst."""
    return f"max {BY_JOB} (max_over_time(gpu_job_exit_code{_IN_RANGE}))"


def last_seen() -> str:
    """When, under each of its names: some become known while it runs."""
    looked = f"timestamp(gpu_job_info{{{ONE_JOB}}})"
    names = "user, team, job_name, model, scheduler"
    return f"max by (cluster, job_id, {names}) ({looked} or max_over_time({looked}[$__range:{_LOOK}]))"


def state(codes: tuple[str, ...]) -> str:
    """The number of its state, the worst of its machines'; 0 where it was seen running and no more."""

    def was(name: str) -> str:
        return f'max_over_time(gpu_job_state{{{ONE_JOB}, state="{name}"}}[$__range])'

    running, *ends = codes
    end = " or ".join(f"{number} * {was(name)}" for number, name in enumerate(ends, start=2))
    return f"max {BY_JOB} ({RUNS}) or max {BY_JOB} ({end}) or 0 * max {BY_JOB} ({was(running)})"
