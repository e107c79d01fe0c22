"""One agent, many cards, each with a complaint of its own: what each shows, and that none infects another.

The faults begin together and are watched for as long as the slowest takes; each test then looks at its cards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from gputally.catalogue import DEVICES
from tests.agent.metering import add_idle, assert_exact, counted_mj, is_up, load, uuid_of
from tests.agent.running import RunningAgent
from tests.fakenvml import FakeNvml, Instance, Square
from tests.fakenvml.waveform import Constant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.agent.running import Scrape, Watch
    from tests.fakenvml import FakeGpu

WATTS = 400
TICK_MJ = WATTS * 1000 // 4  # used in one interval
DIP_J = 500  # more than is used in a tick, so that it shows
SENTINEL = 0xFFFFFFFF
# What is read anew, as against what is known of a GPU once and for all, and what has been counted.
READINGS = {family.name for family in DEVICES if family.record in ("fast", "slow")}
CARDS = {
    **dict.fromkeys(("healthy", "dips", "resets", "leaps", "freezes", "ends", "lost"), "full"),
    **dict.fromkeys(("busy", "memory"), "full"),
    "power": "a100",
    **dict.fromkeys(("whole", "sliced", "divided"), "h100"),
}


@dataclass
class Ward:
    """What was seen."""

    fake: FakeNvml
    agent: RunningAgent
    cards: dict[str, FakeGpu]
    before: Scrape  # the faults
    after: Scrape  # they have lasted, all of them still on
    watch: Watch

    def value(self, name: str, card: str, **labels: str) -> float | None:
        """One value of a card, at the end."""
        return self.after.value(name, uuid=uuid_of(self.cards[card]), **labels)

    def source(self, card: str) -> tuple[str | None, str | None]:
        """What the energy of a card is fed from at the end, and why."""
        uuid = uuid_of(self.cards[card])
        source, reason = (
            self.after.label("gpu_energy_source_info", label, uuid=uuid) for label in ("source", "reason")
        )
        return source, reason

    def error_mj(self, card: str) -> float:
        """What was counted less the truth, at the instant of the latest reading."""
        read_at = self.value("gpu_last_reading_timestamp_seconds", card) or 0.0
        true_mj = self.cards[card].energy_mj(to_ns=round(read_at * 1e9) - int(self.fake.raw.wall_origin_ns))
        return (counted_mj(self.after, self.cards[card]) or 0) - true_mj

    def partitions(self, scrape: Scrape, card: str) -> set[str]:
        """The MIG instances of a card."""
        found = scrape.series("gpu_mig_info", uuid=uuid_of(self.cards[card]))
        return {dict(labels)["gpu_instance_id"] for labels in found}


@pytest.fixture(scope="module")
def ward(fake_nvml_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """The agent goes on while the tests look."""
    folder = tmp_path_factory.mktemp("ward")
    with FakeNvml(folder / "control", library=fake_nvml_library) as fake:
        cards = dict(zip(CARDS, add_idle(fake, *CARDS.values()), strict=True))
        for card in ("busy", "memory", "power", "healthy"):
            cards[card].set(gpu_percent=40, temperature=55)
        cards["sliced"].slice([Instance(1), Instance(2)])
        cards["divided"].slice([Instance(3)])
        agent = RunningAgent(folder / "agent", env=fake.env).start()
        try:
            yield _visit(fake, agent, cards)
        finally:
            agent.stop()


def _visit(fake: FakeNvml, agent: RunningAgent, cards: dict[str, FakeGpu]) -> Ward:
    load(agent, cards.values(), Constant(WATTS))
    for card in ("lost", "busy", "memory", "power", "whole", "sliced", "divided"):
        cards[card].power = Square(100, 500, 0.3)
    before = agent.wait_until(
        lambda s: all((counted_mj(s, gpu) or 0) > 4 * TICK_MJ for gpu in cards.values())
    )
    with agent.watch() as watch:
        cards["dips"].shift_energy(-DIP_J)
        cards["leaps"].shift_energy(1e12)
        cards["freezes"].freeze_energy()
        cards["ends"].set(energy_code=3)
        cards["resets"].reset_energy()
        fake.fault("*", gpu=cards["lost"].slot, code=15)
        cards["busy"].set(gpu_percent=SENTINEL, memory_percent=808_334, temperature=SENTINEL)
        cards["memory"].set(memory_used=2**64 - 1, memory_free=2**64 - 1)
        cards["power"].set_field(186, 3_690_000_000_000_000)
        cards["power"].set(power_override_mw=SENTINEL)
        cards["whole"].slice([Instance(9)])
        cards["sliced"].slice([Instance(5, name="MIG 3g.40gb", compute_slices=3)])
        cards["divided"].unslice()
        ticks = agent.value("gputally_samples_total") or 0
        # A counter that stands still is given up after 5 s; slow readings are 5 s apart.
        after = agent.wait_until(lambda s: (s.value("gputally_samples_total") or 0) > ticks + 26)
    return Ward(fake, agent, cards, before, after, watch)


def test_every_scrape_is_answered_and_no_counter_falls(ward: Ward) -> None:
    """Whatever happens on the cards."""
    ward.watch.assert_served()
    ward.watch.assert_no_decrease()
    assert ward.after.value("gputally_left_out_families") == 0


def test_a_healthy_card_among_sick_ones_is_metered_exactly(ward: Ward) -> None:
    """F4, F10 and F11 for the others."""
    assert ward.source("healthy") == ("counter", "")
    assert ward.value("gpu_energy_clamped_joules_total", "healthy") == 0
    assert_exact(ward.agent, [ward.cards["healthy"]])


@pytest.mark.fault("counter-dips")
def test_a_counter_that_dips_is_held_until_it_has_caught_up(ward: Ward) -> None:
    """F11: a fall that is too small for a reload; what comes after it is counted once."""
    assert ward.source("dips") == ("counter", "")
    assert ward.value("gpu_energy_clamped_joules_total", "dips") == 0
    assert ward.value("gpu_device_events_total", "dips", event="driver_reload") == 0
    assert abs(ward.error_mj("dips") + DIP_J * 1000) < 0.1 * TICK_MJ
    assert_exact(ward.agent, [ward.cards["dips"]])


@pytest.mark.fault("counter-restarts")
def test_a_counter_that_begins_anew_loses_no_more_than_a_tick(ward: Ward) -> None:
    """F11: back to 0, as after a reload of the driver."""
    assert -1.5 * TICK_MJ < ward.error_mj("resets") < 0.1 * TICK_MJ
    assert ward.source("resets") == ("counter", "")
    assert ward.value("gpu_device_events_total", "resets", event="driver_reload") == 1
    assert ward.value("gpu_energy_clamped_joules_total", "resets") == 0
    assert (ward.value("gpu_energy_unmeasured_seconds_total", "resets") or 0) > 0


@pytest.mark.fault("counter-leaps")
def test_a_leap_of_a_counter_is_clamped(ward: Ward) -> None:
    """F11: +1e12 J."""
    assert abs(ward.error_mj("leaps")) < 0.02 * ward.cards["leaps"].energy_mj()
    assert ward.source("leaps") == ("counter", "")
    assert (ward.value("gpu_energy_clamped_joules_total", "leaps") or 0) > 0.99e12


@pytest.mark.fault("counter-ends")
@pytest.mark.parametrize(
    ("card", "source"), [("freezes", ("average", "frozen")), ("ends", ("samples", "not_supported"))]
)
def test_where_the_counter_ends_power_takes_over(ward: Ward, card: str, source: tuple[str, str]) -> None:
    """F11: within 2 %, but for the tick in which the counter stopped, of which it never showed the end."""
    assert ward.source(card) == source
    assert -1.5 * TICK_MJ < ward.error_mj(card) < 0.02 * ward.cards[card].energy_mj()
    assert ward.value("gpu_energy_clamped_joules_total", card) == 0


@pytest.mark.fault("gpu-lost")
def test_a_lost_card_shows_its_counters_and_no_reading(ward: Ward) -> None:
    """F4: and when it is found again, all the energy of the meantime is booked."""
    lost = ward.cards["lost"]
    uuid, index = uuid_of(lost), str(lost.index)
    counters = {name for name in ward.before.families(uuid=uuid) if name.endswith("_total")}
    assert ward.value("gpu_up", "lost") == 0
    assert ward.after.label("gpu_down_info", "reason", uuid=uuid) == "lost"
    assert READINGS & ward.before.families(uuid=uuid)
    assert not READINGS & ward.after.families(uuid=uuid)
    assert counters <= ward.after.families(uuid=uuid)
    down = [s for s in ward.watch.scrapes if not is_up(s, lost)]
    for name in counters - {"gpu_device_events_total"}:
        assert down[0].series(name, uuid=uuid) == ward.after.series(name, uuid=uuid), f"{name} moved"
    assert len(ward.agent.lines(f"GPU {index} ", "is down")) == 1
    assert len(ward.agent.lines("is down")) == 1
    ward.fake.clear("*", gpu=lost.slot)
    back = ward.agent.wait_until(lambda s: is_up(s, lost), timeout=2.0)
    assert back.value("gpu_device_events_total", uuid=uuid, event="lost") == 1
    assert back.value("gpu_device_events_total", uuid=uuid, event="returned") == 1
    assert_exact(ward.agent, [lost])


@pytest.mark.fault("value-impossible")
def test_impossible_values_are_dropped_and_counted_and_never_shown(ward: Ward) -> None:
    """F10: no gauge repeats what it was before, and energy is unaffected."""
    dropped = {
        ("gpu_utilization_ratio", "busy"): "utilization_ratio",
        ("gpu_memory_utilization_ratio", "busy"): "memory_utilization_ratio",
        ("gpu_temperature_celsius", "busy"): "temperature_c",
        ("gpu_memory_used_bytes", "memory"): "memory_used_bytes",
        ("gpu_memory_free_bytes", "memory"): "memory_free_bytes",
        ("gpu_power_instant_watts", "power"): "power_instant_w",
        ("gpu_power_watts", "power"): "power_w",
    }
    for (name, card), reading in dropped.items():
        assert ward.value("gpu_up", card) == 1
        assert ward.value(name, card) is None, name
        assert ward.value(name, "healthy") is not None, name
        assert (ward.after.value("gputally_rejected_readings_total", reading=reading) or 0) > 0, reading
    ticks = ward.after.value("gputally_rejected_readings_total", reading="utilization_ratio") or 0
    assert ticks > 20  # once a tick
    assert (ward.value("gpu_power_peak_watts", "power") or 0) <= 500
    ward.cards["power"].clear_field(186)
    ward.cards["power"].set(power_override_mw=-1)
    ward.cards["busy"].set(gpu_percent=40, memory_percent=10)
    ward.cards["memory"].set(memory_used=1 << 30)
    fast = [(name, uuid_of(ward.cards[card])) for name, card in dropped if "temperature" not in name]
    ward.agent.wait_until(lambda s: all(s.value(name, uuid=uuid) is not None for name, uuid in fast))
    assert_exact(ward.agent, [ward.cards[card] for card in ("busy", "memory", "power")])


@pytest.mark.fault("mig-resliced")
def test_slicing_begins_and_ends_partition_series_while_the_board_goes_on_counting(ward: Ward) -> None:
    """F14: one card is sliced, one sliced anew between two looks, and one made whole."""
    boards = ("whole", "sliced", "divided")
    assert [ward.partitions(ward.before, card) for card in boards] == [set(), {"1", "2"}, {"3"}]
    assert [ward.partitions(ward.after, card) for card in boards] == [{"9"}, {"5"}, set()]
    assert [ward.value("gpu_mig_mode", card) for card in boards] == [1, 1, 0]
    assert ward.value("gpu_mig_compute_slices", "sliced") == 3
    divided = uuid_of(ward.cards["divided"])
    assert ward.before.value("gpu_utilization_ratio", uuid=divided) is None
    assert ward.value("gpu_utilization_ratio", "divided") is not None
    shown = {name for name in ward.after.families(uuid=divided) if name.startswith("gpu_mig")}
    assert shown == {"gpu_mig_mode", "gpu_mig_mode_pending"}
    for scrape in ward.watch.scrapes:
        for card in boards:  # board values stand once a board, and never pause
            assert len(scrape.series("gpu_power_watts", uuid=uuid_of(ward.cards[card]))) == 1
    assert_exact(ward.agent, [ward.cards[card] for card in boards])
