"""nvtop as a source: cards of several makers, output that is no JSON, versions without snapshots."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputally.node.sources import nvtop
from gputally.node.sources.nvtop import NvtopSource
from gputally.node.sources.protocol import SourceError, Unavailable
from tests.sources.standins.golden import assert_golden, read_out
from tests.sources.standins.physical import assert_physical
from tests.sources.standins.standin import CAPTURES, StandIn, captures_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gputally.model import Reading

FOLDER = CAPTURES / "nvtop"
WITHOUT_GPU = ["3.0-no-snapshots", "3.2-empty"]
WITH_GPU = [name for name in captures_of("nvtop") if name not in WITHOUT_GPU]


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return StandIn("nvtop", tmp_path, monkeypatch)


def opened() -> NvtopSource:
    source = NvtopSource()
    source.open()
    return source


def read(source: NvtopSource, *, slow: bool = True) -> Mapping[str, Reading]:
    (reader,) = source.readers()
    return reader.read(slow=slow)


@pytest.mark.parametrize("capture", WITH_GPU)
def test_readings_of_a_capture_are_as_recorded(top: StandIn, capture: str) -> None:
    top.play(capture)
    assert_golden(FOLDER / capture, read_out(NvtopSource()))


@pytest.mark.parametrize("capture", WITHOUT_GPU)
def test_a_program_that_cannot_answer_is_unavailable(top: StandIn, capture: str) -> None:
    top.play(capture)
    with pytest.raises(Unavailable) as caught:
        NvtopSource().open()
    assert_golden(FOLDER / capture, {"reason": caught.value.reason, "sentence": str(caught.value)})


def test_every_capture_says_what_it_is_and_has_been_read() -> None:
    for folder in FOLDER.iterdir():
        if folder.is_dir():
            assert json.loads((folder / "about.json").read_text())["about"].endswith(".")
            assert (folder / "golden.json").exists(), folder.name


def test_a_version_without_snapshots_is_not_even_asked_for_one(top: StandIn) -> None:
    """Of nvtop 2 and 3.0, `-s` is another option or none, and a wrong start is a full-screen program."""
    top.play("3.0-no-snapshots")
    with pytest.raises(
        Unavailable, match=r"^nvtop 3\.0\.1 prints no snapshots; 3\.2 and later do$"
    ) as caught:
        NvtopSource().open()
    assert caught.value.reason == "version"
    assert top.runs() == ["--version"]


def test_makers_are_told_by_the_name_of_the_card() -> None:
    cards = {
        "NVIDIA GeForce RTX 4090": "nvidia",
        "Quadro P620": "nvidia",
        "AMD Radeon RX 7900 XTX": "amd",
        "AMD Ryzen 9 7950X 16-Core Processor": "amd",
        "AMD Instinct MI300X": "amd",
        "DG2 (Arc A770)": "intel",
        "Battlemage G21 (Intel Graphics)": "intel",
        "CometLake-H GT2 (UHD Graphics)": "intel",
        "TigerLake-LP GT2 (Iris Xe Graphics)": "intel",
        "Apple M2 Max": "apple",
        "Adreno (TM) 690": "qualcomm",
        "Card of tomorrow": "unknown",
    }
    assert {name: nvtop.vendor_of(name) for name in cards} == cards


def test_occupancy_is_not_taken_for_bandwidth(top: StandIn) -> None:
    top.play("3.3.2-processes")
    source = opened()
    (reading,) = read(source).values()
    (description,) = source.descriptions().values()
    assert reading.fast.memory_utilization_ratio is None
    assert "occupancy" in description.absent["memory_utilization_ratio"]
    assert reading.fast.memory_used_bytes == 6_310_330_368


def test_fahrenheit_becomes_celsius(top: StandIn) -> None:
    in_celsius = [
        r.slow.temperature_c for r in read(opened_on(top, "3.2-nvidia")).values() if r.slow is not None
    ]
    degrees = [
        r.slow.temperature_c for r in read(opened_on(top, "3.2-fahrenheit")).values() if r.slow is not None
    ]
    assert degrees == pytest.approx(in_celsius, abs=0.6)
    assert in_celsius == [71, 33, 40]


def opened_on(top: StandIn, capture: str) -> NvtopSource:
    top.play(capture)
    return opened()


def test_commas_that_are_left_out_lose_no_field() -> None:
    text = (FOLDER / "3.3.1-mixed" / "snapshot.txt").read_text()
    with pytest.raises(ValueError, match="delimiter"):
        json.loads(text)
    first, second = nvtop.parse_snapshot(text)
    assert len(first) == len(second) == 11
    assert first["mem_free"] == "3576168448"
    assert second["mem_used"] is None


def test_a_command_line_cannot_write_fields_of_the_card(top: StandIn) -> None:
    """The capture has a process whose command line goes on in lines that look like such fields."""
    text = (FOLDER / "3.3.2-processes" / "snapshot.txt").read_text()
    assert '   "power_draw": "1W",\n' in text
    (reading,) = read(opened_on(top, "3.3.2-processes")).values()
    assert reading.fast.power_w == 131
    assert reading.fast.utilization_ratio == 0.64


@pytest.mark.parametrize(
    "command",
    [
        'x\n   "power_draw": "1W",',
        'x\n   "device_name": "Ghost",',
        'x"\n     }\n   ],\n   "gpu_util": "0%",\n   "x": "y',
    ],
)
def test_no_line_of_a_command_stands_for_one_of_the_card(command: str) -> None:
    """Neither within the list of processes, nor behind an end of the list that is none."""
    process = f'     {{\n       "pid": "1",\n       "cmdline": "{command}"\n     }}\n'
    card = f'   "device_name": "A card",\n   "gpu_util": "64%",\n   "processes" : [\n{process}   ]\n'
    (device,) = nvtop.parse_snapshot(f"[\n  {{\n{card}  }}\n]\n")
    assert (device["gpu_util"], device.get("power_draw")) == ("64%", None)


def test_processes_are_not_asked_for_and_not_taken(top: StandIn) -> None:
    source = opened_on(top, "3.3.2-processes")
    (reading,) = read(source).values()
    assert reading.fast.processes is None
    (description,) = source.descriptions().values()
    assert "forged" in description.absent["processes"]
    assert [words[2:] for words in top.lines()[1:]] == [["--no-processes"]] * 2


def test_equal_cards_are_told_apart_by_their_place_and_others_by_their_name(top: StandIn) -> None:
    source = opened_on(top, "3.2-nvidia")
    assert [gpu.uuid for gpu in source.scan().gpus] == [
        "nvtop-nvidia-geforce-rtx-4090-0",
        "nvtop-nvidia-a100-sxm4-80gb-0",
        "nvtop-nvidia-24-wall-gpu-0",
    ]
    twins = ({"device_name": "X"}, {"device_name": "Y"}, {"device_name": "X"})
    assert nvtop.uuids_of(twins) == ("nvtop-x-0", "nvtop-y-0", "nvtop-x-1")


def test_a_card_whose_pci_address_is_printed_is_named_after_it(top: StandIn) -> None:
    source = opened_on(top, "git-pci")
    assert [gpu.uuid for gpu in source.scan().gpus] == ["nvtop-0000-0c-00-0", "nvtop-0000-0d-00-0"]
    assert [d.pci_bus_id for d in source.descriptions().values()] == ["0000:0c:00.0", "0000:0d:00.0"]
    (first, _) = read(source).values()
    assert first.fast.memory_total_bytes == 20464 * 2**20


def test_one_run_a_tick_and_none_to_look(top: StandIn) -> None:
    source = opened_on(top, "3.2-amd")
    assert top.runs() == ["--version", "--snapshot"]
    source.scan()
    source.readers()[0].describe()
    assert top.runs() == []
    assert all(reading.slow is None for reading in read(source, slow=False).values())
    assert top.runs() == ["--snapshot"]


def test_cards_that_come_and_go_change_the_inventory_and_the_reader(top: StandIn) -> None:
    source = opened_on(top, "3.2-amd")
    (before,) = source.readers()
    top.play("3.2-intel")
    assert list(read(source)) == ["nvtop-dg2-arc-a770-0"]
    (after,) = source.readers()
    assert after.key != before.key
    top.play("3.2-empty")
    assert read(source) == {}
    assert source.scan().gpus == ()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("garbage", "garbage"),
        ("nothing", "garbage"),
        ("exit=139", "exit_139"),
        ("hang", "timeout"),
        ("cut=400", "garbage"),
    ],
)
def test_what_goes_wrong_is_told_and_healed(top: StandIn, words: str, reason: str) -> None:
    top.play("3.2-intel")
    source = NvtopSource(deadline_seconds=1.5)
    source.open()
    top.behave(words)
    with pytest.raises(SourceError) as caught:
        read(source)
    assert caught.value.reason == reason
    top.behave("")
    assert len(read(source)) == 1


def test_a_version_that_cannot_be_made_out_is_told_with_what_was_said(top: StandIn) -> None:
    top.play("3.2-intel").behave("exit=1")
    with pytest.raises(Unavailable, match=r"^nvtop --version ended with status 1: this is why$"):
        NvtopSource().open()


VALUES = st.one_of(
    st.none(),
    st.tuples(
        st.one_of(st.floats().map(str), st.integers().map(str)),
        st.sampled_from(["", "%", "W", "MHz", "C", "F", "RPM", " MiB", "kW"]),
    ).map("".join),
    st.text(max_size=20),
)
FIELDS = [
    "gpu_clock",
    "mem_clock",
    "temp",
    "fan_speed",
    "power_draw",
    "gpu_util",
    "encode",
    "mem_total",
    "mem_used",
]
DEVICES = st.fixed_dictionaries(
    {"device_name": st.text(min_size=1, max_size=30)} | dict.fromkeys(FIELDS, VALUES)
)


def read_snapshot(text: str) -> int:
    """Everything that is made of a snapshot; how many cards it has."""
    devices = nvtop.parse_snapshot(text)
    for device in devices:
        assert_physical(nvtop.reading_of(device, slow=True))
        assert nvtop.describe(device).vendor
    assert len(set(nvtop.uuids_of(devices))) == len(devices)
    return len(devices)


@pytest.mark.fault("smi-garbage")
@given(st.text())
def test_any_text_is_garbage_and_nothing_worse(text: str) -> None:
    for output in (text, f"[\n  {{\n{text}\n  }}\n]\n", f'[\n  {{\n   "device_name": "{text}",\n  }}\n]'):
        try:
            read_snapshot(output)
        except SourceError as error:
            assert error.reason == "garbage"  # noqa: PT017 - some of it is a snapshot after all


@pytest.mark.fault("smi-garbage")
@given(
    st.recursive(VALUES, lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside), max_leaves=20)
)
def test_any_json_is_garbage_and_nothing_worse(value: object) -> None:
    try:
        read_snapshot(json.dumps(value))
    except SourceError as error:
        assert error.reason == "garbage"  # noqa: PT017 - an empty list, and some others, are snapshots


@pytest.mark.fault("smi-garbage")
@settings(max_examples=100)
@given(st.lists(DEVICES, min_size=1, max_size=4))
def test_any_values_give_physical_readings_in_json_and_line_by_line(
    devices: list[dict[str, str | None]],
) -> None:
    named = [device for device in devices if device["device_name"]]
    assert read_snapshot(json.dumps(devices)) == len(named)
    lines = "\n".join(
        "  {\n"
        + "\n".join(f'   "{k}": {"null" if v is None else json.dumps(v)}' for k, v in device.items())
        + "\n  }"
        for device in devices
    )
    assert read_snapshot(f"[\n{lines}\n]\n") == len(named)


def test_bottomless_nesting_is_garbage() -> None:
    with pytest.raises(SourceError) as caught:
        nvtop.parse_snapshot("[" * 100_000)
    assert caught.value.reason == "garbage"
