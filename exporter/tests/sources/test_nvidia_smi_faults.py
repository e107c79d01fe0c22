"""nvidia-smi as a source: output that is none, bad endings, runs that are slow or never end."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from gputally.node.sources.nvidia_smi import NvidiaSmiSource
from gputally.node.sources.protocol import SourceError, Unavailable
from tests.sources.standins.source import opened, read
from tests.sources.standins.standin import CAPTURES, StandIn

FOLDER = CAPTURES / "nvidia-smi"


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return StandIn("nvidia-smi", tmp_path, monkeypatch)


# Bad output, bad endings.


@pytest.mark.fault("smi-garbage")
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
    readings = read(source)
    assert readings
    for reading in readings.values():
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


@pytest.mark.fault("smi-hangs")
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
