"""How many jobs teams and models have run, over `$span`: a month of a big fleet's is too much to count."""

from grafana.joblists import IN_SPAN
from grafana.ledger import SHARE
from grafana.panels import Look, stat
from grafana.queries import Json, instant
from grafana.spenders import NO_MODEL
from grafana.tables import Column, link, table

_COUNT = Look("short", decimals=0, sparkline=False)
_MANY = Look("short", ((None, "green"),), decimals=0, minimum=0)  # the longest bar is the highest number
_ONCE = "on one or several machines, once"
_USED = "last_over_time(job_id_names:gpu_job_utilization:ratio{}[$span])"


def jobs_tile() -> Json:
    """All of them."""
    return stat(
        "Jobs, last $span",
        f"Jobs that ran in the last $span of the time range, {_ONCE}.",
        instant(f"count(count by (cluster, job_id) ({IN_SPAN}))", "jobs"),
        _COUNT,
    )


def jobs_by(label: str, name: str) -> Json:
    """How many each has run, and how well they used what they held."""
    counted = f"count by ({label}) (count by (cluster, job_id, {label}) ({IN_SPAN}))"
    to_jobs = link("gputally-jobs", "Their jobs", **{label: ""}, span="${span}")
    columns = [
        Column(name[0].upper() + name[1:], name=label, width=100, link=to_jobs, mappings=(NO_MODEL,)),
        Column("Jobs", expr=counted, look=_MANY, cell="basic"),
        Column("Mean utilisation", expr=f"avg by ({label}) ({_USED})", look=SHARE, cell="basic"),
    ]
    return table(
        f"Jobs of the last $span by {name}",
        "Jobs that ran in the last $span of the time range (a month of a big fleet takes seconds to count), "
        f"{_ONCE}; mean utilisation: of the jobs, each the same weight. Over any range: gputally report.",
        columns,
        sort=("Jobs",),
        descending=True,
    )
