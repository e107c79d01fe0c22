"""The driver's energy counter: every row of its state machine, how it is given up, how it is taken back."""

from dataclasses import replace

import pytest

from gputally.node.power import most_mj
from tests.node.card import LIMIT_W, SECOND, Rig

BOUND_MJ = 1000 * 840  # one second at 1.2 times 700 W
STEP_MJ = 84_000  # and the driver's 100 ms


@pytest.fixture
def rig() -> Rig:
    """A card at 300 W whose counter stands at a gigajoule, seen once."""
    rig = Rig()
    rig.tick(power_w=300.0, energy_mj=10**12)
    return rig


class TestCounter:
    """The driver's counter, while it is believed."""

    def test_it_begins_at_zero_whatever_the_driver_counted_before(self, rig: Rig) -> None:
        assert (rig.acc_mj, rig.ticks[0].kind, rig.ticks[0].delta_mj) == (0, "first", 0)
        assert rig.shown.energy_source == "counter"

    def test_its_differences_are_counted_to_the_millijoule(self, rig: Rig) -> None:
        tick = rig.tick(energy_mj=10**12 + 300_001)
        assert (tick.kind, tick.delta_mj, tick.covers_ns) == ("tick", 300_001, SECOND)
        assert rig.shown.energy_joules == 300.001

    def test_a_restart_of_the_exporter_books_what_was_used_meanwhile_as_a_gap(self, rig: Rig) -> None:
        rig.restart(seconds=3600)
        tick = rig.tick(energy_mj=10**12 + 1_080_300_000)
        assert (tick.kind, tick.cause, tick.delta_mj) == ("gap", "resumed", 1_080_300_000)
        assert tick.dt_ns == tick.covers_ns == 3601 * SECOND
        assert rig.state.energy.unmeasured_ns == 0

    def test_a_driver_reload_counts_what_the_new_counter_shows(self, rig: Rig) -> None:
        rig.restart(seconds=600)
        assert rig.tick(energy_mj=90_000_000).delta_mj == 0  # could still be one garbled reading
        tick = rig.tick(energy_mj=90_300_000)
        assert (tick.kind, tick.delta_mj) == ("gap", 90_300_000)
        assert tick.unmeasured_ns == 601 * SECOND
        assert tick.events == ("driver_reload",)
        assert rig.tick(energy_mj=90_600_000).kind == "tick"

    def test_a_reload_between_two_ticks_counts_too(self, rig: Rig) -> None:
        rig.tick(energy_mj=50)
        tick = rig.tick(energy_mj=300_050)
        assert (tick.delta_mj, tick.cause, tick.events) == (300_050, "driver_reload", ("driver_reload",))

    def test_a_reboot_counts_what_the_counter_shows_even_if_it_shows_more(self, rig: Rig) -> None:
        rig.tick(energy_mj=10**12 + 300_000)
        rig.reboot(uptime=10**10)
        tick = rig.tick(energy_mj=2 * 10**12)
        assert (tick.kind, tick.cause, tick.delta_mj) == ("gap", "reboot", 2 * 10**12)
        assert "reboot" in tick.events

    def test_a_reboot_believes_no_more_than_can_have_been_used_since(self, rig: Rig) -> None:
        """A virtual machine that was copied shows the energy of another life."""
        rig.reboot(uptime=60)
        for n in range(10):
            rig.tick(energy_mj=2 * 10**12 + 300_000 * n)
        assert rig.acc_mj <= most_mj(LIMIT_W, 75 * SECOND)
        assert rig.state.energy.clamped_mj > 10**12

    def test_a_stumble_is_held_until_it_is_over(self, rig: Rig) -> None:
        """One millijoule back that is passed on makes increase() report the whole counter once more."""
        rig.tick(energy_mj=10**12 + 300_000)
        assert rig.tick(energy_mj=10**12 + 299_999).delta_mj == 0
        tick = rig.tick(energy_mj=10**12 + 900_000)
        assert (tick.delta_mj, tick.events, tick.covers_ns) == (600_000, ("glitch",), 2 * SECOND)

    def test_a_stumble_that_lasts_ends_as_soon_as_it_is_made_up(self, rig: Rig) -> None:
        rig.tick(energy_mj=10**12 + 300_000)
        deltas = [rig.tick(energy_mj=10**12 - 500_000 + 300_000 * n).delta_mj for n in range(5)]
        assert deltas == [0, 0, 0, 100_000, 300_000]

    @pytest.mark.parametrize("garbage", [0, 1, 10**12 - 10**9, 10**12 + 10**15, 2**63])
    def test_one_garbled_reading_changes_nothing(self, rig: Rig, garbage: int) -> None:
        rig.tick(energy_mj=10**12 + 300_000)
        rig.tick(power_w=300.0, energy_mj=garbage)
        rig.tick(energy_mj=10**12 + 900_000)
        assert rig.acc_mj == 900_000
        assert rig.state.energy.clamped_mj == 0

    def test_a_value_that_sticks_is_not_taken_for_a_new_track(self, rig: Rig) -> None:
        for _ in range(4):
            rig.tick(power_w=300.0, energy_mj=2**62)
        rig.tick(energy_mj=10**12 + 1_500_000)
        assert rig.acc_mj == 1_500_000

    def test_a_jump_that_stays_is_clamped_to_what_power_says(self, rig: Rig) -> None:
        rig.tick(power_w=300.0, energy_mj=10**12 + 300_000)
        rig.tick(power_w=300.0, energy_mj=10**12 + 10**9 + 600_000)
        tick = rig.tick(power_w=300.0, energy_mj=10**12 + 10**9 + 900_000)
        assert (tick.delta_mj, tick.clamped_mj, tick.events) == (600_000, 10**9, ("jump",))
        assert rig.tick(power_w=300.0, energy_mj=10**12 + 10**9 + 1_200_000).delta_mj == 300_000
        assert rig.shown.energy_clamped_joules == 10**6

    def test_a_jump_without_power_readings_is_clamped_to_the_bound(self, rig: Rig) -> None:
        rig.tick(energy_mj=10**12 + 10**9)
        tick = rig.tick(energy_mj=10**12 + 10**9 + 1)
        assert tick.delta_mj == 2 * BOUND_MJ + STEP_MJ
        assert tick.delta_mj + tick.clamped_mj == 10**9 + 1

    def test_a_limit_that_is_not_known_is_a_generous_one(self) -> None:
        rig = Rig()
        rig.ctx = replace(rig.ctx, power_limit_w=None)
        rig.tick(energy_mj=0)
        assert rig.tick(energy_mj=2_400_000).delta_mj == 2_400_000
        assert rig.tick(energy_mj=2_400_000 + 3_000_000).delta_mj == 0

    def test_a_read_that_comes_late_is_no_jump(self, rig: Rig) -> None:
        """A slow call makes one difference too large for its tick; the next tick puts it right."""
        rig.tick(energy_mj=10**12 + 1_050_000)  # 1.5 s at the limit
        rig.tick(energy_mj=10**12 + 1_400_000)
        assert (rig.acc_mj, rig.state.energy.clamped_mj) == (1_400_000, 0)

    def test_suspend_is_no_trapezoid(self, rig: Rig) -> None:
        """Ten minutes asleep: the boot clock goes on, the counter knows how little was used."""
        tick = rig.tick(600, power_w=300.0, energy_mj=10**12 + 2_000)
        assert (tick.delta_mj, tick.kind, tick.cause) == (2_000, "gap", "late")

    def test_missed_readings_lose_nothing(self, rig: Rig) -> None:
        for _ in range(3):
            rig.miss()
        tick = rig.tick(energy_mj=10**12 + 1_200_000)
        assert (tick.kind, tick.cause, tick.delta_mj) == ("gap", "missed", 1_200_000)
        assert rig.tick(energy_mj=10**12 + 1_500_000).kind == "tick"

    def test_energy_of_a_gap_that_is_told_late_is_still_energy_of_the_gap(self, rig: Rig) -> None:
        """The first reading after a restart lacks the counter; the second brings an hour of energy."""
        rig.restart(seconds=3600)
        assert rig.tick(power_w=300.0).kind == "gap"
        tick = rig.tick(power_w=300.0, energy_mj=10**12 + 10**9)
        assert (tick.kind, tick.cause, tick.delta_mj) == ("gap", "resumed", 10**9)
        assert rig.tick(power_w=300.0, energy_mj=10**12 + 10**9 + 300_000).kind == "tick"

    def test_a_boot_clock_that_goes_back_within_a_boot_loses_nothing(self, rig: Rig) -> None:
        """As a container in a time namespace of its own does."""
        rig.restart()
        rig.now = replace(rig.now, boot_ns=1800 * SECOND)
        assert rig.tick(power_w=300.0, energy_mj=10**12 + 300_000_000).delta_mj == 300_000_000
        assert rig.tick(power_w=300.0, energy_mj=10**12 + 300_300_000).delta_mj == 300_000

    def test_without_the_kernels_word_a_boot_is_told_by_its_clock(self) -> None:
        """A boot that cannot be named must not count the driver's whole counter at every restart."""
        rig = Rig()
        rig.ctx = replace(rig.ctx, boot_id="unknown")
        rig.tick(energy_mj=10**9)
        rig.restart(seconds=10)
        assert rig.tick(energy_mj=10**9 + 300_000).delta_mj == 300_000
        rig.reboot("unknown", uptime=60)
        assert rig.tick(energy_mj=5_000_000).delta_mj == 5_000_000


class TestDemotion:
    """When the counter is given up, and how it is taken back."""

    def run(self, rig: Rig, seconds: int, power_w: float, counter_w: float | None) -> None:
        for _ in range(seconds):
            hw = rig.__dict__.setdefault("hw", 10**12)
            if counter_w is not None:
                rig.__dict__["hw"] = hw = hw + round(counter_w * 1000)
            rig.tick(power_average_w=power_w, energy_mj=None if counter_w is None else hw)

    @pytest.mark.fault("counter-frozen")
    def test_a_counter_that_stands_still_under_load_is_given_up_and_nothing_is_lost(self, rig: Rig) -> None:
        self.run(rig, 4, 300.0, 0.0)
        assert (rig.acc_mj, rig.shown.energy_source) == (0, "counter")
        self.run(rig, 1, 300.0, 0.0)
        assert (rig.shown.energy_source, rig.shown.energy_source_reason) == ("average", "frozen")
        assert rig.ticks[-1].events == ("source_changed",)
        assert rig.ticks[-1].covers_ns == 5 * SECOND
        self.run(rig, 55, 300.0, 0.0)
        assert rig.acc_mj == 60 * 300_000

    def test_a_counter_that_only_paused_is_exact(self, rig: Rig) -> None:
        self.run(rig, 4, 300.0, 0.0)
        rig.tick(power_average_w=300.0, energy_mj=10**12 + 1_499_000)
        assert (rig.acc_mj, rig.shown.energy_source) == (1_499_000, "counter")

    def test_a_sleeping_card_may_stand_still(self, rig: Rig) -> None:
        self.run(rig, 30, 4.0, 0.0)
        assert rig.shown.energy_source == "counter"

    def test_it_comes_back_after_a_minute_of_agreement_and_no_joule_is_doubled(self, rig: Rig) -> None:
        self.run(rig, 10, 300.0, 0.0)
        self.run(rig, 55, 300.0, 300.0)
        assert rig.shown.energy_source == "average"
        self.run(rig, 10, 300.0, 300.0)
        assert (rig.shown.energy_source, rig.shown.energy_source_reason) == ("counter", "")
        self.run(rig, 10, 300.0, 300.0)
        assert rig.acc_mj == 85 * 300_000

    def test_it_does_not_come_back_because_the_card_sleeps(self, rig: Rig) -> None:
        """Below 5 W a dead counter and a living one look alike."""
        self.run(rig, 10, 300.0, 0.0)
        self.run(rig, 130, 4.0, 0.0)
        assert rig.shown.energy_source == "average"

    def test_a_counter_that_vanishes_is_replaced_by_power_in_the_same_series(self, rig: Rig) -> None:
        self.run(rig, 10, 300.0, 300.0)
        self.run(rig, 60, 300.0, None)
        assert (rig.shown.energy_source, rig.shown.energy_source_reason) == ("average", "not_supported")
        assert rig.acc_mj == 70 * 300_000

    def test_a_counter_that_returns_is_only_a_base(self, rig: Rig) -> None:
        self.run(rig, 20, 300.0, None)
        rig.__dict__["hw"] = 10**12 + 20 * 333_000  # what it thinks of those 20 s is not counted again
        self.run(rig, 10, 300.0, 300.0)
        assert rig.shown.energy_source == "counter"
        assert rig.acc_mj == 30 * 300_000

    def test_a_counter_that_is_missing_for_a_moment_stays_exact(self, rig: Rig) -> None:
        self.run(rig, 4, 250.0, None)
        rig.tick(power_average_w=250.0, energy_mj=10**12 + 1_500_000)
        assert rig.acc_mj == 1_500_000

    def test_nonsense_at_every_tick_is_given_up(self, rig: Rig) -> None:
        for n in range(60):
            rig.tick(power_average_w=300.0, energy_mj=(n * 7919 * 10**9) % 10**13)
        assert rig.shown.energy_source_reason == "implausible"
        assert rig.acc_mj == 60 * 300_000

    @pytest.mark.fault("counter-frozen")
    @pytest.mark.parametrize("counter_w", [170.0, 430.0])
    def test_a_counter_that_disagrees_for_a_minute_is_not_believed(self, rig: Rig, counter_w: float) -> None:
        self.run(rig, 61, 300.0, counter_w)
        assert (rig.shown.energy_source, rig.shown.energy_source_reason) == ("average", "mismatch")
        before = rig.acc_mj
        self.run(rig, 200, 300.0, counter_w)
        assert rig.shown.energy_source == "average"
        assert rig.acc_mj - before == 200 * 300_000

    @pytest.mark.parametrize("counter_w", [265.0, 335.0])
    def test_a_gain_error_of_a_sensor_is_no_disagreement(self, rig: Rig, counter_w: float) -> None:
        self.run(rig, 200, 300.0, counter_w)
        assert rig.shown.energy_source == "counter"

    def test_a_few_watts_are_no_disagreement(self, rig: Rig) -> None:
        self.run(rig, 200, 8.0, 12.0)
        assert rig.shown.energy_source == "counter"

    def test_a_load_that_begins_as_the_minute_ends_is_no_disagreement(self, rig: Rig) -> None:
        """The average of an idle desktop card lags behind the counter by a second of 435 W."""
        self.run(rig, 59, 15.0, 15.0)
        rig.__dict__["hw"] += 450_000
        rig.tick(power_average_w=15.0, energy_mj=rig.__dict__["hw"])
        self.run(rig, 60, 450.0, 450.0)
        assert rig.shown.energy_source == "counter"

    @pytest.mark.parametrize(
        ("counter_w", "source"), [(140.0, "counter"), (650.0, "counter"), (50.0, "instant")]
    )
    def test_momentary_readings_convict_only_of_what_no_load_explains(
        self, counter_w: float, source: str
    ) -> None:
        """They look for 25 ms in 100 and may be in step with the load."""
        rig = Rig()
        for n in range(65):
            rig.tick(power_w=300.0, energy_mj=10**9 + n * round(counter_w * 1000))
        assert rig.shown.energy_source == source

    def test_distrust_outlives_a_restart(self, rig: Rig) -> None:
        self.run(rig, 10, 300.0, 0.0)
        rig.restart(seconds=60)
        tick = rig.tick(power_average_w=300.0, energy_mj=10**12 + 10**7)
        assert (tick.delta_mj, tick.unmeasured_ns) == (0, 61 * SECOND)
        assert rig.shown.energy_source_reason == "frozen"

    def test_when_nothing_else_is_left_even_a_suspect_is_heard(self, rig: Rig) -> None:
        self.run(rig, 10, 300.0, 0.0)
        for n in range(20):
            rig.tick(energy_mj=10**12 + 100_000 * n)
        assert rig.shown.energy_source == "counter"
        assert rig.booked_mj == rig.acc_mj
