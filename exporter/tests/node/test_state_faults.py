"""The state file when its folder is not as it should be: damage, strangers, full disks, a second exporter."""

import os
from pathlib import Path

import pytest

from gputally.node.generation import decode
from gputally.node.state import StateFile, StateFolderInUse
from tests.node.card import Rig
from tests.node.statefolder import UUID, child, file, framed, reopened, save, ticked, two

__all__ = ["file", "two"]


class TestDamage:
    @pytest.mark.fault("state-damaged")
    def test_cut_at_any_length_the_one_before_is_used(self, two: tuple[StateFile, Rig, Rig]) -> None:
        file, older, _ = two
        newest = file.folder / "counters.json"
        whole = newest.read_bytes()
        file.close()
        for length in range(len(whole)):
            newest.write_bytes(whole[:length])
            again = StateFile(file.folder, host_id="here")
            loaded = again.load(boot_id="boot-a")
            again.close()
            assert (loaded.reason, loaded.recovered) == ("corrupt", True)
            state = loaded.states[UUID]
            assert state.energy.acc_mj == older.acc_mj
            assert state.floor.energy_mj >= older.acc_mj, "a newer value may have been scraped"

    @pytest.mark.fault("state-damaged")
    def test_with_any_bit_flipped_the_one_before_is_used(self, two: tuple[StateFile, Rig, Rig]) -> None:
        file, older, _ = two
        newest = file.folder / "counters.json"
        whole = newest.read_bytes()
        file.close()
        again = StateFile(file.folder, host_id="here")
        for place in range(len(whole)):
            for bit in (1, 4, 32, 128):
                newest.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
                loaded = again.load(boot_id="boot-a")
                assert (loaded.reason, loaded.recovered) == ("corrupt", True)
                assert loaded.states[UUID].energy.acc_mj == older.acc_mj
        again.close()

    def test_when_all_are_damaged_it_starts_afresh_and_says_so(self, two: tuple[StateFile, Rig, Rig]) -> None:
        file = two[0]
        for name in ("counters.json", "counters.json.1", "counters.json.synced"):
            (file.folder / name).write_bytes(b"{}")
        loaded = reopened(file).load(boot_id="boot-a")
        assert (loaded.states, loaded.reason, loaded.recovered) == ({}, "corrupt", False)
        assert str(file.folder / "counters.json") in loaded.detail

    @pytest.mark.parametrize("document", [[], {}, {"schema": "2"}, {"schema": 1, "host": ""}, None, 5])
    def test_a_whole_file_with_strange_contents_is_refused(
        self, two: tuple[StateFile, Rig, Rig], document: object
    ) -> None:
        file, older, _ = two
        (file.folder / "counters.json").write_bytes(framed(document))
        loaded = reopened(file).load(boot_id="boot-a")
        assert (loaded.reason, loaded.recovered) == ("invalid", True)
        assert loaded.states[UUID].energy.acc_mj == older.acc_mj

    def test_a_damaged_file_is_put_aside_and_the_good_one_before_it_is_not_lost(
        self, two: tuple[StateFile, Rig, Rig]
    ) -> None:
        file, older, newer = two
        (file.folder / "counters.json").write_bytes(b"torn")
        again = reopened(file)
        again.load(boot_id="boot-a")
        twice = reopened(again)
        assert twice.load(boot_id="boot-a").recovered, "killed before its first save it must find the same"
        save(twice, newer)
        assert (file.folder / "counters.json.corrupt").read_bytes() == b"torn"
        previous = decode((file.folder / "counters.json.1").read_bytes(), "here")
        assert previous.states[UUID].energy.acc_mj == older.acc_mj
        twice.close()


class TestStrangers:
    @pytest.mark.fault("state-foreign")
    def test_another_machines_file_is_refused_and_kept(self, two: tuple[StateFile, Rig, Rig]) -> None:
        """A disk image that was copied: its counters are not this machine's."""
        file, _, newer = two
        theirs = (file.folder / "counters.json").read_bytes()
        again = reopened(file, host_id="elsewhere")
        loaded = again.load(boot_id="boot-a")
        assert (loaded.states, loaded.reason, loaded.recovered) == ({}, "other_host", False)
        save(again, newer)
        assert (file.folder / "counters.json.other_host").read_bytes() == theirs
        assert reopened(again, host_id="elsewhere").load(boot_id="boot-a").states[UUID] is not None

    def test_a_machine_without_an_identity_takes_what_it_finds(self, two: tuple[StateFile, Rig, Rig]) -> None:
        assert reopened(two[0], host_id="").load(boot_id="boot-a").reason == ""

    @pytest.mark.fault("state-foreign")
    def test_a_newer_programs_file_is_refused_and_kept(self, two: tuple[StateFile, Rig, Rig]) -> None:
        """Nor is an older spare copy used: the counters have gone on since."""
        file, _, newer = two
        theirs = framed({"schema": 2, "counters": "of a shape unknown here"})
        (file.folder / "counters.json").write_bytes(theirs)
        again = reopened(file)
        loaded = again.load(boot_id="boot-a")
        assert (loaded.states, loaded.reason) == ({}, "future_schema")
        assert "counters.json: written by a newer gputally (schema 2" in loaded.detail
        assert (file.folder / "counters.json").read_bytes() == theirs
        save(again, newer)
        assert (file.folder / "counters.json.future_schema").read_bytes() == theirs
        again.close()

    def test_a_file_that_comes_into_sight_later_is_not_overwritten(
        self, two: tuple[StateFile, Rig, Rig]
    ) -> None:
        """A folder that was mounted only after the start."""
        file, _, newer = two
        newest = file.folder / "counters.json"
        theirs = newest.read_bytes()
        for path in list(file.folder.iterdir()):
            path.unlink()
        late = reopened(file)
        late.load(boot_id="boot-a")
        newest.write_bytes(theirs)
        save(late, newer)
        assert (file.folder / "counters.json.unknown").read_bytes() == theirs
        late.close()


class TestFaults:
    def test_a_folder_that_cannot_be_made_is_an_error_of_the_save_alone(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        file = StateFile(tmp_path / "file" / "state", host_id="")
        assert file.load(boot_id="boot-a").reason in ("absent", "unreadable")
        with pytest.raises(OSError, match="file"):
            save(file, ticked())

    def test_a_folder_that_vanishes_is_made_again(self, two: tuple[StateFile, Rig, Rig]) -> None:
        file, _, newer = two
        for path in list(file.folder.iterdir()):
            path.unlink()
        file.folder.rmdir()
        with pytest.raises(FileNotFoundError):
            save(file, newer)
        save(file, newer)
        assert reopened(file).load(boot_id="boot-a").states[UUID].energy.acc_mj == newer.acc_mj

    @pytest.mark.fault("state-disk")
    def test_a_full_disk_leaves_the_good_file_and_heals(self, two: tuple[StateFile, Rig, Rig]) -> None:
        """The kernel takes a part and then refuses: a file size limit stands in for the full disk."""
        file, _, newer = two
        file.close()
        code = """
import resource
file.load(boot_id="boot-a")
resource.setrlimit(resource.RLIMIT_FSIZE, (700, resource.RLIM_INFINITY))
try:
    file.save(states, boot_id="boot-a", now=now)
except OSError as error:
    print("refused", error.errno)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
names = sorted(path.name for path in file.folder.iterdir())
print(names)
file.save(states, boot_id="boot-a", now=now)
"""
        before = (file.folder / "counters.json").read_bytes()
        told = child(file.folder, code)
        assert told[0].startswith("refused")
        assert told[1] == "['counters.json', 'counters.json.1', 'counters.json.synced', 'lock']"
        assert (file.folder / "counters.json.1").read_bytes() == before
        assert reopened(file).load(boot_id="boot-a").states[UUID].energy.acc_mj == newer.acc_mj

    @pytest.mark.parametrize(("name", "mode"), [(".", 0o500), ("counters.json", 0o000), (".", 0o000)])
    def test_what_may_not_be_read_or_written_is_one_error(
        self, two: tuple[StateFile, Rig, Rig], name: str, mode: int
    ) -> None:
        """As an ordinary user: a superuser may do everything."""
        file = two[0]
        file.close()
        code = """
import os
os.chdir(file.folder)
file = StateFile(Path("."), host_id="here")
place = os.open(NAME, os.O_RDONLY)
mode = os.stat(place).st_mode
if os.geteuid() == 0:
    for path in (".", *os.listdir(".")):
        os.chown(path, 65534, 65534)
    os.setegid(65534)
    os.seteuid(65534)
os.fchmod(place, MODE)
try:
    loaded = file.load(boot_id="boot-a")
    print(loaded.reason, loaded.recovered, len(loaded.states))
    file.save(states, boot_id="boot-a", now=now)
    print("saved")
except OSError as error:
    print("refused", error.errno)
finally:
    os.fchmod(place, mode)
"""
        told = child(file.folder, f"NAME, MODE = {name!r}, {mode}\n{code}")
        if name == "counters.json":
            assert told == ["unreadable True 1", "saved"]
            assert (file.folder / "counters.json.unreadable").exists()
        elif mode == 0o500:
            assert told == [" False 1", "refused 13"]
        else:
            assert told == ["unreadable False 0", "refused 13"]


class TestLock:
    def test_a_second_exporter_is_told_clearly(self, two: tuple[StateFile, Rig, Rig]) -> None:
        file, _, newer = two
        told = child(
            file.folder,
            "try:\n    file.load(boot_id='b')\nexcept StateFolderInUse as error:\n    print(error)",
        )
        assert told == [f"{file.folder}: in use by another gputally (process {os.getpid()})"]
        told = child(
            file.folder,
            "try:\n    file.save(states, boot_id='b', now=now)\nexcept StateFolderInUse:\n    print('no')",
        )
        assert told == ["no"]
        assert reopened(file).load(boot_id="boot-a").states[UUID].energy.acc_mj == newer.acc_mj

    def test_within_one_process_too(self, file: StateFile) -> None:
        with pytest.raises(StateFolderInUse):
            StateFile(file.folder, host_id="here").load(boot_id="boot-a")

    def test_closing_frees_the_folder(self, file: StateFile) -> None:
        file.close()
        StateFile(file.folder, host_id="here").load(boot_id="boot-a")
