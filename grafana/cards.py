"""What each GPU cost, whoever used it."""

from grafana.ledger import ENERGY, HOURS, MONEY, total
from grafana.panels import Look
from grafana.queries import Json
from grafana.spenders import TILES
from grafana.tables import Column, joined, link, table

from gputally.report.questions import GPU

_BY = ("cluster", "uuid")
_HERE = "max by (cluster, instance, gpu, uuid, name) (gpu_info{})"
_NOW = "max by (cluster, uuid, currency) (gpu:gpu_energy_cost_per_hour:rate5m{})"


def cards() -> Json:
    """GPUs that are there now: their machines are known, so these follow Job and Instance."""
    columns = [
        *joined("cluster", "uuid", "currency"),
        Column("Machine", name="instance", link=link("gputally-fleet", "This machine", instance="")),
        Column("GPU", name="gpu", width=60),
        Column("Model", name="name"),
        Column("Model", expr=_HERE, hidden=True, needed=True),
        Column("Cost", expr=total(GPU["cost"], *_BY), look=MONEY, width=110),
        Column("Energy", expr=total(GPU["kwh"], *_BY), look=ENERGY, width=110),
        Column("Busy hours", expr=total(GPU["busy_hours"], *_BY), look=HOURS, width=110),
        Column("Per hour, now", expr=_NOW, look=Look("none", decimals=3), width=120),
    ]
    # A thousand lines of a month are for a report, and would be the slowest question of the page.
    body = table(
        "GPUs, 24 hours ($currency)",
        "What each GPU that is there now cost in the 24 hours up to the end of the time range, whoever used "
        f"it. {TILES} Longer: gputally report gpus.",
        columns,
        sort=("Cost",),
        descending=True,
    )
    return body | {"timeFrom": "24h"}
