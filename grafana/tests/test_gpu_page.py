"""What the live page makes of cards that differ: with and without a fan, a limit, a serial; idle, warm, lost.

Prometheus' own tool answers the page's queries, of series that are written here.
"""

from pathlib import Path
from typing import Any

import pytest
from grafana import livecards
from grafana.absence import ABSENT
from grafana.page import Opening, page
from grafana.panels import row
from grafana.tests.conftest import DASHBOARDS, Json, targets
from grafana.tests.written import check, constant

from gputally.node.sources.nvml.abi import THROTTLE_REASONS

PAGE = DASHBOARDS["gputally-gpu"]
PLACE = 'cluster="c", job="j", instance="i"'


def card(metric: str, number: int = 0, **more: str) -> str:
    """A series of a card."""
    labels = "".join(f', {name}="{value}"' for name, value in more.items())
    return f'{metric}{{{PLACE}, gpu="{number}", uuid="u{number}"{labels}}}'


def query_of(title: str, letter: str = "A") -> str:
    (found,) = (
        target["expr"]
        for panel, target in targets(PAGE)
        if (panel["title"], target["refId"]) == (title, letter)
    )
    assert isinstance(found, str)
    return found


def test_the_limit_in_force_is_told_and_where_there_is_none_that_which_is_set(tmp_path: Path) -> None:
    series = {
        card("gpu_power_limit_enforced_watts", 0): constant(600),
        card("gpu_power_limit_watts", 0): constant(700),
        card("gpu_power_limit_watts", 1): constant(300),
    }
    answer = {
        card("gpu_power_limit_enforced_watts", 0): 600.0,
        card("gpu_power_limit_watts", 1): 300.0,
    }
    check(tmp_path, query_of("Power", "C"), series, answer)


def test_a_card_without_a_fan_is_told_from_one_that_is_lost(tmp_path: Path) -> None:
    series = {
        card("gpu_up", 0): constant(1),
        card("gpu_up", 1): constant(1),
        card("gpu_up", 2): constant(0),
        card("gpu_fan_speed_ratio", 0, fan="0"): constant(0.4),
        card("gpu_fan_speed_ratio", 0, fan="1"): constant(0.5),
    }
    answer = {
        '{cluster="c", instance="i", uuid="u0"}': 0.5,
        '{cluster="c", instance="i", uuid="u1"}': float(ABSENT),
    }
    check(tmp_path, query_of("Temperature", "D"), series, answer)
    assert said_of("Temperature", "D", ABSENT) == "no fan"


def said_of(title: str, letter: str, value: float) -> str:
    """What a tile shows instead of the value."""
    (panel,) = (panel for panel in PAGE["panels"] if panel["title"] == title)
    (found,) = (
        one["value"]
        for override in panel["fieldConfig"]["overrides"]
        for one in override["properties"]
        if override["matcher"] == {"id": "byFrameRefID", "options": letter} and one["id"] == "mappings"
    )
    text = found[0]["options"][str(value)]["text"]
    assert isinstance(text, str)
    return text


def test_degrees_are_left_by_the_driver_or_by_the_limit(tmp_path: Path) -> None:
    series = {
        card("gpu_temperature_celsius", 0): constant(60),
        card("gpu_temperature_celsius", 1): constant(70),
        card("gpu_temperature_celsius", 2): constant(50),
        card("gpu_temperature_margin_celsius", 0): constant(30),
        card("gpu_temperature_limit_celsius", 0, limit="slowdown"): constant(92),
        card("gpu_temperature_limit_celsius", 1, limit="slowdown"): constant(92),
        card("gpu_temperature_limit_celsius", 1, limit="shutdown"): constant(95),
    }
    answer = {
        card("gpu_temperature_margin_celsius", 0): 30.0,
        '{cluster="c", instance="i", uuid="u1"}': 22.0,
    }
    check(tmp_path, query_of("Temperature", "C"), series, answer)


@pytest.mark.parametrize(
    ("active", "said"),
    [
        ((), "none"),
        (("gpu_idle",), "none"),
        (("sw_power_cap",), "power limit"),
        (("hw_slowdown", "hw_thermal", "sw_power_cap"), "hot"),
        (("hw_power_brake", "hw_thermal"), "power brake"),
    ],
)
def test_the_gravest_reason_is_told(tmp_path: Path, active: tuple[str, ...], said: str) -> None:
    series = {
        card("gpu_throttle_active", reason=reason): constant(reason in active) for reason in THROTTLE_REASONS
    }
    code = next(code for code, (text, _) in enumerate(livecards.REASONS.values()) if text == said)
    answer = {'{cluster="c", gpu="0", instance="i"}': float(code)}
    check(tmp_path, query_of("What holds clocks back?"), series, answer)
    assert said_of("Clocks", "D", code) == said


def test_every_reason_of_the_driver_has_a_word() -> None:
    assert set(livecards.REASONS) == set(THROTTLE_REASONS)


def test_a_card_is_up_or_lost(tmp_path: Path) -> None:
    series = {card("gpu_up", 0): constant(1), card("gpu_up", 1): constant(0)}
    answer = {card("gpu_up", 0, word="up"): 1.0, card("gpu_up", 1, word="lost"): 0.0}
    check(tmp_path, query_of("Card", "D"), series, answer)


def test_a_card_without_a_serial_number_has_none_to_tell(tmp_path: Path) -> None:
    series = {
        card("gpu_info", 0, name="n", serial="123"): constant(1),
        card("gpu_info", 1, name="n", serial=""): constant(1),
    }
    check(tmp_path, query_of("Card", "C"), series, {card("gpu_info", 0, name="n", serial="123"): 1.0})


def test_lost_gpus_count_among_all(tmp_path: Path) -> None:
    series = {card("gpu_up", number): constant(number > 0) for number in range(3)}
    check(tmp_path, query_of("GPUs"), series, {'{all="3", up="2"}': 1.0})


@pytest.mark.parametrize(("total", "used", "shown"), [(0, 0, ABSENT), (8, 2, 0.25)])
def test_a_machine_without_swap_is_not_one_that_uses_none(
    tmp_path: Path, total: int, used: int, shown: float
) -> None:
    series = {
        f"host_swap_total_bytes{{{PLACE}}}": constant(total),
        f"host_swap_used_bytes{{{PLACE}}}": constant(used),
    }
    check(tmp_path, query_of("Swap"), series, {"{}": shown})
    assert said_of("Swap", "A", ABSENT) == "no swap"


def test_processors_are_measured_where_the_kernel_lets_us(tmp_path: Path) -> None:
    """Not on every machine that runs these tests: test_live.py leaves these two out where they are not."""
    counter = f'host_energy_joules_total{{{PLACE}, domain="package-0"}}'
    query = query_of("Power of GPUs and CPUs", "B")
    check(tmp_path, query, {counter: "0+500x30"}, {'{domain="package-0"}': 100.0})
    sensor = f'host_temperature_celsius{{{PLACE}, sensor="Package id 0"}}'
    check(tmp_path, query_of("Machine temperatures", "B"), {sensor: constant(55)}, {sensor: 55.0})


def test_cores_share_what_cpus_do(tmp_path: Path) -> None:
    series: dict[str, Any] = {f"host_cpus{{{PLACE}}}": constant(4)}
    series |= {
        f'host_cpu_seconds_total{{{PLACE}, mode="{mode}"}}': f"0+{rate * 5}x30"
        for mode, rate in {"user": 2, "system": 1, "idle": 1}.items()
    }
    check(tmp_path, query_of("CPU by mode"), series, {'{mode="system"}': 0.25, '{mode="user"}': 0.5})


def test_what_follows_a_repeated_row_ends_at_the_next_row() -> None:
    """All of one card, and nothing else, stands once for each card."""
    rows = [place for place, panel in enumerate(PAGE["panels"]) if panel["type"] == "row"]
    first, second = rows[:2]
    assert (PAGE["panels"][first]["repeat"], PAGE["panels"][first]["title"]) == ("gpu", "GPU $gpu")
    assert len(PAGE["panels"][first + 1 : second]) == len(livecards.tiles())
    assert not any("repeat" in PAGE["panels"][place] for place in rows[1:])
    assert row("A") == {"collapsed": False, "panels": [], "title": "A", "type": "row"}


def test_every_query_about_cards_follows_the_chosen_gpus() -> None:
    """Below the first line, which is about the machine."""
    about_cards = {"Card", "Utilisation", "Memory", "Processes", "Cards", "SM clock", "SM active"}
    asked = [(panel["title"], target["expr"]) for panel, target in targets(PAGE)]
    assert about_cards <= {title for title, _ in asked}
    assert all('gpu=~"$gpu"' in expr for title, expr in asked if title in about_cards)


def test_the_page_opens_with_the_first_machine() -> None:
    """Grafana takes the first of the values where none is saved: "All" where there is one."""
    chosen = {one["name"]: one for one in PAGE["templating"]["list"]}
    assert (chosen["instance"]["current"], chosen["instance"]["includeAll"]) == ({}, False)
    assert chosen["gpu"]["includeAll"]
    assert chosen["gpu"]["current"]["value"] == ["$__all"]


def test_the_reader_may_look_every_second() -> None:
    assert PAGE["timepicker"]["refresh_intervals"][:3] == ["1s", "2s", "5s"]
    assert PAGE["refresh"] == "5s"
    plain: Json = page("x", "X", "", [], opening=Opening("now-1h"))
    assert plain["timepicker"] == {}
