"""nvidia-smi as a source: what it reads of several drivers and cards, and how often it runs the program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gputally.node.sources.nvidia_smi import NvidiaSmiSource, fast, listing, slow, xmllog
from gputally.node.sources.printed import Sheet
from gputally.node.sources.protocol import Unavailable, VersionMismatch
from tests.sources.standins.golden import assert_golden, read_out
from tests.sources.standins.source import opened, read, uuids_of
from tests.sources.standins.standin import CAPTURES, StandIn, captures_of

if TYPE_CHECKING:
    from pathlib import Path


FOLDER = CAPTURES / "nvidia-smi"
WITH_LOG = [name for name in captures_of("nvidia-smi") if (FOLDER / name / "log.xml").exists()]
WITHOUT_GPU = [name for name in captures_of("nvidia-smi") if name not in WITH_LOG]


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return StandIn("nvidia-smi", tmp_path, monkeypatch)


# What is read.


@pytest.mark.parametrize("capture", WITH_LOG)
def test_readings_of_a_capture_are_as_recorded(smi: StandIn, capture: str) -> None:
    smi.play(capture)
    assert_golden(FOLDER / capture, read_out(NvidiaSmiSource(), ticks=True))


@pytest.mark.parametrize("capture", WITHOUT_GPU)
def test_a_program_that_cannot_answer_is_unavailable_with_its_own_words(smi: StandIn, capture: str) -> None:
    smi.play(capture)
    with pytest.raises(Unavailable) as caught:
        NvidiaSmiSource().open()
    assert_golden(FOLDER / capture, {"reason": caught.value.reason, "sentence": str(caught.value)})
    assert not isinstance(caught.value, VersionMismatch), "a new process of the exporter would not help"


def test_every_capture_says_what_it_is_and_has_been_read() -> None:
    for folder in FOLDER.iterdir():
        if folder.is_dir():
            assert json.loads((folder / "about.json").read_text())["about"].endswith(".")
            assert (folder / "golden.json").exists(), folder.name


@pytest.mark.parametrize("capture", WITH_LOG)
def test_table_and_log_tell_the_same(capture: str) -> None:
    """But for the average and instant power, which the logs of 535 and 555 do not have."""
    names, *rows = (FOLDER / capture / "gpu.csv").read_text().splitlines()
    cards = xmllog.parse((FOLDER / capture / "log.xml").read_bytes()).cards
    assert len(rows) == len(cards)
    for cells, card in zip(rows, cards, strict=True):
        of_table, of_log = Sheet(), Sheet()
        table = fast.fast_reading(fast.row_of(names.split(","), cells.split(", ")), of_table, None)
        log = slow.fast_of(card, of_log, processes=False)
        assert bool(of_table.gone) == bool(of_log.gone)
        missing = ("power_average_w", "power_instant_w") if capture[:3] in ("535", "555") else ()
        # Of a GPU that does not even say its UUID, the log has figures that are none.
        for name in table.__slots__ if card.word("uuid") else ():
            if name not in missing:
                assert getattr(table, name) == getattr(log, name), name


def test_what_nvidia_smi_cannot_say_is_absent_and_explained(smi: StandIn) -> None:
    smi.play("550-h100x8")
    source = opened()
    (reading, *_), (description, *_) = read(source, slow=True).values(), source.descriptions().values()
    assert reading.slow is not None
    for name in ("energy_mj", "power_samples", "pcie_transmit_bytes", "pcie_receive_bytes"):
        assert getattr(reading.fast, name) is None
        assert description.absent[name]
    assert all(process.sm_ratio is None for process in reading.fast.processes or ())
    assert reading.slow.nvlinks == ()


def test_units_become_si(smi: StandIn) -> None:
    """Against the figures that stand in the capture, by hand."""
    smi.play("575-geforce-laptop")
    (reading,) = read(opened(), slow=True).values()
    assert reading.slow is not None
    assert reading.fast.power_w == 9.87
    assert reading.fast.utilization_ratio == 0.07
    assert reading.fast.memory_total_bytes == 8188 * 2**20
    assert reading.fast.throttle_ns is not None
    assert reading.fast.throttle_ns["sw_power_cap"] == 81_240_011_000
    assert reading.slow.clock_hz["memory"] == 405e6
    assert reading.slow.temperature_margin_c == 43
    assert reading.slow.pcie_link_width == 8


def test_partitions_have_the_names_of_the_listing_and_their_processes_belong_to_the_card(
    smi: StandIn,
) -> None:
    smi.play("575-a100-mig")
    source = opened()
    first, second = uuids_of(source)
    smi.runs()
    readings = read(source, slow=True)
    assert smi.runs() == ["--query-gpu", "--query-compute-apps", "-q"], (
        "the listing is asked for again only when the partitions change"
    )
    parts = readings[first].slow.mig_instances  # type: ignore[union-attr]
    assert [(p.gpu_instance_id, p.profile, p.compute_slices) for p in parts] == [
        ("1", "3g.40gb", 3),
        ("11", "1g.10gb", 1),
        ("13", "1g.10gb+me", 1),
    ]
    assert len({p.uuid for p in parts}) == 3
    assert readings[second].slow.mig_instances == ()  # type: ignore[union-attr]
    running = {p.pid: p for p in read(source)[first].fast.processes or ()}
    assert (running[55210].gpu_instance_id, running[55391].gpu_instance_id) == (1, 11)
    assert running[55391].kind == "mps"


def test_processes_that_only_draw_stay_between_two_logs(smi: StandIn) -> None:
    smi.play("535-rtx4090-desktop")
    source = opened()
    read(source, slow=True)
    (reading,) = read(source).values()
    kinds = {p.pid: p.kind for p in reading.fast.processes or ()}
    assert kinds == {1650: "graphics", 2210: "graphics", 9034: "compute", 9177: "compute"}


def test_a_process_name_cannot_spoil_the_log(smi: StandIn) -> None:
    """The capture holds one that is no UTF-8, no XML, and looks like the end of an element."""
    smi.play("470-a100")
    (reading,) = read(opened(), slow=True).values()
    assert {p.pid for p in reading.fast.processes or ()} == {2201, 1877}
    assert b"\xff\x01 &lt;&amp;" in (FOLDER / "470-a100" / "log.xml").read_bytes()


def test_processes_can_be_left_out(smi: StandIn) -> None:
    smi.play("550-h100x8")
    source = opened(processes=False)
    smi.runs()
    assert all(r.fast.processes is None for r in [*read(source).values(), *read(source, slow=True).values()])
    assert smi.runs() == ["--query-gpu", "--query-gpu", "-q"]


def test_slices_of_compute_and_gpu_instance_are_those_of_the_profile() -> None:
    profiles = {
        "7g.80gb": (7, 7),
        "1g.10gb+me": (1, 1),
        "1c.3g.40gb": (1, 3),
        "2c.7g.80gb": (2, 7),
        "": (None, None),
        "Device": (None, None),
    }
    assert {profile: listing.slices_of(profile) for profile in profiles} == profiles


# How often the program runs.


def test_a_tick_runs_two_tables_a_slow_one_the_log_too_and_a_look_nothing(smi: StandIn) -> None:
    smi.play("550-h100x8")
    source = opened()
    assert smi.runs() == ["--help-query-gpu", "-q", "--query-gpu"]
    source.scan()
    source.readers()[0].describe()
    assert smi.runs() == []
    read(source)
    assert smi.runs() == ["--query-gpu", "--query-compute-apps"]
    read(source, slow=True)
    assert smi.runs() == ["--query-gpu", "--query-compute-apps", "-q"]


def test_fields_that_a_version_does_not_know_are_dropped_one_by_one(smi: StandIn) -> None:
    """Even where --help-query-gpu fails, and then only once."""
    smi.play("418-v100").behave("exit=1,on=--help")
    source = opened()
    smi.runs()
    readings = read(source)
    assert len(smi.runs()) > 5
    assert [r.fast.power_w for r in readings.values()] == [62.5, 242.5]
    smi.behave("")
    read(source)
    assert smi.runs() == ["--query-gpu", "--query-compute-apps"]
