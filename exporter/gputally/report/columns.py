"""The columns of all reports: the same thing has the same name everywhere."""

from gputally.tables.columns import CURRENCY, Column

KEYS = {
    column.name: column
    for column in (
        Column("day", "DAY"),
        Column("cluster", "CLUSTER"),
        Column("team", "TEAM"),
        Column("user", "USER"),
        Column("model", "MODEL"),
        Column("instance", "INSTANCE"),
        Column("gpu", "GPU"),
        Column("name", "NAME"),
        Column("uuid", "UUID"),
        Column("state", "STATE"),
        Column("reason", "REASON"),
        Column("job_id", "JOB"),
        Column("job_name", "NAME"),
        Column("scheduler", "SCHEDULER"),
        Column("start", "START", "time"),
        Column("end", "END", "time"),
        Column("exit_code", "EXIT"),
    )
}
KWH = Column("kwh", "KWH", "kwh")
COST = Column("cost", "COST", "money")
WHICH = Column(CURRENCY, "")  # beside the amount: 12.30 EUR
GPU_HOURS = Column("gpu_hours", "GPU HOURS", "hours")
UNMETERED = Column("unmetered_hours", "NOT METERED", "hours")
BUSY = Column("busy_hours", "BUSY HOURS", "hours")
MEAN = Column("utilization", "MEAN USE", "ratio")
UNUSED_HOURS = Column("unused_hours", "UNUSED HOURS", "hours")
UNUSED_KWH = Column("unused_kwh", "UNUSED KWH", "kwh")
UNUSED_COST = Column("unused_cost", "UNUSED COST", "money")
UNUSED = (UNUSED_HOURS, UNUSED_KWH, UNUSED_COST)
JOBS = Column("jobs", "JOBS", "count")
