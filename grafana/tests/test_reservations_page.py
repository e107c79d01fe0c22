"""What the page about reservations makes of bookings written here; Prometheus' own tool answers it."""

from pathlib import Path

import pytest
from grafana.tests.conftest import DASHBOARDS, targets
from grafana.tests.pages import column_of, query_of, said
from grafana.tests.written import check, constant
from prometheus.tests.promql import metrics

from gputally.catalogue import RESERVATIONS

PAGE = DASHBOARDS["gputally-reservations"]
NOW, NEXT = "Reserved now (cost in $currency)", "Upcoming (cost in $currency)"
HOURS = "Reserved, used and wasted in the time range (charged in $currency)"
SITE = 'cluster="c", job="gputally-site", instance="s:9837"'
GPU = (
    'cluster="c", machine="gpu01", instance="gpu01:9836", gpu="{0}", uuid="u{0}", '
    'reservation="rush", team="vision"'
)
LIMIT = {'cluster:gputally_threshold:max{cluster="c", alert="GpuReservationViolated"}': constant(1e9)}
# Of the families, what the page does not ask, and why.
LEFT_OUT = {
    "gpu_reservation_active": "the rules ask it",
    "gpu_reservation_allowed": "as above",
    "gpu_reservation_cost_per_hour": "as above",
    "gpu_reservation_dropped": "of more than 200 reservations a page has no room for the others either",
}


def one(metric: str, name: str, value: float, **more: str) -> dict[str, str]:
    labels = "".join(f', {label}="{text}"' for label, text in more.items())
    team = "" if metric == "gpu_reservation_cost" else ', machine="gpu01"'
    series = f'{metric}{{{SITE}, reservation="{name}"{team}, team="vision"{labels}}}'
    return {series: constant(value)}


def booking(name: str, state: str, start: float, end: float) -> dict[str, str]:
    return (
        one("gpu_reservation_state", name, 1, state=state)
        | one("gpu_reservation_gpus", name, 2)
        | one("gpu_reservation_start_timestamp_seconds", name, start)
        | one("gpu_reservation_end_timestamp_seconds", name, end)
        | one("gpu_reservation_cost", name, 7.5, currency="USD")
    )


BOOKED = (
    booking("rush", "active", 50, 500)
    | booking("soon", "pending", 300, 400)
    | booking("later", "pending", 900, 950)
    | booking("gone", "completed", 10, 20)
    | booking("off", "cancelled", 200, 210)
)
KEY = '{{cluster="c", machine="gpu01", reservation="{}", team="vision"}}'


def test_every_family_of_reservations_is_asked_or_left_out_for_a_reason() -> None:
    asked = {name for _, target in targets(PAGE) for name in metrics(target["expr"])}
    assert {row.name for row in RESERVATIONS} - asked == set(LEFT_OUT)


@pytest.mark.parametrize(
    ("table", "column", "answers"),
    [
        (NOW, "GPUs", {"rush": 2}),
        (NOW, "Began", {"rush": 50_000}),
        (NOW, "Left", {"rush": 500_000}),
        (NOW, "Cost", {"rush": 7.5}),
        (NEXT, "GPUs", {"soon": 2, "later": 2}),
        (NEXT, "Begins", {"soon": 300_000, "later": 900_000}),
        (NEXT, "Ends", {"soon": 400_000, "later": 950_000}),
        (NEXT, "Cost", {"soon": 7.5, "later": 7.5}),
    ],
)
def test_a_table_has_the_bookings_of_its_state(
    tmp_path: Path, table: str, column: str, answers: dict[str, float]
) -> None:
    asked = column_of(PAGE, table, column)
    check(tmp_path, asked, BOOKED, {KEY.format(name): value for name, value in answers.items()})


def test_a_second_site_agent_changes_nothing(tmp_path: Path) -> None:
    twice = BOOKED | {name.replace("s:9837", "t:9837"): values for name, values in BOOKED.items()}
    check(tmp_path, column_of(PAGE, NOW, "GPUs"), twice, {KEY.format("rush"): 2})
    check(tmp_path, column_of(PAGE, NOW, "Cost"), twice, {KEY.format("rush"): 7.5})


def test_the_calendar_says_the_state_of_each(tmp_path: Path) -> None:
    words = {"rush": "active", "soon": "pending", "later": "pending", "gone": "completed", "off": "cancelled"}
    numbers = {said(PAGE, "Reservations", number): number for number in range(4)}
    answers = {KEY.format(name): float(numbers[word]) for name, word in words.items()}
    check(tmp_path, query_of(PAGE, "Reservations"), BOOKED, answers)


def test_a_gpu_is_used_or_not_or_taken_or_not_metered(tmp_path: Path) -> None:
    used = "reservation_gpu:gpu_reservation_used:ratio"
    foreign = "reservation_user:gpu_reservation_foreign_bytes:sum"
    series = {f"reservation_gpu:gpu_reserved:max{{{GPU.format(gpu)}}}": constant(1) for gpu in range(5)}
    series |= {
        f"{used}{{{GPU.format(gpu)}}}": constant(value) for gpu, value in ((0, 0.9), (1, 0.01), (2, 0.5))
    }
    series |= {f'{foreign}{{{GPU.format(2)}, user="eve"}}': constant(2e9)}
    series |= {
        f"{used}{{{GPU.format(4)}}}": constant(0.5),
        f'{foreign}{{{GPU.format(4)}, user="root"}}': constant(4e6),
    }
    words = ("used", "not used", "used by others", "not metered", "used")
    numbers = {said(PAGE, "Reserved GPUs", number): number for number in range(4)}
    answers = {
        f'{{cluster="c", machine="gpu01", gpu="{gpu}", reservation="rush"}}': float(numbers[word])
        for gpu, word in enumerate(words)
    }
    check(tmp_path, query_of(PAGE, "Reserved GPUs"), series | LIMIT, answers)
    check(tmp_path, query_of(PAGE, "Used by others"), series | LIMIT, {"{}": 1})


@pytest.mark.parametrize(
    ("valid", "conflicts", "words"),
    [
        (1, 0, "What the file says is in force"),
        (0, 0, "The file cannot be used: what was good before is in force"),
        (0, 2, "The file books GPUs twice: what was good before is in force"),
    ],
)
def test_the_first_line_says_whether_the_file_is_in_force(
    tmp_path: Path, valid: int, conflicts: int, words: str
) -> None:
    series = {
        f"gpu_reservation_config_valid{{{SITE}}}": constant(valid),
        f"gpu_reservation_conflicts{{{SITE}}}": constant(conflicts),
    }
    (number,) = (number for number in range(3) if said(PAGE, "The file of reservations", number) == words)
    check(tmp_path, query_of(PAGE, "The file of reservations"), series, {"{}": number})


def test_the_next_to_begin_is_the_first_that_is_to_come(tmp_path: Path) -> None:
    check(tmp_path, query_of(PAGE, "The next begins"), BOOKED, {"{}": 300_000})


def test_hours_of_the_range_are_minutes_added_up(tmp_path: Path) -> None:
    """Two minutes hold 24 samples here; a rule makes one a minute."""
    series = {'team:gpu_reserved_gpus:sum{cluster="c", team="vision"}': "_ 2x1000"}
    asked = column_of(PAGE, HOURS, "Reserved (GPU hours)")
    check(tmp_path, asked, series, {'{cluster="c", team="vision"}': 24 * 2 / 60})
