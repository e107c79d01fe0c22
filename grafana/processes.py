"""Who is on the cards: processes as nvtop lists them, and the jobs that they belong to."""

from grafana.livecards import CHOSEN
from grafana.panels import Look
from grafana.queries import Json, unit_of
from grafana.tables import Column, joined, link, table

_BY = "max by (cluster, instance, gpu, pid, process, user, job_id)"
_SHARE = Look(unit_of("gpu_process_utilization_ratio"), ((None, "blue"),), decimals=0, minimum=0, maximum=1)


def processes() -> Json:
    """One row for each process on each card."""
    memory = Look(unit_of("gpu_process_memory_bytes"), ((None, "purple"),), decimals=1)
    to_job = link("gputally-job", "This job", job_id="")
    columns = [
        *joined("cluster"),
        Column("GPU", name="gpu", width=55),
        Column("PID", name="pid", width=85),
        Column("Program", name="process"),
        Column("Memory", expr=f"{_BY} (gpu_process_memory_bytes{{{CHOSEN}}})", look=memory, width=95),
        Column(
            "SM share",
            expr=f"{_BY} (gpu_process_utilization_ratio{{{CHOSEN}}})",
            look=_SHARE,
            cell="basic",
            width=160,
        ),
        Column("User", name="user", width=100),
        Column("Job", name="job_id", link=to_job),
        Column("Machine", name="instance"),
    ]
    return table(
        "Processes",
        "Processes on the chosen GPUs: device memory, and the share of the multiprocessors' time that each "
        "used. Beyond 64 a GPU they stand together as other.",
        columns,
        sort=("Memory",),
        descending=True,
    )


def cards() -> Json:
    """What the cards are, in full."""
    of_card = "max by (cluster, instance, gpu, name, uuid, serial, pci_bus_id, vbios_version)"
    columns = [
        *joined("cluster", "instance"),
        Column("GPU", name="gpu", width=48),
        Column("Model", name="name", width=190),
        Column("UUID", name="uuid", width=352),
        Column("Serial", name="serial", width=120),
        Column("PCI address", name="pci_bus_id", width=142),
        Column("VBIOS", name="vbios_version"),
        Column("Cards", expr=f"{of_card} (gpu_info{{{CHOSEN}}})", hidden=True),
    ]
    return table(
        "Cards",
        "Names and numbers of the chosen cards, for a tool, a tariff or a guarantee.",
        columns,
        sort=("GPU",),
    )
