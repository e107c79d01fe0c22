"""Families of the ledger: what bills of clouds have charged, and jobs that ran elsewhere.

All of them are the site agent's, and there only while a ledger is configured. Days and months are those of UTC, as on
the bills. Amounts go down, too, where a bill is corrected: so none of them is a counter.
"""

# fmt: off
from functools import partial

from gputally.catalogue.family import Family

_g = partial(Family, type="gauge", section="Ledger", record="ledger", key="families")
_CHARGED = ("provider", "card", "team", "currency")
_JOBS = ("provider", "team", "model", "card", "status")

LEDGER: tuple[Family, ...] = (
    _g("gpu_cloud_cost_month_to_date", unit="", labels=_CHARGED, help="What bills have charged for the days of this month so far; below zero where money came back. card is other for what is no GPU.", source="gputally bills import"),
    _g("gpu_cloud_cost_last_month", unit="", labels=_CHARGED, help="What they have charged for the days of the month before.", source="gputally bills import"),
    _g("gpu_cloud_cost_last_day", unit="", labels=_CHARGED, help="What they have charged for the latest day that the provider's bills have.", source="gputally bills import"),
    _g("gpu_cloud_cost_by_day", unit="", labels=("provider", "card", "team", "day", "currency"), help="What they have charged for each of the last 31 days.", source="gputally bills import"),
    _g("gpu_cloud_gpu_hours_month_to_date", unit="", labels=("provider", "card", "team"), help="Hours of GPUs that bills have charged for in this month so far. Absent where they do not tell.", source="gputally bills import"),
    _g("gpu_cloud_cost_per_gpu_hour", unit="", labels=("provider", "card", "currency"), help="What an hour of a GPU was charged with, mean of the last 31 days, of charges that tell hours.", source="gputally bills import"),
    _g("gpu_cloud_cost_latest_day_timestamp_seconds", unit="seconds", labels=("provider",), help="The latest day that the provider's bills have, its first instant, as Unix time.", source="gputally bills import"),
    _g("gpu_cloud_cost_import_rows_total", type="counter", unit="", labels=("provider", "result"), help="Rows of bills by what became of them: inserted, updated, unchanged, removed, rejected. provider is unknown where a row did not tell.", source="gputally bills import"),
    _g("gpu_cloud_job_import_rows_total", type="counter", unit="", labels=("provider", "result"), help="The same of rows of jobs.", source="gputally jobs import"),
    _g("gpu_cloud_import_timestamp_seconds", unit="seconds", labels=("kind",), help="When something was imported last, as Unix time: focus and plain are bills; sacct, jobs_csv and jobs_json jobs.", source="gputally bills import, gputally jobs import"),
    _g("gpu_cloud_import_rejected_rows", unit="", labels=("kind",), help="Rows that were refused by imports of this kind on the day of the latest one.", source="gputally bills import, gputally jobs import"),
    _g("gpu_cloud_jobs", unit="", labels=_JOBS, help="Imported jobs that ended in the last 30 days or were running when they were last heard of. provider of a Slurm job is its cluster.", source="gputally jobs import"),
    _g("gpu_cloud_job_gpu_hours", unit="", labels=_JOBS, help="For how long the same jobs have held GPUs, times how many.", source="gputally jobs import"),
    _g("gpu_cloud_groups_folded", unit="", labels=("of",), help="Groups that are shown together as other, because there would be too many: of bills, of jobs. The largest ones have their own names.", source="the ledger"),
    _g("gputally_ledger_readable", unit="", labels=(), help="1 if the latest look at the ledger was a good one; 0: the figures are those of the last good one.", source="ledger.file"),
    _g("gputally_ledger_last_success_timestamp_seconds", unit="seconds", labels=(), help="When it was read well for the last time, as Unix time. It is read when it has changed, and once a day.", source="ledger.file"),
    _g("gputally_ledger_read_duration_seconds", unit="seconds", labels=(), help="How long that took.", source="ledger.file"),
    _g("gputally_ledger_size_bytes", unit="bytes", labels=(), help="Size of its file.", source="ledger.file"),
)
