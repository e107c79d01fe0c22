"""nvidia-smi as a source: captures of several drivers and cards, lost GPUs, bad output, slow runs."""

from __future__ import annotations

import html
import itertools
import json
import math
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputally.node.sources.nvidia_smi import NvidiaSmiSource, fast, listing, slow, xmllog
from gputally.node.sources.printed import Sheet
from gputally.node.sources.protocol import GpuLost, SourceError, Unavailable, VersionMismatch
from tests.sources.standins.golden import assert_golden
from tests.sources.standins.physical import assert_physical
from tests.sources.standins.standin import CAPTURES, StandIn, captures_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gputally.model import Reading

FOLDER = CAPTURES / "nvidia-smi"
WITH_LOG = [name for name in captures_of("nvidia-smi") if (FOLDER / name / "log.xml").exists()]
WITHOUT_GPU = [name for name in captures_of("nvidia-smi") if name not in WITH_LOG]


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return StandIn("nvidia-smi", tmp_path, monkeypatch)


def read(source: NvidiaSmiSource, *, slow: bool = False) -> Mapping[str, Reading]:
    (reader,) = source.readers()
    return reader.read(slow=slow)


def opened(**options: Any) -> NvidiaSmiSource:
    source = NvidiaSmiSource(**options)
    source.open()
    return source


def uuids_of(source: NvidiaSmiSource) -> list[str]:
    return [gpu.uuid for gpu in source.scan().gpus]


# What is read.


@pytest.mark.parametrize("capture", WITH_LOG)
def test_readings_of_a_capture_are_as_recorded(smi: StandIn, capture: str) -> None:
    smi.play(capture)
    source = NvidiaSmiSource()
    inventory = source.open()
    (reader,) = source.readers()
    readings = reader.read(slow=True)
    for reading in readings.values():
        assert_physical(reading)
    assert_golden(
        FOLDER / capture,
        {
            "inventory": inventory,
            "descriptions": reader.describe(),
            "readings": readings,
            "ticks": reader.read(slow=False),
        },
    )


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


def test_compute_slices_are_those_of_the_profile() -> None:
    profiles = {"7g.80gb": 7, "1g.10gb+me": 1, "1c.3g.40gb": 1, "2c.7g.80gb": 2, "": None, "Device": None}
    assert {profile: listing.compute_slices(profile) for profile in profiles} == profiles


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


# GPUs that come, go and are lost.


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


# Bad output, bad endings.


@pytest.mark.parametrize("words", ["garbage", "nothing", "cut=500", "cut=9000"])
def test_output_that_is_no_log_is_garbage(smi: StandIn, words: str) -> None:
    smi.play("418-v100").behave(f"{words},on=-q")
    with pytest.raises(SourceError, match=r"^nvidia-smi -q -x printed") as caught:
        NvidiaSmiSource().open()
    assert caught.value.reason == "garbage"


def test_a_table_that_is_none_is_answered_by_asking_for_the_log(smi: StandIn) -> None:
    smi.play("418-v100")
    source = opened()
    smi.behave("garbage,on=--query-gpu")
    smi.runs()
    assert len(read(source)) == 2
    assert smi.runs() == ["--query-gpu", "-q"]


def test_a_warning_about_the_inforom_spoils_nothing(smi: StandIn) -> None:
    smi.play("418-v100").behave("warn")
    source = opened()
    assert len(read(source, slow=True)) == len(read(source)) == 2


def test_a_status_that_nobody_knows_is_told_with_the_first_sentence(smi: StandIn) -> None:
    smi.play("418-v100")
    source = opened()
    smi.behave("exit=77")
    with pytest.raises(Unavailable, match=r"^nvidia-smi ended with status 77: this is why$") as caught:
        read(source)
    assert caught.value.reason == "exit_77"


def test_without_the_list_of_processes_the_rest_is_read(smi: StandIn) -> None:
    smi.play("418-v100")
    source = opened()
    smi.behave("exit=4,on=--query-compute")
    for reading in read(source).values():
        assert reading.fast.processes is None
        assert reading.fast.power_w is not None
        assert reading.failed == {"processes": "no_permission"}


def test_a_document_type_of_its_own_expands_to_nothing(
    smi: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entities within entities, each ten of the next."""
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n + 1};" * 10}">' for n in range(9)) + '<!ENTITY e9 "ha">'
    log = (FOLDER / "418-v100" / "log.xml").read_text()
    bomb = re.sub("<!DOCTYPE.*?>", f"<!DOCTYPE nvidia_smi_log [{entities}]>", log).replace("Tesla", "&e0;")
    (tmp_path / "log.xml").write_text(bomb)
    (tmp_path / "about.json").write_text('{"about": ""}')
    (tmp_path / "gpu.csv").write_text("index,uuid\n")
    smi.play("418-v100")
    monkeypatch.setenv("STANDIN_CAPTURE", str(tmp_path))
    began = time.monotonic()
    with pytest.raises(SourceError) as caught:
        NvidiaSmiSource().open()
    assert caught.value.reason == "garbage"
    assert time.monotonic() - began < 3


# Slow and hanging runs.


def test_all_runs_of_a_read_share_one_deadline(smi: StandIn) -> None:
    smi.play("418-v100")
    source = opened(deadline_seconds=1.2)
    smi.behave("slow=0.8")
    began = time.monotonic()
    with pytest.raises(SourceError) as caught:
        read(source)
    assert caught.value.reason == "timeout"
    assert 1.1 < time.monotonic() - began < 1.2 + 3.0


def test_a_hanging_program_is_a_timeout_and_no_more(smi: StandIn) -> None:
    smi.play("418-v100")
    source = opened(deadline_seconds=0.5)
    smi.behave("hang")
    for slow_lane in (False, True):
        with pytest.raises(SourceError) as caught:
            read(source, slow=slow_lane)
        assert caught.value.reason == "timeout"
    smi.behave("")
    assert len(read(source)) == 2


def test_a_log_that_takes_too_long_leaves_the_tables_to_be_read(smi: StandIn) -> None:
    """Else a machine on which only the log is slow would never be metered at all."""
    smi.play("418-v100")
    source = opened(deadline_seconds=1.5)
    smi.behave("hang,on=-q")
    for failed in ({"slow_lane": "timeout"}, {}, {}, {}):
        readings = read(source, slow=True)
        assert [r.fast.power_w for r in readings.values()] == [62.5, 242.5]
        assert all((r.slow, r.failed) == (None, failed) for r in readings.values())
    smi.behave("")
    for _ in range(10):
        readings = read(source, slow=True)
    assert all(r.slow is not None for r in readings.values()), "the log is tried again after a while"


# Whatever is printed.

NUMBERS = st.one_of(
    st.floats().map(str),
    st.integers().map(str),
    st.decimals(allow_nan=True).map(str),
    st.sampled_from(["-1", "4294967295", "18446744073709551615", "1e999", "nan", "0x10", "٣", "1_000", "-0"]),
)
UNITS = st.sampled_from(["", " W", " %", " MiB", " MHz", " C", " us", "x", " kW", " GiB", "W", " bank(s)"])
CELLS = st.one_of(
    st.tuples(NUMBERS, UNITS).map("".join),
    st.sampled_from(
        ["N/A", "[N/A]", "ERR!", "[GPU is lost]", "Unknown Error", "Active", "Yes", "None", "P0", "Enabled"]
    ),
    st.text(max_size=40),
)
LOGS = {name: (FOLDER / name / "log.xml").read_bytes() for name in WITH_LOG}
TEXT = re.compile(rb">([^<>\n]+)</")


def read_log(output: bytes) -> None:
    """Everything that is made of a log."""
    for card in xmllog.parse(output).cards:
        sheet = Sheet()
        assert_physical(slow.fast_of(card, sheet, processes=True))
        assert_physical(slow.slow_of(card, sheet, {}))
        assert_physical(slow.describe(card))
        slow.layout_of(card)
        assert set(sheet.failed.values()) <= {"garbage", "unknown", "driver_timeout"}


@given(st.binary(max_size=400))
def test_any_bytes_are_garbage_and_nothing_worse(junk: bytes) -> None:
    for output in (junk, b"<nvidia_smi_log>" + junk + b"</nvidia_smi_log>"):
        try:
            read_log(output)
        except SourceError as error:
            assert error.reason == "garbage"  # noqa: PT017 - most junk is no log, some is an empty one
    listing.parse(junk.decode(errors="replace"))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["418-v100", "575-a100-mig", "535-rtx4090-desktop"]),
    st.lists(CELLS, min_size=1, max_size=7),
    st.integers(1, 9),
)
def test_any_text_in_a_log_gives_physical_readings(capture: str, cells: list[str], every: int) -> None:
    """Values are replaced one after the other, by figures beyond all bounds above all."""
    counter = itertools.count()

    def other(found: re.Match[bytes]) -> bytes:
        number = next(counter)
        if number % every:
            return found[0]
        return b">" + html.escape(cells[number % len(cells)]).encode(errors="replace") + b"</"

    read_log(TEXT.sub(other, LOGS[capture]))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["418-v100", "575-a100-mig"]), st.data())
def test_a_damaged_log_is_read_or_is_garbage(capture: str, data: st.DataObject) -> None:
    log = bytearray(LOGS[capture])
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(log) - 1))
        log[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=10))
    try:
        read_log(bytes(log))
    except SourceError as error:
        assert error.reason == "garbage"  # noqa: PT017 - a damaged value is none, a damaged tag is


@settings(max_examples=200, deadline=None)
@given(st.lists(CELLS, min_size=30, max_size=30))
def test_any_cells_in_a_table_give_physical_readings(cells: list[str]) -> None:
    fields = fast.fields_to_ask(frozenset())
    row = fast.row_of(fields, cells[: len(fields)])
    sheet = Sheet()
    process = fast.process(sheet, cells[-1], cells[-2], 1 << 40)
    reading = fast.fast_reading(row, sheet, () if process is None else (process,))
    assert_physical(reading)
    assert all(math.isfinite(ns) for ns in (reading.throttle_ns or {}).values())
