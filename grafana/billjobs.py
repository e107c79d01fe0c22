"""Jobs that ran elsewhere, added up: whose, on what, how they ended."""

from grafana.billcharges import CHARGE
from grafana.charts import Bars, bars
from grafana.ledger import HOURS
from grafana.panels import Look
from grafana.queries import Json, rows
from grafana.tables import Column, or_said, table, words
from grafana.transformations import sort_by

_BY = "provider, team, model, card, status"
_COUNT = Look("none", decimals=0)
_STATES = {
    "running": ("running", "blue"),
    "completed": ("completed", "green"),
    "failed": ("failed", "red"),
    "cancelled": ("cancelled", "text"),
    "timeout": ("timeout", "orange"),
    "out_of_memory": ("out of memory", "red"),
    "node_fail": ("node failed", "red"),
    "preempted": ("preempted", "orange"),
    "requeued": ("requeued", "text"),
    "ended": ("ended", "text"),
}


def jobs() -> Json:
    """One line for all that have these names in common; the jobs themselves are in no series."""
    columns = [
        Column("Provider", name="provider", filtered=True, width=100),
        Column("Team", name="team", filtered=True, width=100),
        Column("AI model", name="model", filtered=True),
        Column("Card", name="card", filtered=True),
        Column(
            "Ended", name="status", filtered=True, mappings=(words(_STATES),), cell="color-text", width=110
        ),
        Column("Jobs", expr=_asked("gpu_cloud_jobs"), look=_COUNT, width=70),
        Column("GPU hours", expr=_asked("gpu_cloud_job_gpu_hours"), look=HOURS, width=100),
    ]
    body = table(
        "Jobs elsewhere",
        "Jobs of the last 30 days that were imported, by what they have in common; a Slurm job has its "
        "cluster as provider. gputally jobs list shows them one by one, gputally report jobs beside our own.",
        columns,
        sort=("GPU hours",),
        descending=True,
    )
    return or_said(body, "No job is known: none was imported, or the site agent is not scraped")


def _asked(metric: str) -> str:
    return f"sum by ({_BY}) (max by (cluster, {_BY}) ({metric}{{{CHARGE}}}))"


def by_team() -> Json:
    """For how long, and to what end."""
    of_team = 'sum by (team) (team:gpu_cloud_job_gpu_hours:sum30d{status!="running"})'
    return bars(
        "GPU hours of jobs elsewhere, by team",
        "For how long jobs of each team that have ended held GPUs elsewhere, in the last 30 days.",
        [rows(of_team)],
        Look("none", ((None, "purple"),), decimals=0, minimum=0),
        Bars(
            {"team": "Team", "Value": "GPU hours"}, steps=[sort_by("Value", descending=True)], horizontal=True
        ),
    )
