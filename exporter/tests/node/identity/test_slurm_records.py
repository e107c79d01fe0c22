"""Records of Slurm jobs in a real folder: what they say, and when they are read again."""

import os
from pathlib import Path

import pytest

from gputally.node.identity import slurm
from gputally.node.identity.parts import SlurmRecords as Wanted
from gputally.node.identity.protocol import End
from gputally.node.identity.slurm import RECHECK_NS, SETTLE_NS, parse
from tests.node.identity.recordfolder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "slurm")


def test_a_record_says_all_that_the_prolog_knew(folder: Folder) -> None:
    path = folder.write()
    job = folder.reader.record_for("4711")
    assert job is not None
    assert job == slurm.SlurmJob(
        job_id="4711",
        user="ada",
        account="nlp",
        job_name="train",
        partition="gpu",
        gpus=(2, 3),
        start_seconds=1_700_000_000.0,
        path=str(path),
        comment_model="llama-70b",
        sluid="sAEXM7YZW7XE00",
        uid=1000,
        cluster="lab",
        array_job_id="4700",
        array_task_id="3",
        boot_id="boot-a",
    )
    assert job.run_id == "4711"
    assert folder.reader.record_for_sluid("sAEXM7YZW7XE00") is job
    assert folder.reader.record_for("4712") is None
    assert folder.reader.record_for_sluid("") is None


def test_it_is_what_the_binder_asks_for(folder: Folder) -> None:
    wanted: Wanted = folder.reader
    assert list(wanted.records()) == []


def test_a_minimal_record_is_enough(folder: Folder) -> None:
    folder.put("5-r0", b"JOB_ID=5\nSTART_SECONDS=7\nSOME_DAY=more\n")
    job = folder.reader.record_for("5")
    assert job is not None
    assert (job.user, job.gpus, job.uid, job.end, job.start_seconds) == ("", (), None, None, 7.0)


@pytest.mark.parametrize(
    ("said", "end"),
    [
        ({"STATE": "failed", "EXIT_CODE": "3"}, End(90.0, "failed", 3)),
        ({"STATE": "completed", "EXIT_CODE": "0"}, End(90.0, "completed", 0)),
        ({"STATE": "cancelled"}, End(90.0, "cancelled")),
        ({"STATE": "timeout", "EXIT_CODE": "-1"}, End(90.0, "timeout")),
        ({"STATE": "exploded"}, End(90.0, "ended")),
        ({}, End(90.0, "ended")),
    ],
)
def test_the_end_is_what_the_epilog_wrote(folder: Folder, said: dict[str, str], end: End) -> None:
    folder.write(END_SECONDS="90", **said)
    job = folder.reader.record_for("4711")
    assert job is not None
    assert job.end == end


def test_a_requeued_job_is_another_and_the_latest_run_answers(folder: Folder) -> None:
    folder.write(restarts=10)
    folder.write(restarts=9, END_SECONDS="5")
    folder.write(restarts=0, END_SECONDS="4")
    assert folder.ids() == ["4711", "4711-r10", "4711-r9"]
    for found in (folder.reader.record_for("4711"), folder.reader.record_for_sluid("sAEXM7YZW7XE00")):
        assert found is not None
        assert found.run_id == "4711-r10"


@pytest.mark.parametrize(
    ("text", "minors"),
    [
        ("0", (0,)),
        ("3,1,1", (1, 3)),
        ("", ()),
        ("MIG-5c89852c-d268-c3f3,2", (2,)),
        ("GPU-2/1/0,-1,0x1,1.5, 4,\u0663", ()),
    ],
)
def test_only_numbers_of_whole_gpus_are_taken(folder: Folder, text: str, minors: tuple[int, ...]) -> None:
    folder.write(GPUS=text)
    job = folder.reader.record_for("4711")
    assert job is not None
    assert job.gpus == minors


def test_texts_come_out_fit_for_labels(folder: Folder) -> None:
    folder.put("1-r0", b"JOB_ID=1\nSTART_SECONDS=1\nJOB_NAME=a\x1b[0m\xe2\x80\xae=\xff\nUSER=" + b"x" * 500)
    job = folder.reader.record_for("1")
    assert job is not None
    assert job.job_name == "a_[0m_=\ufffd"
    assert len(job.user) == 128


class TestReadingAgain:
    def test_a_new_record_is_seen_at_once(self, folder: Folder) -> None:
        assert folder.ids() == []
        folder.write("1")
        assert folder.ids() == ["1"]
        folder.write("2")
        assert folder.reader.record_for("2") is not None

    def test_an_end_is_seen_at_once(self, folder: Folder) -> None:
        folder.write()
        assert folder.reader.record_for("4711") is not None
        folder.write(END_SECONDS="8")
        job = folder.reader.record_for("4711")
        assert job is not None
        assert job.end == End(8.0, "ended")

    def test_nothing_is_listed_while_the_folder_stands_still(
        self, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder.write()
        assert folder.ids() == ["4711"]
        folder.pass_ns(SETTLE_NS)
        assert folder.ids() == ["4711"], "once more, for what came within the same tick of the file system"
        monkeypatch.setattr(os, "scandir", None)
        folder.pass_ns(RECHECK_NS - 1)
        assert folder.ids() == ["4711"]

    def test_what_came_within_one_tick_of_the_file_system_is_found(self, folder: Folder) -> None:
        """Stood in for by a reader that believes the folder unchanged."""
        folder.write("1")
        assert folder.ids() == ["1"]
        folder.write("2")
        folder.reader._changed = (folder.path.stat().st_ino, folder.path.stat().st_ctime_ns)
        assert folder.ids() == ["1"]
        folder.pass_ns(SETTLE_NS)
        assert folder.ids() == ["1", "2"]

    def test_only_what_is_new_is_opened(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        read = []
        monkeypatch.setattr(slurm, "parse", lambda text, path: (read.append(path), parse(text, path))[1])
        one = folder.write("1")
        assert folder.ids() == ["1"]
        two = folder.write("2")
        assert folder.ids() == ["1", "2"]
        assert read == [str(one), str(two)]

    def test_one_that_is_written_in_place_is_read_again_after_a_while(self, folder: Folder) -> None:
        path = folder.put("7-r0", b"JOB_ID=7\n")
        assert folder.ids() == []
        path.write_bytes(b"JOB_ID=7\nSTART_SECONDS=1\n")
        folder.pass_ns(SETTLE_NS)
        assert folder.ids() == ["7"]
        with path.open("ab") as file:
            file.write(b"END_SECONDS=9\n")
        folder.pass_ns(RECHECK_NS)
        job = folder.reader.record_for("7")
        assert job is not None
        assert job.end == End(9.0, "ended")


def test_runs_that_an_earlier_boot_left_open_have_ended(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "slurm", boot_id="boot-b")
    folder.write("1")
    folder.write("2", BOOT_ID="boot-b")
    folder.write("3", END_SECONDS="6", STATE="failed")
    folder.write("4", BOOT_ID="")
    ends = {record.job_id: record.end for record in folder.reader.records()}
    assert ends == {"1": End(None, "ended"), "2": None, "3": End(6.0, "failed"), "4": None}
