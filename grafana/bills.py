"""The page about what was charged elsewhere, by whom, for what and for whom; and about jobs there."""

from grafana import billcharges, billimports, billjobs, variables
from grafana.page import Line, Opening, page
from grafana.panels import row
from grafana.queries import Json

UID = "gputally-bills"


def bills() -> Json:
    """All that the ledger holds, as far as the variables select it."""
    lines: list[Line] = [
        (3, [(16, billimports.state()), (8, billimports.latest())]),
        (4, [(6, tile) for tile in billcharges.tiles()]),
        (10, [(24, billcharges.by_day())]),
        (10, [(14, billcharges.charges()), (10, billcharges.teams())]),
        (9, [(12, billcharges.over_time()), (12, billcharges.providers_by_day())]),
        (1, [(24, row("An hour of a GPU: follows Provider and Card"))]),
        (8, [(14, billcharges.paid()), (10, billcharges.paid_over_time())]),
        (1, [(24, row("Jobs elsewhere, 30 days: follows Provider, Card and Team"))]),
        (9, [(14, billjobs.jobs()), (10, billjobs.by_team())]),
        (1, [(24, row("Imports: follows Cluster alone"))]),
        (7, [(12, billimports.providers()), (7, billimports.kinds()), (5, billimports.ledger())]),
    ]
    about = "What GPUs elsewhere were charged with, beside what our own cost; and jobs that ran there."
    opening = Opening("now-7d", refresh="5m", choices=variables.bills(), of_machines=False)
    return page(UID, "Cloud bills", about, lines, opening=opening)
