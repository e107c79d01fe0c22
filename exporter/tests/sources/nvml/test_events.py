"""XID errors: each handed on once, none lost to a fault, and the event set freed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gputally.node.sources.protocol import GpuLost

if TYPE_CHECKING:
    from .conftest import Bench


def test_each_xid_is_delivered_once_to_its_own_gpu(bench: Bench) -> None:
    """In order, several in one tick, and repeated ones too."""
    bench.fake.add_gpu()
    bench.fake.add_gpu()
    source = bench.opened()
    first, second = source.readers()
    for reader in (first, second):
        reader.describe()
    for xid in (13, 31, 31):
        bench.fake.inject_xid(0, xid)
    assert bench.tick(first).fast.new_xids == (13, 31, 31)
    assert bench.tick(second).fast.new_xids == ()
    assert bench.tick(first).fast.new_xids == ()
    bench.fake.inject_xid(1, 94)
    assert bench.tick(second, slow=True).fast.new_xids == (94,)


@pytest.mark.fault("xid-flood")
def test_xids_of_a_flood_are_spread_over_ticks_and_none_is_lost(bench: Bench) -> None:
    """A tick takes 64 at most, so that it ends."""
    bench.fake.add_gpu()
    reader = bench.reader()
    for _ in range(63):
        bench.fake.inject_xid(0, 48)
    bench.fake.reset_calls()
    assert len(bench.tick(reader).fast.new_xids) == 63
    assert bench.fake.calls("nvmlEventSetWait_v2") == 64


def test_other_events_are_not_asked_for(bench: Bench) -> None:
    """Only critical XIDs are registered."""
    gpu = bench.fake.add_gpu()
    reader = bench.reader()
    gpu.inject_event(0x1, 5)
    assert bench.tick(reader).fast.new_xids == ()


def test_an_xid_comes_with_the_loss_that_it_announces(bench: Bench) -> None:
    """No later reading may ever bring it, so the failed one does; and only once."""
    bench.fake.add_gpu()
    reader = bench.reader()
    bench.fake.inject_xid(0, 79)
    bench.fake.fault("nvmlDeviceGetFieldValues", gpu=0, code=15)
    with pytest.raises(GpuLost) as lost:
        bench.tick(reader)
    assert lost.value.new_xids == (79,)
    with pytest.raises(GpuLost) as lost:
        bench.tick(reader)
    assert lost.value.new_xids == ()
    bench.fake.clear(gpu=0)
    assert bench.tick(reader).fast.new_xids == ()


def test_an_xid_between_description_and_first_read_is_not_lost(bench: Bench) -> None:
    """Describing takes a first reading of its own."""
    bench.fake.add_gpu()
    source = bench.opened()
    reader = source.readers()[0]
    bench.tick(reader)
    bench.fake.inject_xid(0, 62)
    reader.describe()
    assert bench.tick(reader).fast.new_xids == (62,)


def test_a_card_that_tells_no_xids_is_not_asked(bench: Bench) -> None:
    """Only supported event types are registered: the driver refuses others."""
    bench.fake.add_gpu(supported_events=0x3)
    source = bench.opened()
    reader = source.readers()[0]
    assert reader.describe()[reader.uuids[0]].absent["new_xids"] == "not_supported"
    reading = bench.tick(reader)
    assert (reading.fast.new_xids, reading.failed) == ((), {})
    assert bench.fake.calls("nvmlDeviceRegisterEvents") == 0
    assert bench.fake.raw.event_sets == 0


def test_a_registration_that_fails_leaks_no_event_set(bench: Bench) -> None:
    """It is tried again at the next tick."""
    bench.fake.add_gpu()
    bench.fake.fault("nvmlDeviceRegisterEvents", gpu=0, code=17)
    reader = bench.opened().readers()[0]
    for _ in range(5):
        assert bench.tick(reader).failed == {"new_xids": "operating_system"}
    assert bench.fake.raw.event_sets == 0
    bench.fake.clear(gpu=0)
    assert bench.tick(reader).failed == {}
    assert bench.fake.raw.event_sets == 1
