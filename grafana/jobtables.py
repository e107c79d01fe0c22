"""One job in tables: its names, its course, its GPUs, its processes, the bands of the tariff."""

from grafana import jobnumbers
from grafana.joblists import CODES
from grafana.jobs import STATES
from grafana.ledger import ENERGY, SHARE, WASTE
from grafana.panels import Look
from grafana.queries import ONE_JOB, Json
from grafana.tables import Column, joined, link, or_said, table, to_gpu, to_machine, words

_BY_GPU = "cluster, instance, gpu, uuid"
_MONEY = Look("none")  # of a job of seconds it is less than a cent
_DATE = Look("time:MM-DD HH:mm")
_GONE = "No such job in this time range"


def names() -> Json:
    """Whose it is, and what it is called."""
    latest = f"topk {jobnumbers.BY_JOB} (1, {jobnumbers.last_seen()})"
    columns = [
        *joined("cluster"),
        Column("Job", name="job_id", width=190),
        Column("Name", name="job_name", width=180),
        Column("User", name="user", link=link("gputally-jobs", "Their jobs", user="")),
        Column("Team", name="team", link=link("gputally-teams", "The team", team="")),
        Column("AI model", name="model", link=link("gputally-jobs", "Its jobs", model="")),
        Column("Scheduler", name="scheduler"),
        Column("Seen", expr=latest, hidden=True),
    ]
    body = table(
        "Whose job is it?",
        "Its names as they were last seen in the time range. Job ids are the scheduler's: where two "
        "clusters have the same, each has a row, and the numbers below are of both until one cluster is "
        "chosen.",
        columns,
    )
    return or_said(body, _GONE)


def course() -> Json:
    """How it goes, or went."""
    said = {"0": ("vanished", "orange")}
    said |= {str(code): (name, STATES[name]) for code, name in enumerate(CODES, start=1)}
    columns = [
        *joined("cluster", "job_id"),
        Column("State", expr=jobnumbers.state(CODES), cell="color-text", mappings=(words(said),)),
        Column("Began", expr=f"1000 * {jobnumbers.began()}", look=_DATE),
        Column("Ended", expr=f"1000 * {jobnumbers.ended()}", look=_DATE),
        Column("Until", expr=f"1000 * ({jobnumbers.until()})", hidden=True),
        Column("Runtime", made_of=("Until", "-", "Began"), look=Look("ms", decimals=1)),
        Column("GPUs", expr=jobnumbers.gpus(), look=Look("none", decimals=0), width=60),
        Column("Exit code", expr=jobnumbers.exit_code(), look=Look("none", decimals=0)),
    ]
    body = table(
        "How does it go?",
        "Its state, the worst of its machines'; vanished: it ran, and its machine was gone before anybody "
        "said how it ended. GPUs: how many it has had. Ended and Exit code are there once they are "
        "known.",
        columns,
    )
    return or_said(body, _GONE)


def gpus() -> Json:
    """What it does on each of its GPUs, and what it has used there."""
    here = f"rate(gpu_job_energy_joules_total{{{ONE_JOB}}}[$__rate_interval])"
    now = f"({here} and on (cluster, instance, job_id) {jobnumbers.RUNS})"
    busy = f"gpu_utilization_ratio{{}} and on (cluster, instance, uuid) {now}"
    memory = f"sum by ({_BY_GPU}) (gpu_process_memory_bytes{{{ONE_JOB}}})"
    columns = [
        *joined("cluster", "uuid"),
        Column("Machine", name="instance", link=to_machine()),
        Column("GPU", name="gpu", width=60, link=to_gpu()),
        Column("Utilisation now", expr=f"max by ({_BY_GPU}) ({busy})", look=SHARE, cell="basic"),
        Column("Memory now", expr=memory, look=Look("bytes", decimals=1), width=110),
        Column("Power now", expr=f"sum by ({_BY_GPU}) ({now})", look=Look("watt"), width=100),
        Column("Active energy", expr=_energy("active"), look=ENERGY, width=110),
        Column("Baseline", expr=_energy("idle"), look=ENERGY, width=110),
        Column("Energy", made_of=("Active energy", "+", "Baseline"), look=ENERGY, width=110),
        Column("Baseline of energy", made_of=("Baseline", "/", "Energy"), look=WASTE, cell="basic"),
    ]
    body = table(
        "Its GPUs",
        "What the job used on each GPU that it held in the time range: active, and its part of what the GPU "
        "draws when idle. Now: while it runs; utilisation is the whole GPU's, memory that of the job's own "
        "processes.",
        columns,
        sort=("Machine", "GPU"),
    )
    return or_said(body, _GONE)


def processes() -> Json:
    """Its programs, while there are any."""
    by = f"{_BY_GPU}, pid, process, user"
    memory = f"max by ({by}) (gpu_process_memory_bytes{{{ONE_JOB}}})"
    share = f"max by ({by}) (gpu_process_utilization_ratio{{{ONE_JOB}}})"
    columns = [
        *joined("cluster", "uuid"),
        Column("Machine", name="instance", link=to_machine()),
        Column("GPU", name="gpu", width=60, link=to_gpu()),
        Column("PID", name="pid", width=90),
        Column("Process", name="process"),
        Column("User", name="user"),
        Column("Memory", expr=memory, look=Look("bytes", decimals=1), width=100),
        Column("SM share", expr=share, look=SHARE, cell="basic"),
    ]
    body = table(
        "Its processes",
        "Programs of the job that are on a GPU at the end of the time range.",
        columns,
        sort=("Machine", "GPU"),
    )
    return or_said(body, "No process at the end of the time range: the job has ended, or shows none")


def bands() -> Json:
    """When it ran, as the tariff sees it."""
    used = f"sum by (cluster, tariff) ({jobnumbers.total('gpu_job_energy_by_tariff_joules_total', 'tariff')})"
    price = (
        "max by (cluster, tariff, currency) (site_electricity_price_per_kwh{})"
        " * on (cluster) group_left () max by (cluster) (site_pue_ratio{})"
    )
    columns = [
        *joined("cluster", "currency"),
        Column("Band", name="tariff", width=85),
        Column("Energy", expr=f"{used} / 3.6e6", look=ENERGY, width=85, needed=True),
        Column("Price", expr=price, hidden=True),
        Column("At prices now", made_of=("Energy", "*", "Price"), look=_MONEY, width=105),
    ]
    body = table(
        "Energy by tariff band ($currency)",
        "In which bands of the tariff the job used its energy, and what that comes to at the prices now in "
        "force, PUE included. What it really cost, at the prices of its moments, is in the tile.",
        columns,
        sort=("Energy",),
        descending=True,
    )
    return or_said(body, _GONE)


def _energy(component: str) -> str:
    used = jobnumbers.reached("gpu_job_energy_joules_total", "gpu", "uuid", only=f'component="{component}"')
    return f"sum by ({_BY_GPU}) ({used}) / 3.6e6"
