"""Whatever a collector raises, even what ends a program elsewhere, costs what it was to bring and no more."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.agent.metering import add_idle, assert_exact, is_up, load
from tests.fakenvml import Constant, Process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeNvml

# Python runs this before the command. Each place that it opens raises what the file `faults` names for it.
INJECTION = """
import builtins, functools, json, os

def faulty(place, function, when=lambda *_: True):
    @functools.wraps(function)
    def call(*arguments, **more):
        try:
            with open(os.environ["FAULTS"]) as file:
                name = json.load(file).get(place)
        except OSError:
            name = None
        if name and when(*arguments):
            raise getattr(builtins, name)("injected")
        return function(*arguments, **more)
    return call

import psutil, pynvml
import gputally.node.counters as counters, gputally.node.host as host, gputally.node.processes as processes

pointer_of = pynvml._nvmlGetFunctionPointer
def slot_of(handle):  # of the fake driver's handles
    return handle.value >> 8 & 0xFF
def pointer(name):
    found = pointer_of(name)
    if name != "nvmlDeviceGetMemoryInfo_v2":
        return found
    return faulty("driver", found, lambda handle, *_: slot_of(handle) == 1)
pynvml._nvmlGetFunctionPointer = pointer
counters.advance = faulty(
    "counters", counters.advance, lambda state, reading, *_: reading.fast.memory_used_bytes == 7 << 30
)
host.parse_memory = faulty("host", host.parse_memory)
processes.read_identity = faulty("processes", processes.read_identity)
psutil.Process.memory_info = faulty("self", psutil.Process.memory_info)
"""
EXCEPTIONS = ("ValueError", "SystemExit", "KeyboardInterrupt", "RecursionError", "MemoryError")


def success(scrape: Scrape, collector: str) -> float | None:
    """What the exporter says about a collector."""
    return scrape.value("gputally_collector_success", collector=collector)


@pytest.mark.fault("collector-raises")
def test_no_exception_of_a_collector_costs_more_than_what_it_collects(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    """F16, in the driver's binding, in /proc, in our own figures and in the arithmetic of one GPU."""
    (tmp_path / "sitecustomize.py").write_text(INJECTION)
    faults = tmp_path / "faults"

    def inject(**places: str) -> None:
        new = tmp_path / "faults.new"
        new.write_text(json.dumps(places))
        new.replace(faults)

    gpus = add_idle(fake_nvml, "full", "full", "full")
    gpus[2].set(memory_used=7 << 30)
    inject(host="SystemExit", self="MemoryError")
    fake_nvml.set_processes(0, [Process(3_000_000)])
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    running = agent(env={"PYTHONPATH": path, "FAULTS": str(faults)})
    load(running, gpus, Constant(300))
    with running.watch() as watch:
        for number, exception in enumerate(EXCEPTIONS):
            word = exception.lower()
            inject(driver=exception, processes=exception, host="SystemExit", self="MemoryError")
            fake_nvml.set_processes(0, [Process(3_000_001 + number)])  # one that is not known yet
            down = running.wait_until(
                lambda s, w=word: (
                    s.label("gpu_down_info", "reason", gpu="1") == w
                    and s.value("gputally_sample_errors_total", collector="processes", reason=w)
                ),
                what=exception,
            )
            assert is_up(down, gpus[0])
            assert is_up(down, gpus[2])
            assert (success(down, "nvml"), success(down, "processes")) == (0, 0)
            assert down.value("gpu_processes", gpu="0") is None
            assert down.value("gputally_sample_errors_total", collector="nvml", reason=word)
        inject(counters="ValueError", host="SystemExit", self="MemoryError")
        down = running.wait_until(lambda s: s.label("gpu_down_info", "reason", gpu="2") == "valueerror")
        down = running.wait_until(lambda s: is_up(s, gpus[1]))
        assert success(down, "host") == 0
        assert success(down, "self") == 0
        assert down.value("host_memory_total_bytes") is None
        assert down.value("process_resident_memory_bytes") is None
        assert down.value("host_load_average", window="1m") is None
        inject()
        running.wait_until(lambda s: all(success(s, c) == 1 for c in ("nvml", "host", "self", "processes")))
    watch.assert_served()
    watch.assert_no_decrease()
    assert running.get("/-/healthy")[0] == 200
    assert running.value("gputally_sample_errors_total", collector="sampler", reason="bug") is None
    assert len(running.log) < 40
    assert_exact(running, gpus)
