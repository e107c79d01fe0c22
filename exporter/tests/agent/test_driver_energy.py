"""F11: what an energy counter may do wrong, each on a card of its own, in one agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.agent.metering import add_idle, assert_exact, counted_mj, is_up, load, uuid_of
from tests.fakenvml import Constant

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeGpu, FakeNvml

WATTS = 400
TICK_MJ = WATTS * 1000 // 4  # used in one interval


def source(scrape: Scrape, gpu: FakeGpu) -> tuple[str | None, str | None]:
    """What the energy of a GPU is fed from, and why."""
    labels = {"uuid": uuid_of(gpu)}
    return (
        scrape.label("gpu_energy_source_info", "source", **labels),
        scrape.label("gpu_energy_source_info", "reason", **labels),
    )


def read_at_ns(fake: FakeNvml, scrape: Scrape, gpu: FakeGpu) -> int:
    """When a GPU was read, on the fake's clock."""
    seconds = scrape.value("gpu_last_reading_timestamp_seconds", uuid=uuid_of(gpu)) or 0.0
    return round(seconds * 1e9) - int(fake.raw.wall_origin_ns)


def test_a_counter_that_errs_is_followed_replaced_or_clamped_and_the_sum_stays_right(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """Monotone throughout; exact where the counter can be followed, close where power stands in."""
    gpus = add_idle(fake_nvml, *["full"] * 6)
    dips, resets, leaps, freezes, ends, healthy = gpus
    running = agent()
    load(running, gpus, Constant(WATTS))
    running.wait_until(lambda s: all((counted_mj(s, gpu) or 0) > 8 * TICK_MJ for gpu in gpus))
    with running.watch() as watch:
        dips.shift_energy(-1)
        leaps.shift_energy(1e12)
        freezes.freeze_energy()
        ends.set(energy_code=3)
        resets.reset_energy()
        running.wait_until(
            lambda s: "counter" not in (source(s, freezes)[0], source(s, ends)[0]), timeout=12.0
        )
        dips.shift_energy(1)
        ticks = running.value("gputally_samples_total") or 0
        after = running.wait_until(lambda s: (s.value("gputally_samples_total") or 0) > ticks + 2)
    watch.assert_no_decrease()
    # The truth at the instant of each reading is known apart from the counters, which no longer say it.
    truth = {uuid_of(gpu): gpu.energy_mj(to_ns=read_at_ns(fake_nvml, after, gpu)) for gpu in gpus}
    counted = {uuid_of(gpu): counted_mj(after, gpu) or 0 for gpu in gpus}
    for gpu in (leaps, freezes, ends, resets):
        error_mj = counted[uuid_of(gpu)] - truth[uuid_of(gpu)]
        # Within 2 %, but for the tick in which the counter stopped or began anew: it never showed that end.
        assert -TICK_MJ * 1.5 < error_mj < 0.02 * truth[uuid_of(gpu)], (gpu.slot, error_mj)
    assert source(after, freezes) == ("average", "frozen")
    assert source(after, ends) == ("samples", "not_supported")
    for gpu in (dips, leaps, resets, healthy):
        assert source(after, gpu) == ("counter", "")
    assert (after.value("gpu_energy_clamped_joules_total", uuid=uuid_of(leaps)) or 0) > 0.99e12
    for gpu in (dips, resets, freezes, ends, healthy):
        assert after.value("gpu_energy_clamped_joules_total", uuid=uuid_of(gpu)) == 0
    assert after.value("gpu_device_events_total", uuid=uuid_of(resets), event="driver_reload") == 1
    assert (after.value("gpu_energy_unmeasured_seconds_total", uuid=uuid_of(resets)) or 0) > 0
    assert all(is_up(after, gpu) for gpu in gpus)
    assert_exact(running, (dips, healthy))
