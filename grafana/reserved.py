"""What is reserved, over time and in tables. Prometheus holds no future: what is to come is a table."""

from dataclasses import replace

from grafana.charts import banner, state_timeline
from grafana.panels import Look, stat, timeseries
from grafana.queries import Json, instant, series
from grafana.tables import Column, or_said, table, words

_TEAM = 'team=~"$team"'
_ONE = "cluster, machine, reservation, team"
_GPUS = Look("none", decimals=1, minimum=0, sparkline=True, missing="nothing reserved")
_WHEN = Look("dateTimeFromNow")
_DAY = Look("time:MM-DD HH:mm")
_HOURS = Look("none", decimals=2, minimum=0)
_MONEY = Look("none", decimals=2, minimum=0, missing="not charged")
_SHARE = Look("percentunit", ((None, "orange"), (0.5, "green")), decimals=0, minimum=0, maximum=1)
_STATES = {"pending": "blue", "active": "green", "completed": "text", "cancelled": "orange"}
_NOBODY = "Nothing is reserved at this moment, or no file of reservations is configured"
_NONE_TO_COME = "Nothing is reserved for later"
_NO_FILE = "No file of reservations is configured: see docs/reservations.md"
_THRESHOLD = 'cluster:gputally_threshold:max{alert="GpuReservationViolated"}'
_HELD = f"reservation_user:gpu_reservation_foreign_bytes:sum{{{_TEAM}}}"
_FOREIGN = f"{_HELD} > on (cluster) group_left () {_THRESHOLD}"
# Of one minute each: added up and divided by 60 they are hours.
_RANGE = "sum by (cluster, team) (sum_over_time({}[$__range])) / 60"


def in_force() -> Json:
    """Whether the file is as it should be."""
    twice = "max by (cluster) (gpu_reservation_conflicts{}) > 0"
    return banner(
        "The file of reservations",
        "Whether the file, as it is on the disk, is in force. One that cannot be read, or that books a GPU "
        "twice, "
        "leaves the last good state in force; the log of the site agent names the line.",
        instant(f"2 * min(1 + 0 * ({twice})) or min(gpu_reservation_config_valid{{}})"),
        Look("none", ((None, "dark-red"),), missing=_NO_FILE),
        [
            words(
                {
                    "0": ("The file cannot be used: what was good before is in force", "dark-red"),
                    "1": ("What the file says is in force", "dark-green"),
                    "2": ("The file books GPUs twice: what was good before is in force", "dark-red"),
                }
            )
        ],
    )


def next_begins() -> Json:
    """When GPUs are taken next."""
    start = f"gpu_reservation_start_timestamp_seconds{{{_TEAM}}}"
    pending = f'gpu_reservation_state{{{_TEAM}, state="pending"}}'
    return stat(
        "The next begins",
        "When the first of the reservations that are to come begins, of the chosen teams.",
        instant(f"1000 * min({start} and on (cluster, reservation) {pending})", "begins"),
        replace(_WHEN, sparkline=False, missing="none is to come"),
    )


def tiles() -> list[Json]:
    """How much, how much of it is used, who disturbs."""
    return [
        stat(
            "GPUs reserved now",
            "GPUs that reservations hold at the end of the time range, of all chosen teams.",
            series("sum(team:gpu_reserved_gpus:sum{})", "reserved"),
            replace(_GPUS, decimals=0),
        ),
        stat(
            "Of these, used",
            "How many of them those work on who have reserved them; by the mean of two minutes, on metered "
            "machines.",
            series("sum(team:gpu_reservation_used_gpus:sum{})", "used"),
            replace(_GPUS, steps=((None, "green"),)),
        ),
        stat(
            "Used by others",
            "GPUs on which somebody holds memory whom the reservation does not allow, above the threshold "
            "GpuReservationViolated.",
            series(
                f"count(group by (cluster, instance, uuid) ({_FOREIGN})) or 0 * "
                f"count(team:gpu_reserved_gpus:sum{{}})",
                "GPUs",
            ),
            replace(_GPUS, decimals=0, steps=((None, "green"), (1, "red"))),
        ),
        stat(
            "Charged by the hour ($currency)",
            "What the chosen teams are charged at this moment for what they have reserved, used or not.",
            series("sum(team:gpu_reservation_cost_per_hour:sum{})", "an hour"),
            _MONEY,
        ),
    ]


def calendar() -> Json:
    """Each reservation as a bar."""
    states = " or ".join(
        f'{number} * max by ({_ONE}) (gpu_reservation_state{{{_TEAM}, state="{state}"}})'
        for number, state in enumerate(_STATES)
    )
    mapping = {str(number): (state, color) for number, (state, color) in enumerate(_STATES.items())}
    return state_timeline(
        "Reservations",
        "Each reservation, from when it stood in the file: pending, active from its start to its end, "
        "completed or "
        "cancelled. Prometheus knows no future: of what is to come the start stands in the table below.",
        [series(states, "{{machine}} · {{reservation}} ({{team}})")],
        Look("none"),
        [words(mapping)],
    )


def gpus_over_time() -> Json:
    """Each GPU that was reserved by name: used, not used, or taken."""
    used = f"reservation_gpu:gpu_reservation_used:ratio{{{_TEAM}}}"
    gpu = "cluster, machine, gpu, reservation"
    state = (
        f"2 + 0 * max by ({gpu}) ({_FOREIGN}) or max by ({gpu}) ({used} >= bool 0.05) "
        f"or 3 * max by ({gpu}) (reservation_gpu:gpu_reserved:max{{{_TEAM}}})"
    )
    return state_timeline(
        "Reserved GPUs",
        "Each GPU that was reserved by name, while it was. Used: it worked 5 % of the time or more for those "
        "who "
        "have reserved it. Used by others: somebody whom the reservation does not allow holds its memory.",
        [series(state, "{{machine}} GPU {{gpu}} · {{reservation}}")],
        Look("none"),
        [
            words(
                {
                    "0": ("not used", "orange"),
                    "1": ("used", "green"),
                    "2": ("used by others", "red"),
                    "3": ("not metered", "text"),
                }
            )
        ],
    )


def _of_state(state: str, metric: str) -> str:
    chosen = f'gpu_reservation_state{{{_TEAM}, state="{state}"}}'
    return f"max by ({_ONE}) ({metric}{{{_TEAM}}}) and on (cluster, reservation) {chosen}"


def _times(state: str) -> list[Column]:
    start = f"1000 * ({_of_state(state, 'gpu_reservation_start_timestamp_seconds')})"
    end = f"1000 * ({_of_state(state, 'gpu_reservation_end_timestamp_seconds')})"
    return [
        Column("Cluster", name="cluster", width=90),
        Column("Reservation", name="reservation"),
        Column("Team", name="team", width=110),
        Column("Host", name="machine", width=150),
        Column(
            "GPUs",
            expr=_of_state(state, "gpu_reservation_gpus"),
            look=replace(_GPUS, decimals=0),
            width=60,
            needed=True,
        ),
        Column("Begins" if state == "pending" else "Began", expr=start, look=_DAY, width=160),
        Column("Ends", expr=end, look=_DAY, width=160),
    ]


def _cost(state: str) -> Column:
    cost = f"max by (cluster, reservation) (gpu_reservation_cost{{{_TEAM}}})"
    chosen = f'gpu_reservation_state{{{_TEAM}, state="{state}"}}'
    with_host = f"0 * max by ({_ONE}) ({chosen}) + on (cluster, reservation) group_left () ({cost})"
    return Column("Cost", expr=with_host, look=_MONEY, width=120)


def active() -> Json:
    """Who has what now, and do they use it?"""
    used = f"max by ({_ONE}) (reservation:gpu_reservation_used_gpus:sum{{{_TEAM}}})"
    held = f"max by ({_ONE}) (reservation:gpu_reserved_gpus:sum{{{_TEAM}}})"
    until = "1000 * (" + _of_state("active", "gpu_reservation_end_timestamp_seconds") + ")"
    columns = [
        *_times("active"),
        Column("Left", expr=until, look=_WHEN, width=120),
        Column("Used", expr=f"{used} / {held}", look=_SHARE, cell="basic", width=170),
        _cost("active"),
    ]
    body = table(
        "Reserved now (cost in $currency)",
        "Reservations that hold GPUs. Used: the part of its GPUs on which those work who may; empty where "
        "the "
        "machine is not metered. Cost: from its start to its end, used or not.",
        columns,
        sort=("Ends",),
    )
    return or_said(body, _NOBODY)


def upcoming() -> Json:
    """What comes next."""
    start = "1000 * (" + _of_state("pending", "gpu_reservation_start_timestamp_seconds") + ")"
    columns = [*_times("pending"), Column("From now", expr=start, look=_WHEN, width=120), _cost("pending")]
    body = table(
        "Upcoming (cost in $currency)",
        "Reservations that begin later, the next first. When GPUs are free, gputally reservations free "
        "tells.",
        columns,
        sort=("Begins",),
    )
    return or_said(body, _NONE_TO_COME)


def foreign() -> Json:
    """Who is on GPUs of others?"""
    columns = [
        Column("Cluster", name="cluster", width=90),
        Column("Host", name="machine", width=170),
        Column("GPU", name="gpu", width=70),
        Column("User", name="user"),
        Column("Reserved as", name="reservation"),
        Column("By team", name="team", width=140),
        Column(
            "Memory held",
            expr=f"max by (cluster, machine, gpu, user, reservation, team) ({_HELD})",
            look=Look("bytes"),
            width=140,
        ),
    ]
    body = table(
        "On GPUs that others have reserved",
        "Users who hold memory on a reserved GPU and are neither allowed by the reservation nor in a job of "
        "its team. "
        "Above the threshold GpuReservationViolated an alert tells of them.",
        columns,
        sort=("Memory held",),
        descending=True,
    )
    return or_said(body, "Nobody")


def by_team() -> Json:
    """What each team has had, and what it made of it."""
    reserved, used, wasted = (
        _RANGE.format(f"team:gpu_{name}_gpus:sum{{}}")
        for name in ("reserved", "reservation_used", "reservation_wasted")
    )
    charged = (
        "sum by (cluster, team) (sum_over_time(team:gpu_reservation_cost_per_hour:sum{}[$__range])) / 60"
    )
    columns = [
        Column("Cluster", name="cluster", width=110),
        Column("Team", name="team"),
        Column("Reserved (GPU hours)", expr=reserved, look=_HOURS, width=180),
        Column("Used", expr=used, look=_HOURS, width=130),
        Column("Wasted", expr=wasted, look=_HOURS, width=130),
        Column("Used of reserved", made_of=("Used", "/", "Reserved (GPU hours)"), look=_SHARE, cell="basic"),
        Column("Charged", expr=charged, look=_MONEY, width=170),
    ]
    body = table(
        "Reserved, used and wasted in the time range (charged in $currency)",
        "GPU hours, from one sample a minute. Used: those who may worked on them; wasted: they did not, "
        "whoever else "
        "did. Of machines that are not metered hours are reserved, and neither used nor wasted.",
        columns,
        sort=("Reserved (GPU hours)",),
        descending=True,
    )
    return or_said(body, "Nothing was reserved in the time range")


def used_over_time() -> Json:
    """How much of what is reserved is used?"""
    return timeseries(
        "GPUs reserved, used and wasted",
        "Of all chosen teams together.",
        [
            series("sum(team:gpu_reserved_gpus:sum{})", "reserved"),
            series("sum(team:gpu_reservation_used_gpus:sum{})", "used"),
            series("sum(team:gpu_reservation_wasted_gpus:sum{})", "wasted"),
        ],
        Look("none", decimals=1, minimum=0, colors={"reserved": "text", "used": "green", "wasted": "orange"}),
    )


def wasted_over_time() -> Json:
    """Who keeps GPUs from others?"""
    return timeseries(
        "Wasted GPUs by team",
        "GPUs that each team holds reserved and does not use.",
        [series("sum by (team) (team:gpu_reservation_wasted_gpus:sum{})", "{{team}}")],
        Look("none", decimals=1, minimum=0, stacked=True),
    )
