"""A board that is cut into MIG instances: who is on which, and what nobody uses."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.agent.jobbing import (
    Programs,
    assert_all_conserved,
    job_mj,
    nobodys_mj,
    programs,
    settled,
    state_of,
    wait_for_jobs,
)
from tests.agent.metering import IDLE, add_idle, load, true_mj
from tests.fakenvml import Constant, Instance, Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.agent.running import RunningAgent
    from tests.fakenvml import FakeNvml

__all__ = ["programs"]


@pytest.mark.fault("mig-resliced")
def test_on_a_mig_board_parts_and_what_is_unused_sum_to_the_board(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, programs: Programs
) -> None:
    """T4: 1g, 2g and 4g; two in use, one by a process that is nobody's; then sliced anew."""
    (gpu,) = add_idle(fake_nvml, "full")
    one_g = Instance(1, gpu_slices=1, compute_slices=1)
    two_g = Instance(2, gpu_slices=2, compute_slices=2, name="MIG 2g.20gb")
    four_g = Instance(3, gpu_slices=4, compute_slices=4, name="MIG 4g.40gb")
    gpu.slice([one_g, two_g, four_g])
    running = agent()
    load(running, [gpu], IDLE)
    one, two = programs.start("one"), programs.start("two")
    gpu.set_processes([Process(one, gpu_instance_id=1), Process(two, gpu_instance_id=2)])
    first, second = wait_for_jobs(running, one, two)
    gpu.power = Constant(300)
    with running.watch() as watch:
        time.sleep(1.0)
        shared = settled(running, gpu)
        assert 2 * job_mj(shared, first) == pytest.approx(
            job_mj(shared, second), abs=2 * len(watch.scrapes) + 20
        )
        assert job_mj(shared, first) + job_mj(shared, second) == true_mj(gpu)
        assert shared.label("gpu_attribution_info", "method") == "mig_slices"
        gpu.set_processes(
            [Process(one, gpu_instance_id=1), Process(4_100_001, gpu_instance_id=3)]  # nobody's PID
        )
        running.wait_until(lambda s: state_of(s, second) == "running" and s.value("gpu_processes") == 2)
        gpu.power = Constant(300)
        time.sleep(1.0)
        unknown = settled(running, gpu)
        assert nobodys_mj(unknown, "unresolved") > 3 * (job_mj(unknown, first) - job_mj(shared, first)) > 0
        gpu.unslice()
        gpu.set_processes([Process(one, sm=30)])
        gpu.power = Constant(300)
        running.wait_until(lambda s: s.label("gpu_attribution_info", "method") == "sole", timeout=20.0)
        whole = settled(running, gpu)
        assert job_mj(whole, first) > job_mj(unknown, first)
    watch.assert_no_decrease()
    assert_all_conserved(running, watch)
