"""nvidia-smi as a source: GPUs that come, go, change places and are lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gputally.node.sources.nvidia_smi import NvidiaSmiSource
from gputally.node.sources.protocol import GpuLost, Unavailable
from tests.sources.standins.source import opened, read, uuids_of
from tests.sources.standins.standin import CAPTURES, StandIn

FOLDER = CAPTURES / "nvidia-smi"


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return StandIn("nvidia-smi", tmp_path, monkeypatch)


def test_one_lost_gpu_does_not_hide_the_others(smi: StandIn) -> None:
    """By itself the program would say that it cannot get the handle of GPU 1, and nothing else."""
    smi.play("550-lost")
    source = opened()
    assert len(uuids_of(source)) == 2, "who is lost from the start has no name to go by"
    smi.play("550-handle-lost")
    for slow_lane in (True, False, False):
        assert sorted(read(source, slow=slow_lane)) == sorted(uuids_of(source))


def healthy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plays the machine of the captures 550-* as it was before anything was lost."""
    for name in ("log.xml", "gpu.csv", "apps.csv"):
        (folder / name).write_bytes((FOLDER / "550-handle-lost" / name).read_bytes())
    (folder / "about.json").write_text('{"about": "Three H100."}')
    monkeypatch.setenv("STANDIN_CAPTURE", str(folder))


def test_a_gpu_that_is_lost_later_stays_in_the_inventory_without_readings(
    smi: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy(tmp_path, monkeypatch)
    source = opened()
    (reader,) = source.readers()
    first, _, third = everyone = uuids_of(source)
    for capture in ("550-lost", "550-unknown-error", "550-handle-lost"):
        smi.play(capture)
        for slow_lane in (False, True, False):
            assert list(reader.read(slow=slow_lane)) == [first, third], (capture, slow_lane)
            assert uuids_of(source) == everyone
    assert source.readers() == (reader,), "the same GPUs keep their reader"
    assert source.descriptions()[everyone[1]].name == "NVIDIA H100 80GB HBM3"


def test_a_gpu_that_is_lost_between_table_and_log_has_no_slow_lane(
    smi: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi.play("418-v100")
    source = opened()
    first, second = uuids_of(source)
    for name in ("about.json", "gpu.csv", "apps.csv"):
        (tmp_path / name).write_bytes((FOLDER / "418-v100" / name).read_bytes())
    before, after = (FOLDER / "418-v100" / "log.xml").read_text().split(f"<uuid>{second}<")
    (tmp_path / "log.xml").write_text(
        f"{before}<uuid>{second}<{re.sub('>[^<>]+</', '>GPU is lost</', after)}"
    )
    monkeypatch.setenv("STANDIN_CAPTURE", str(tmp_path))
    readings = read(source, slow=True)
    assert (readings[first].slow is None, readings[second].slow is None) == (False, True)


def test_a_gpu_that_gives_nothing_but_errors_is_not_up(
    smi: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it still says who it is."""
    smi.play("418-v100")
    source = opened()
    first, second = uuids_of(source)
    for name in ("about.json", "log.xml", "apps.csv"):
        (tmp_path / name).write_bytes((FOLDER / "418-v100" / name).read_bytes())
    names, good, _ = (FOLDER / "418-v100" / "gpu.csv").read_text().splitlines()
    errors = ", ".join(["1", second, *["[Unknown Error]"] * (names.count(",") - 1)])
    (tmp_path / "gpu.csv").write_text(f"{names}\n{good}\n{errors}\n")
    monkeypatch.setenv("STANDIN_CAPTURE", str(tmp_path))
    assert list(read(source)) == [first]
    assert len(uuids_of(source)) == 2


@pytest.mark.fault("value-impossible")
def test_what_is_impossible_is_dropped_noted_and_costs_no_other_reading(
    smi: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi.play("555-t4")
    source = opened()
    for name in ("about.json", "apps.csv", "gpu.csv", "log.xml"):
        text = (FOLDER / "555-t4" / name).read_text()
        for good, bad in (
            ("<gpu_temp>38 C<", "<gpu_temp>0 C<"),
            (" 27.18,", " 3538724.50,"),
            (">27.18 W<", ">9999.00 W<"),
        ):
            text = text.replace(good, bad)
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("STANDIN_CAPTURE", str(tmp_path))
    (reading,) = read(source, slow=True).values()
    assert reading.slow is not None
    assert (reading.fast.power_w, reading.slow.temperature_c) == (None, None)
    assert reading.rejected == ("power_w", "power_instant_w", "temperature_c")
    assert reading.fast.utilization_ratio == 0
    assert reading.slow.performance_state == 8


def test_a_lost_gpu_that_is_back_is_found_by_the_slow_lane(
    smi: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi.play("550-handle-lost")
    source = opened()
    assert len(read(source)) == 2
    healthy(tmp_path, monkeypatch)
    assert len(read(source)) == 2, "the tables are asked for those alone that answered"
    read(source, slow=True)
    assert len(uuids_of(source)) == len(read(source)) == 3


def test_when_every_gpu_is_lost_the_source_says_so(
    smi: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi.play("550-handle-lost")
    source = opened()
    for name in ("about.json", "log.xml", "gpu.csv"):
        text = (FOLDER / "550-handle-lost" / name).read_text()
        (tmp_path / name).write_text(text.replace('"lost": [\n  1\n ]', '"lost": [0, 1, 2]'))
    (tmp_path / "list.txt").write_text("Unable to determine the device handle for gpu 0: Unknown Error\n")
    monkeypatch.setenv("STANDIN_CAPTURE", str(tmp_path))
    with pytest.raises(GpuLost, match="Unable to determine the device handle") as caught:
        read(source)
    assert caught.value.reason == "lost"
    with pytest.raises(Unavailable):
        NvidiaSmiSource().open()


def test_other_gpus_are_found_at_the_next_tick_and_get_another_reader(smi: StandIn) -> None:
    smi.play("550-h100x8")
    source = opened()
    (before,) = source.readers()
    smi.play("418-v100")
    readings = before.read(slow=False)
    (after,) = source.readers()
    assert len(readings) == 2
    assert after.key != before.key
    assert set(after.uuids) == set(readings) == set(uuids_of(source))
    assert after.describe().keys() == readings.keys()


def test_gpus_that_change_places_keep_their_reader_and_get_their_new_index(
    smi: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi.play("418-v100")
    source = opened()
    (before,) = source.readers()
    first, second = uuids_of(source)
    for name in ("about.json", "log.xml", "gpu.csv", "apps.csv"):
        text = (FOLDER / "418-v100" / name).read_text()
        (tmp_path / name).write_text(
            text.replace(first, "FIRST").replace(second, first).replace("FIRST", second)
        )
    monkeypatch.setenv("STANDIN_CAPTURE", str(tmp_path))
    readings = read(source)
    assert [(gpu.index, gpu.uuid) for gpu in source.scan().gpus] == [("0", second), ("1", first)]
    assert readings[first].fast.power_w == 242.5
    assert source.readers() == (before,)


def test_when_the_last_gpu_is_gone_the_inventory_is_empty_and_the_next_one_is_seen(smi: StandIn) -> None:
    smi.play("418-v100")
    source = opened()
    smi.play("no-devices")
    for slow_lane in (False, True, False):
        with pytest.raises(Unavailable) as caught:
            read(source, slow=slow_lane)
        assert caught.value.reason == "no_gpus"
        assert source.scan().gpus == ()
    smi.play("555-t4")
    assert len(read(source)) == len(source.scan().gpus) == 1
