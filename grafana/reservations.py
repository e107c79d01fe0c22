"""The page about what is booked: who has which GPUs until when, who comes next, and is it used?"""

from grafana import reserved, variables
from grafana.page import Line, Opening, page
from grafana.panels import row
from grafana.queries import Json

UID = "gputally-reservations"


def reservations() -> Json:
    """Reservations of all clusters and teams that the variables select."""
    lines: list[Line] = [
        (3, [(16, reserved.in_force()), (8, reserved.next_begins())]),
        (4, [(6, tile) for tile in reserved.tiles()]),
        (1, [(24, row("Calendar: until now; what is to come stands below it"))]),
        (9, [(24, reserved.calendar())]),
        (9, [(24, reserved.gpus_over_time())]),
        (1, [(24, row("Now and next"))]),
        (7, [(24, reserved.active())]),
        (7, [(24, reserved.upcoming())]),
        (6, [(24, reserved.foreign())]),
        (1, [(24, row("Reserved, used and wasted"))]),
        (7, [(24, reserved.by_team())]),
        (8, [(12, reserved.used_over_time()), (12, reserved.wasted_over_time())]),
    ]
    about = "GPUs that are booked: by whom, until when, what comes next, and what of it is used."
    opening = Opening("now-24h", refresh="1m", choices=variables.reservations(), of_machines=False)
    return page(UID, "Reservations", about, lines, opening=opening)
