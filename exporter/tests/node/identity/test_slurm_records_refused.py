"""Which records of Slurm jobs are believed: it depends on who could have written them."""

import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.node.identity import slurm
from gputally.node.identity.slurm import RECHECK_NS, SETTLE_NS, SlurmRecords, Untrusted, parse
from tests.node.identity.recordfolder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "slurm")


class TestRefused:
    @pytest.mark.fault("records-damaged")
    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"\n",
            b"JOB_ID=4711",
            b"JOB_ID=4711\nSTART_SECONDS=\n",
            b"JOB_ID=4711\nSTART_SECONDS=1.5\n",
            b"JOB_ID=4712\nSTART_SECONDS=1\n",
            b"JOB_ID=4711\nRESTARTS=1\nSTART_SECONDS=1\n",
            b"JOB_ID=4711\nRESTARTS=-\nSTART_SECONDS=1\n",
            b"JOB_ID=4711\nSTART_SECONDS=1\nJOB_ID=4711\n",
            b"JOB_ID=4711\nSTART_SECONDS=1\n\n",
            b"JOB_ID=4711\nSTART_SECONDS=1\nnonsense\n",
            b"JOB_ID=4711\nSTART_SECONDS=1\njob_name=a\n",
            b"JOB_ID=4711\nSTART_SECONDS=1\n=a\n",
            b"JOB_ID=4711\nSTART_SECONDS=1\nA\xc3=a\n",
            b"JOB_ID=4711\nSTART_SECONDS=1\nJOB_NAME=" + b"x" * slurm.MOST_BYTES,
            b"JOB_ID=" + b"9" * 5000 + b"\nSTART_SECONDS=1\n",
        ],
    )
    def test_what_makes_no_sense(self, folder: Folder, text: bytes) -> None:
        folder.put("4711-r0", text)
        folder.write("4")
        assert folder.ids() == ["4"]
        assert folder.reader.refused == 1

    @pytest.mark.fault("records-damaged")
    @pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
    def test_what_others_may_write(self, folder: Folder, mode: int) -> None:
        path = folder.write()
        path.chmod(mode)
        assert folder.ids() == []
        path.chmod(0o600)
        folder.pass_ns(RECHECK_NS)
        assert folder.ids() == ["4711"]
        assert folder.reader.refused == 1

    @pytest.mark.fault("records-damaged")
    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")
    def test_what_belongs_to_another_user(self, folder: Folder) -> None:
        os.chown(folder.write(), 1234, -1)
        assert folder.ids() == []
        assert folder.reader.refused == 1

    @pytest.mark.fault("records-damaged")
    def test_what_is_no_file(self, folder: Folder, tmp_path: Path) -> None:
        """A pipe without a writer would block whoever opens it."""
        os.mkfifo(folder.path / "1-r0")
        (folder.path / "2-r0").mkdir()
        outside = Folder(tmp_path / "outside").write("3")
        (folder.path / "3-r0").symlink_to(outside)
        folder.write("4")
        assert folder.ids() == ["4"]
        assert folder.reader.refused == 3

    @pytest.mark.fault("records-damaged")
    def test_each_version_counts_once_and_one_line_is_logged(
        self, folder: Folder, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING)
        for name in ("1-r0", "2-r0"):
            folder.put(name, b"nonsense")
        for _ in range(10):
            folder.pass_ns(RECHECK_NS)
            assert folder.ids() == []
        assert folder.reader.refused == 2
        folder.put("2-r0", b"more of it")
        assert folder.ids() == []
        assert folder.reader.refused == 3
        assert len(caplog.messages) == 1
        folder.write("1")
        folder.write("2")
        assert folder.ids() == ["1", "2"]
        folder.pass_ns(SETTLE_NS)
        folder.put("3-r0", b"and again")
        assert folder.ids() == ["1", "2"]
        assert len(caplog.messages) == 2

    @pytest.mark.fault("records-damaged")
    def test_files_under_construction_are_no_business_of_ours(self, folder: Folder) -> None:
        (folder.path / ".4711.99").write_text("JOB_")
        assert folder.ids() == []
        assert folder.reader.refused == 0


class TestFolder:
    @pytest.mark.fault("records-damaged")
    def test_none_is_no_trouble(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        reader = SlurmRecords(tmp_path / "absent")
        assert list(reader.records()) == []
        assert (reader.refused, caplog.messages) == (0, [])

    @pytest.mark.fault("records-damaged")
    def test_it_may_appear_go_and_come_back(self, folder: Folder) -> None:
        folder.write()
        assert folder.ids() == ["4711"]
        for path in folder.path.iterdir():
            path.unlink()
        folder.path.rmdir()
        assert folder.ids() == []
        folder.path.mkdir()
        folder.write("5")
        assert folder.ids() == ["5"]

    @pytest.mark.fault("records-damaged")
    @pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775])
    def test_one_that_others_may_write_to_is_not_believed(
        self, folder: Folder, mode: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        folder.write()
        assert folder.ids() == ["4711"]
        folder.path.chmod(mode)
        for _ in range(3):
            assert folder.ids() == []
            folder.pass_ns(RECHECK_NS)
        assert (folder.reader.refused, len(caplog.messages)) == (1, 1)
        assert str(folder.path) in caplog.messages[0]
        folder.path.chmod(0o755)
        assert folder.ids() == ["4711"]

    @pytest.mark.fault("records-damaged")
    def test_a_link_or_a_file_in_its_place_is_not_followed(self, folder: Folder, tmp_path: Path) -> None:
        folder.write()
        link, file = tmp_path / "link", tmp_path / "file"
        link.symlink_to(folder.path)
        file.touch()
        for path in (link, file):
            reader = SlurmRecords(path)
            assert list(reader.records()) == []
            assert reader.refused == 1

    @pytest.mark.fault("records-damaged")
    def test_no_more_than_a_bound_is_kept_and_the_latest_are(
        self, folder: Folder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(slurm, "MOST_FILES", 3)
        for job_id in ("9", "10", "11", "100"):
            folder.write(job_id)
        folder.put("readme", b"not a record")
        assert folder.ids() == ["10", "100", "11"]


@pytest.mark.fault("records-damaged")
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    for start in (b"", b"JOB_ID=1\nSTART_SECONDS=1\n"):
        try:
            job = parse(start + text, "folder/1-r0")
        except Untrusted:
            continue
        assert job.run_id == "1"
        assert job.job_name.isprintable()
