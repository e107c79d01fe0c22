"""What a call may cost is bounded, whatever a driver lists; and everybody gets a turn."""

import os
import threading
import time

import pytest

from gputally.node.identity import binder as bounds
from gputally.node.identity import proc, watch
from gputally.node.identity.owners import OwnerNames
from gputally.node.identity.register import FORGET_NS
from tests.node.identity.machine import SECOND, at


def looks(monkeypatch):
    """PIDs that are looked at."""
    seen = []
    opened = proc.Folder.__init__

    def counted(self, root, pid):
        seen.append(pid)
        opened(self, root, pid)

    monkeypatch.setattr(proc.Folder, "__init__", counted)
    return seen


def test_what_leads_nowhere_is_looked_at_once_a_second(machine, monkeypatch):
    binder = machine.binder()
    seen = looks(monkeypatch)
    for tick in range(40):
        binder.sightings([70_000], at(tick * 0.25))
    assert len(seen) == 10


def test_a_flood_of_pids_is_looked_at_in_turns_and_hides_nobody_for_ever(machine, monkeypatch):
    machine.add(101)
    flood = [*range(20_000, 30_000), 101]
    binder = machine.binder()
    seen = looks(monkeypatch)
    found = []
    for second in range(45):
        seen.clear()
        found.append(binder.sightings(flood, at(second)))
        assert sum(pid >= 20_000 for pid in seen) <= bounds.MOST_LOOKS
    assert 101 in found[-1]
    assert set(found[-1]) == {101}


def crowd(gpu):
    """PIDs that nobody has, more than can be looked at."""
    return range(10_000 * (gpu + 2), 10_000 * (gpu + 3))


def test_calls_of_one_tick_share_its_looks_and_each_has_a_few_of_its_own(machine, monkeypatch):
    binder = machine.binder()
    seen = looks(monkeypatch)
    counts = []
    for gpu in range(16):
        seen.clear()
        binder.sightings(crowd(gpu), at(gpu * 0.01))
        counts.append(len(seen))
    assert counts == [bounds.MOST_LOOKS, *[bounds.FEW_LOOKS] * 15]


def test_calls_with_few_processes_share_the_looks_of_a_tick(machine, monkeypatch):
    binder = machine.binder()
    seen = looks(monkeypatch)
    for gpu in range(10):
        binder.sightings(crowd(gpu)[:20], at(gpu * 0.01))
    assert len(seen) == 200
    seen.clear()
    binder.sightings(crowd(10), at(0.1))
    assert len(seen) == bounds.MOST_LOOKS - 200


def test_a_crowd_on_one_gpu_hides_no_job_on_another(machine):
    binder = machine.binder()
    machine.add(101)
    for second in range(3):
        binder.sightings(crowd(0), at(second))
        assert set(binder.sightings([101], at(second + 0.01))) == {101}


def test_a_flood_costs_little_time_and_is_forgotten(machine):
    binder = machine.binder()
    flood = list(range(20_000, 30_000))
    began = time.process_time()
    for second in range(50):
        binder.sightings(flood, at(second))
    assert (time.process_time() - began) / 50 < 0.25  # about 12 ms
    assert len(binder._missing) == 10_000
    binder.sightings([], at(200))
    assert not binder._missing


def test_no_more_is_bound_than_can_be_remembered(machine, monkeypatch):
    monkeypatch.setattr(bounds, "MOST_BOUND", 20)
    for pid in range(200, 300):
        machine.add(pid, start=pid)
    binder = machine.binder()
    assert len(binder.sightings(range(200, 300), at(0))) == 20
    assert len(binder._bound) == 20


def test_processes_and_jobs_that_left_the_gpus_are_forgotten(machine):
    binder = machine.binder()
    for pid in range(200, 230):
        machine.add(pid, start=pid)
        binder.sightings([pid], at(pid))
    assert len(binder._register._jobs) == 30
    later = 230 + 2 * FORGET_NS / SECOND
    binder.sightings([], at(later))
    binder.sightings([], at(later + 700))
    assert not binder._bound
    assert not binder._register._jobs


def test_a_job_that_returns_to_the_gpu_within_minutes_is_the_same(machine):
    machine.add(101)
    binder = machine.binder()
    first = binder.sightings([101], at(0))[101]
    for second in range(1, 300):
        assert binder.sightings([], at(second)) == {}
    assert binder.sightings([101], at(300))[101] is first


def test_ancestors_without_end_are_followed_no_further_than_the_bound(machine, monkeypatch):
    for pid in range(200, 500):
        machine.add(pid, parent=pid - 1, start=pid)
    machine.add(600, parent=601, start=500)
    machine.add(601, parent=600, start=500)
    binder = machine.binder()
    seen = looks(monkeypatch)
    assert binder.sightings([499], at(0))[499].evidence.leader == (
        499 - proc.MOST_ANCESTORS,
        499 - proc.MOST_ANCESTORS,
    )
    assert len(seen) <= proc.MOST_ANCESTORS + 2
    assert 600 in binder.sightings([600], at(1))


def test_descriptors_are_bounded_and_returned(monkeypatch):
    monkeypatch.setattr(watch, "MOST", 3)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as the kernel lists them
    binder = bounds.Binder()
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()][:20]  # noqa: PTH208
    assert binder.sightings(pids, at(0))
    assert len(os.listdir("/proc/self/fd")) <= before + 3  # noqa: PTH208
    binder.sightings([], at(3000))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.fault("directory-hangs")
def test_a_directory_service_that_answers_slowly_holds_up_no_tick(machine):
    release = threading.Event()
    owners = OwnerNames(lambda uid: f"user{uid}" if release.wait(30) else "")
    for pid in range(200, 260):
        machine.add(pid, uid=pid, start=pid)
    binder = machine.binder(owners=owners)
    began = time.monotonic()
    found = binder.sightings(range(200, 260), at(0))
    assert time.monotonic() - began < 5  # 0.1 s are spent on waiting
    assert {one.job.user for one in found.values()} == {str(uid) for uid in range(200, 260)}
    release.set()
