"""The counters of one GPU as a scrape sees them: what a reading adds, and that nothing ever goes back."""

import random
from dataclasses import replace

import pytest

from gputally.model import NvLink, SlowReading
from gputally.node import counters, gpustate, statejson
from gputally.node.gpustate import HOLD_NS, behind, held, overtaken
from gputally.node.power import most_mj
from tests.node.card import LIMIT_W, SECOND, Rig, Wave

BANDS = {"sw_power_cap": 5, "hw_slowdown": 0}
WAVES = [(shape, period) for shape in ("square", "sine") for period in (0.4, 0.72, 1.0, 3.3, 7.0, 20.0)]


class TestOthers:
    """Everything that is not energy."""

    def test_busy_seconds_are_utilisation_over_time(self) -> None:
        rig = Rig()
        rig.tick(utilization_ratio=1.0)
        assert rig.shown.busy_seconds == 0
        assert rig.tick(2.0, utilization_ratio=0.25).busy_ns == SECOND // 2
        assert rig.shown.busy_seconds == 0.5

    def test_busy_seconds_are_absent_until_utilisation_is_seen_and_then_stay(self) -> None:
        rig = Rig()
        rig.tick(power_w=1.0)
        assert rig.shown.busy_seconds is None
        rig.tick(utilization_ratio=0.5)
        rig.tick()
        assert rig.shown.busy_seconds == 0.5

    def test_nothing_is_integrated_over_a_gap(self) -> None:
        rig = Rig()
        rig.tick(utilization_ratio=1.0, throttling={"hw_slowdown": True})
        rig.tick(5.1, utilization_ratio=1.0, throttling={"hw_slowdown": True})
        assert (rig.shown.busy_seconds, rig.shown.throttle_seconds) == (0.0, {"hw_slowdown": 0.0})

    def test_busy_time_never_outruns_the_clock(self) -> None:
        rig = Rig()
        rig.tick(utilization_ratio=0.0)
        assert rig.tick(utilization_ratio=1.3).busy_ns == SECOND

    def test_the_drivers_throttle_counters_are_followed(self) -> None:
        rig = Rig()
        rig.tick(throttle_ns={"hw_slowdown": 10**15})
        rig.tick(throttle_ns={"hw_slowdown": 10**15 + SECOND // 2})
        assert rig.shown.throttle_seconds == {"hw_slowdown": 0.5}

    def test_throttle_time_of_a_downtime_is_not_lost(self) -> None:
        rig = Rig()
        rig.tick(throttle_ns={"hw_slowdown": 0})
        rig.restart(seconds=3600)
        rig.tick(throttle_ns={"hw_slowdown": 1800 * SECOND})
        assert rig.shown.throttle_seconds == {"hw_slowdown": 1800.0}

    def test_throttled_time_never_outruns_the_clock(self) -> None:
        rig = Rig()
        rig.tick(throttle_ns={"hw_slowdown": 0})
        rig.tick(throttle_ns={"hw_slowdown": 10**18})
        assert rig.shown.throttle_seconds["hw_slowdown"] <= 2

    def test_without_such_counters_the_flags_are_integrated(self) -> None:
        rig = Rig()
        flags = {"hw_slowdown": False, "sw_power_cap": True}
        rig.tick(throttling=flags)
        rig.tick(throttling=flags)
        assert rig.shown.throttle_seconds == {"hw_slowdown": 0.0, "sw_power_cap": 1.0}
        rig.tick(throttle_ns={"sw_power_cap": 10**15})
        assert rig.shown.throttle_seconds["sw_power_cap"] == 1.0

    def test_bytes_and_replays_are_followed_over_a_reboot(self) -> None:
        rig = Rig()
        slow = SlowReading(pcie_replays=3)
        rig.tick(pcie_transmit_bytes=10**12, pcie_receive_bytes=5, slow=slow)
        rig.tick(pcie_transmit_bytes=10**12 + 7, pcie_receive_bytes=6, slow=replace(slow, pcie_replays=4))
        rig.reboot()
        rig.tick(pcie_transmit_bytes=10**12 + 9, pcie_receive_bytes=2, slow=replace(slow, pcie_replays=9))
        shown = rig.shown
        assert (shown.pcie_transmit_bytes, shown.pcie_receive_bytes) == (10**12 + 16, 3.0)
        assert shown.pcie_replays == 10.0

    def test_counters_of_the_slow_lane_know_of_a_reboot_that_the_fast_lane_saw(self) -> None:
        """The first reading of the new boot has no slow lane; the second must still count from zero."""
        rig = Rig()
        rig.tick(slow=SlowReading(pcie_replays=3))
        rig.reboot()
        rig.tick()
        rig.tick(slow=SlowReading(pcie_replays=5))
        assert rig.shown.pcie_replays == 5.0

    def test_links_are_counted_each_or_all_together(self) -> None:
        rig = Rig()

        def links(name: str | None, count: int) -> SlowReading:
            return SlowReading(
                nvlinks=(NvLink(name, transmit_bytes=count, receive_bytes=2 * count, errors={"crc": count}),)
            )

        rig.tick(slow=links(None, 10))
        rig.tick(slow=links(None, 15))
        assert rig.shown.nvlink_transmit_bytes == {"all": 5.0}
        assert rig.shown.nvlink_receive_bytes == {"all": 10.0}
        assert rig.shown.nvlink_errors == {("all", "crc"): 5.0}
        rig.tick(slow=links("3", 20))
        rig.tick(slow=links("3", 21))
        assert rig.shown.nvlink_transmit_bytes == {"3": 1.0}, "the sum must not stand beside its parts"

    def test_a_link_that_says_nothing_keeps_its_count(self) -> None:
        rig = Rig()
        for up in (True, True, False):
            count = len(rig.ticks) * 10 if up else None
            rig.tick(slow=SlowReading(nvlinks=(NvLink("0", up=up, transmit_bytes=count),)))
        assert rig.shown.nvlink_transmit_bytes == {"0": 10.0}

    def test_memory_errors_are_the_cards_own_count_over_its_life(self) -> None:
        rig = Rig()
        rig.tick(slow=SlowReading(ecc_aggregate={"corrected": 40}, ecc_volatile={"corrected": 2}))
        assert rig.shown.ecc_errors == {"corrected": 40.0}
        rig.reboot()
        rig.tick(slow=SlowReading(ecc_aggregate={"corrected": 41}, ecc_volatile={"corrected": 0}))
        assert rig.shown.ecc_errors == {"corrected": 41.0}

    def test_without_it_memory_errors_since_the_drivers_load_are_followed(self) -> None:
        rig = Rig()
        rig.tick(slow=SlowReading(ecc_volatile={"uncorrected": 2}))
        rig.reboot()
        rig.tick(slow=SlowReading(ecc_volatile={"uncorrected": 3}))
        assert rig.shown.ecc_errors == {"uncorrected": 5.0}

    def test_xids_are_counted_with_the_time_of_the_latest(self) -> None:
        rig = Rig()
        rig.tick(new_xids=(79, 13, 79))
        rig.tick(new_xids=(13,))
        assert rig.shown.xid_errors == {"79": 2.0, "13": 2.0}
        assert rig.shown.xid_last_seconds["13"] - rig.shown.xid_last_seconds["79"] == 1.0

    def test_kinds_of_xids_are_bounded(self) -> None:
        rig = Rig()
        rig.tick(new_xids=tuple(range(1000)))
        rig.tick(new_xids=(1, 999))
        assert len(rig.shown.xid_errors) == 65
        assert rig.shown.xid_errors["other"] == 937.0
        assert rig.shown.xid_errors["1"] == 2.0

    def test_the_power_peak_is_the_highest_of_all_readings(self) -> None:
        rig = Rig()
        rig.tick(power_w=300.0, power_instant_w=500.0, power_samples=((1, 650_000), (2, 100_000)))
        rig.tick(power_w=310.0, utilization_ratio=0.5)
        assert (rig.shown.power_peak_w, rig.shown.utilization_peak_ratio) == (650.0, 0.5)
        rig.wait(60)
        assert (rig.shown.power_peak_w, rig.shown.utilization_peak_ratio) == (310.0, 0.5)
        rig.wait(1)
        assert (rig.shown.power_peak_w, rig.shown.utilization_peak_ratio) == (None, None)

    def test_a_gpu_that_was_never_read_shows_no_counter(self) -> None:
        shown = Rig().shown
        assert (shown.energy_joules, shown.busy_seconds, shown.pcie_transmit_bytes) == (None, None, None)
        assert shown.energy_source == "none"

    def test_a_lost_gpu_keeps_its_counters(self) -> None:
        rig = Rig()
        rig.tick(energy_mj=0, utilization_ratio=1.0)
        rig.tick(energy_mj=300_000, utilization_ratio=1.0)
        before = rig.shown
        for _ in range(5):
            rig.miss()
        assert (rig.shown.energy_joules, rig.shown.busy_seconds) == (before.energy_joules, 1.0)


class TestHold:
    """After a power cut the file may be older than what was scraped."""

    def crashed(self) -> Rig:
        rig = Rig()
        flags = {"hw_slowdown": True}
        for n in range(4):
            slow = SlowReading(pcie_replays=n, ecc_aggregate={"corrected": n})
            rig.tick(
                energy_mj=n * 600_000,
                utilization_ratio=1.0,
                throttling=flags,
                pcie_transmit_bytes=n,
                new_xids=(79,),
                slow=slow,
            )
        rig.reboot()
        rig.state = held(rig.state)
        return rig

    def test_bounded_counters_stand_at_what_they_cannot_have_passed(self) -> None:
        shown = self.crashed().shown
        assert shown.energy_joules == 1800 + 12 * 840
        assert shown.busy_seconds == 3 + 12
        assert shown.throttle_seconds == {"hw_slowdown": 3.0 + 12}
        assert shown.energy_unmeasured_seconds == HOLD_NS / SECOND

    def test_unbounded_counters_begin_at_zero_which_is_a_reset_that_is_seen(self) -> None:
        rig = self.crashed()
        shown = rig.shown
        assert (shown.pcie_transmit_bytes, shown.pcie_replays, shown.ecc_errors) == (0.0, 0.0, {})
        assert shown.xid_errors == {"79": 0.0}
        rig.tick(pcie_transmit_bytes=50, slow=SlowReading(pcie_replays=1, ecc_aggregate={"corrected": 9}))
        shown = rig.shown
        assert (shown.pcie_transmit_bytes, shown.pcie_replays, shown.ecc_errors) == (
            50.0,
            1.0,
            {"corrected": 9.0},
        )

    @pytest.mark.fault("power-cut")
    def test_the_truth_takes_over_where_it_has_caught_up(self) -> None:
        rig = self.crashed()
        rig.tick(energy_mj=10_079_000)
        assert rig.shown.energy_joules == 1800 + 10_080
        assert rig.acc_mj == 1_800_000 + 10_079_000
        rig.tick(energy_mj=10_400_000)
        assert rig.shown.energy_joules == 1800 + 10_400

    def test_each_counter_waits_for_its_own_truth(self) -> None:
        """Nothing but energy was ever read, so only energy is behind."""
        rig = Rig()
        rig.tick(energy_mj=0)
        rig.reboot()
        rig.state = held(rig.state)
        rig.tick(energy_mj=5_000_000)
        assert rig.shown.energy_joules == 12 * 840

    def test_a_second_crash_holds_on_from_the_first(self) -> None:
        rig = self.crashed()
        before = rig.shown
        rig.reboot("boot-c")
        rig.state = held(rig.state)
        assert rig.shown.energy_joules == (before.energy_joules or 0) + 12 * 840
        assert rig.shown.busy_seconds == 27.0

    def test_the_hold_outlives_a_restart(self) -> None:
        rig = self.crashed()
        rig.tick(energy_mj=0, utilization_ratio=0.0, throttling={"hw_slowdown": False})
        before = rig.shown
        rig.restart()
        after = rig.shown
        assert (after.energy_joules, after.busy_seconds) == (before.energy_joules, before.busy_seconds)
        assert after.throttle_seconds == before.throttle_seconds


class TestOvertaken:
    """More was published than could be saved, and nobody knows how much."""

    def rig(self) -> Rig:
        rig = Rig()
        for second in range(3):
            rig.tick(
                energy_mj=1000 * second,
                utilization_ratio=1.0,
                throttle_ns=BANDS,
                slow=SlowReading(pcie_replays=7 + second),
                new_xids=(79,),
            )
        return rig

    def test_within_a_boot_the_drivers_counters_make_up_for_it_and_all_else_begins_at_zero(self) -> None:
        rig = self.rig()
        before = rig.shown
        assert (before.energy_joules, before.pcie_replays, before.busy_seconds) == (2.0, 2.0, 2.0)
        rig.state = overtaken(rig.state, same_boot=True)
        rig.tick(100, energy_mj=50_000, utilization_ratio=1.0, slow=SlowReading(pcie_replays=30))
        after = rig.shown
        assert (after.energy_joules, after.pcie_replays, after.xid_errors) == (50.0, 23.0, {"79": 0.0})
        assert after.busy_seconds is not None
        assert after.busy_seconds < before.busy_seconds

    def test_after_another_boot_nothing_can_be_made_up_for(self) -> None:
        rig = self.rig()
        rig.reboot()
        rig.state = overtaken(rig.state, same_boot=False)
        rig.tick(energy_mj=5000, slow=SlowReading(pcie_replays=3))
        assert (rig.shown.energy_joules, rig.shown.pcie_replays, rig.shown.busy_seconds) == (5.0, 3.0, 0.0)

    def test_after_a_few_seconds_what_was_integrated_is_held(self) -> None:
        rig = self.rig()
        before = rig.shown
        rig.state = behind(rig.state)
        rig.tick(5, energy_mj=50_000, utilization_ratio=0.0, slow=SlowReading(pcie_replays=30))
        after = rig.shown
        assert (after.energy_joules, after.pcie_replays, after.xid_errors) == (50.0, 23.0, {"79": 0.0})
        assert after.busy_seconds == (before.busy_seconds or 0) + HOLD_NS / SECOND

    def test_integrated_energy_begins_at_zero(self) -> None:
        rig = Rig()
        for _ in range(5):
            rig.tick(power_average_w=100.0)
        assert rig.shown.energy_joules == pytest.approx(400, abs=101)
        rig.state = overtaken(rig.state, same_boot=True)
        assert rig.shown.energy_joules == 0
        rig.tick(power_average_w=100.0)
        assert rig.shown.energy_joules == pytest.approx(100, abs=1)

    def test_nothing_read_is_nothing_shown(self) -> None:
        assert overtaken(gpustate.fresh(), same_boot=True) == gpustate.fresh()


class TestState:
    """What is kept of a GPU as plain JSON."""

    def test_everything_but_the_last_minute_survives(self) -> None:
        rig = TestHold().crashed()
        rig.tick(
            energy_mj=5, throttle_ns=BANDS, slow=SlowReading(nvlinks=(NvLink(None, True, 1, 2, {"crc": 3}),))
        )
        again = statejson.from_json(statejson.to_json(rig.state))
        assert statejson.to_json(again) == statejson.to_json(rig.state)
        shown, before = counters.publish(again, rig.now), rig.shown
        assert replace(before, power_peak_w=None, utilization_peak_ratio=None) == shown

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("boot", 5),
            ("last", [1]),
            ("last", "yesterday"),
            ("busy_ns", -1),
            ("busy_ns", True),
            ("busy_ns", 1.5),
            ("energy", {}),
            ("energy", None),
            ("throttle", {"a": [1]}),
            ("pcie_replays", [1, 2, "3"]),
            ("xids", {"79": 3}),
            ("floor", [1, 2]),
        ],
    )
    def test_what_it_cannot_have_written_is_refused(self, key: str, value: object) -> None:
        data = statejson.to_json(TestHold().crashed().state)
        with pytest.raises(ValueError, match=r"expected|not a state|values to unpack"):
            statejson.from_json({**data, key: value})


class TestAgainstTheTruth:
    """Square and sine waves of 0.4 to 20 s between 70 and 700 W, over five minutes of uneven ticks."""

    def error(self, wave: Wave, kind: str, seed: int) -> float:
        """Relative error of what is counted against the closed form."""
        choose, rig = random.Random(seed), Rig()  # noqa: S311 - uneven ticks, no secret
        begin = t = choose.uniform(10, 11)
        seen = begin - 1
        origin = rig.now
        while t < begin + 300:
            ns = round(t * SECOND)
            rig.now = replace(origin, boot_ns=origin.boot_ns + ns, wall_ns=origin.wall_ns + ns)
            if kind == "counter":
                rig.tick(0, energy_mj=wave.counter_mj(t))
            elif kind == "average":
                rig.tick(0, power_average_w=wave.average_w(t))
            else:
                rig.tick(0, power_samples=wave.ring(seen, t))
            seen = t
            t += choose.uniform(0.93, 1.07)
        truth = wave.joules(begin, seen)
        return abs(rig.acc_mj / 1000 - truth) / truth

    @pytest.mark.parametrize(("shape", "period"), WAVES)
    @pytest.mark.parametrize(("kind", "most"), [("counter", 0.001), ("average", 0.01), ("samples", 0.006)])
    def test_the_error_is_small(self, kind: str, most: float, shape: str, period: float) -> None:
        """The ring's own error is half a sample of 20 ms at an edge, where the edges keep step with it."""
        for seed in range(3):
            wave = Wave(shape, period, 70.0, 700.0, start=seed * period / 3)
            assert self.error(wave, kind, seed) <= most


def test_a_power_reading_is_worth_at_most_what_the_board_can_use() -> None:
    """The bound that everything else is measured by."""
    assert most_mj(LIMIT_W, SECOND) == 840_000
    assert most_mj(None, SECOND) == 2_400_000
    assert most_mj(LIMIT_W, -5) == 0
