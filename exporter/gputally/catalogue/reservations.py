"""Families of reservations: who has booked which GPUs, for when, and at what price.

All of them are the site agent's, and there only while a file of reservations is configured. A machine is named as
in the label instance, without its port.
"""

# fmt: off
from functools import partial

from gputally.catalogue.family import Family

_g = partial(Family, type="gauge", section="Reservations", record="reservations", key="families")
_ONE = ("reservation", "machine", "team")
_MONEY = ("reservation", "team", "currency")

RESERVATIONS: tuple[Family, ...] = (
    _g("gpu_reservation_active", unit="", labels=("reservation", "machine", "gpu", "team"), help="GPUs that a reservation holds at this moment: 1 for each that it names, by index or UUID as it names it; where it names none gpu is any, and the value how many.", source="reservations[].gpus, count, the clock"),
    _g("gpu_reservation_allowed", unit="", labels=("reservation", "machine", "user"), help="Always 1; who may use the GPUs of an active reservation: its users, and those members of its team that the configuration names in full.", source="reservations[].users, teams[].users"),
    _g("gpu_reservation_state", unit="", labels=(*_ONE, "state"), help="Always 1; pending, active, completed or cancelled. Of the last seven days, now, and what is to come.", source="reservations, the clock"),
    _g("gpu_reservation_gpus", unit="", labels=_ONE, help="GPUs that a reservation is for.", source="reservations[].gpus, count"),
    _g("gpu_reservation_start_timestamp_seconds", unit="seconds", labels=_ONE, help="When it begins, as Unix time.", source="reservations[].start"),
    _g("gpu_reservation_end_timestamp_seconds", unit="seconds", labels=_ONE, help="When it ends, as Unix time; of a cancelled one, when it was given back.", source="reservations[].end, cancelled"),
    _g("gpu_reservation_cost_per_hour", unit="", labels=_MONEY, help="What an active reservation is charged by the hour, used or not. Absent where nothing is charged.", source="reservations price, reservations[].price_per_gpu_hour"),
    _g("gpu_reservation_cost", unit="", labels=_MONEY, help="What a reservation comes to from its start to its end. Absent where nothing is charged.", source="reservations price, reservations[].price_per_gpu_hour"),
    _g("gpu_reservation_config_valid", unit="", labels=(), help="1 if the file of reservations, as it is now on the disk, is in force; 0 if it cannot be used, and what was good before is.", source="the file of reservations"),
    _g("gpu_reservation_conflicts", unit="", labels=(), help="Pairs of reservations in the file, as it is now on the disk, that cannot be kept together. Above 0 what was good before stays in force.", source="the file of reservations"),
    _g("gpu_reservation_dropped", unit="", labels=(), help="Reservations of which something is not shown: state, times and cost of more than 200, GPUs or users of more than 15,000. Active ones and the next to come are shown first.", source="the file of reservations"),
)
