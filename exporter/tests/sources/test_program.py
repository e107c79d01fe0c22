"""Running a program: found, bounded, ended with all that it started, and reaped."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from gputally.node.sources import program
from gputally.node.sources.program import Program
from gputally.node.sources.protocol import SourceError, Unavailable
from tests.sources.standins.standin import StandIn, eventually, is_gone

MARGIN_SECONDS = 3.0  # for a loaded machine, above what the program may take by its contract


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return StandIn("nvidia-smi", tmp_path, monkeypatch).play("550-h100x8")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on PATH for programs that a test writes itself."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def write(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_output_errors_and_status_come_back_as_they_are(own: Path) -> None:
    write(own, "speak", "echo out; echo err >&2; exit 7")
    output = Program("speak").run()
    assert (output.stdout, output.stderr, output.code) == (b"out\n", b"err\n", 7)
    assert program.refusal("speak", output).reason == "exit_7"
    assert str(program.refusal("speak", output)) == "speak ended with status 7: err"


def test_a_sentence_is_one_short_printable_line(own: Path) -> None:
    write(own, "speak", r"printf '\n \033[1mfirst\tline\377 %0500d\nsecond' 1 >&2; exit 1")
    sentence = Program("speak").run().sentence
    assert sentence.startswith("[1mfirst line")
    assert sentence.isprintable()
    assert len(sentence) <= 200


def test_a_program_that_was_killed_is_refused_by_the_signal(own: Path) -> None:
    write(own, "die", "kill -SEGV $$")
    assert program.refusal("die", Program("die").run()).reason == "signal_11"


def test_a_program_that_is_not_on_path_is_unavailable() -> None:
    with pytest.raises(Unavailable, match=r"^no-such-program is not on PATH$") as caught:
        Program("no-such-program").run()
    assert caught.value.reason == "not_found"


def test_relative_entries_of_path_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may write where the exporter was started must not get to run as it."""
    (tmp_path / "bin").mkdir()
    for folder in (tmp_path, tmp_path / "bin"):
        write(folder, "trap", "echo caught")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", ":.:bin:")
    with pytest.raises(Unavailable):
        program.find("trap")
    monkeypatch.setenv("PATH", f":.:bin:{tmp_path / 'bin'}")
    assert program.find("trap") == str(tmp_path / "bin" / "trap")
    assert Program("trap").run().stdout == b"caught\n"


def test_a_program_that_moved_is_found_again(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = write(own, "mover", "echo here")
    mover = Program("mover")
    mover.run()
    old.rename(tmp_path / "mover")
    with pytest.raises(Unavailable) as caught:
        mover.run()
    assert caught.value.reason == "not_found"
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert mover.run().stdout == b"here\n"


def test_a_program_that_moves_while_its_path_is_known_is_found_in_the_same_run(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{own}{os.pathsep}{tmp_path}{os.pathsep}{os.environ['PATH']}")
    mover = Program("mover")
    old = write(own, "mover", "echo here")
    mover.run()
    old.rename(tmp_path / "mover")
    assert mover.run().stdout == b"here\n"


def test_what_cannot_be_executed_is_unavailable(own: Path) -> None:
    (own / "broken").write_bytes(b"\x7fELF no program")
    (own / "broken").chmod(0o755)
    with pytest.raises(Unavailable, match="cannot be started: Exec format error") as caught:
        Program("broken").run()
    assert caught.value.reason == "not_started"


def test_a_child_has_no_input(own: Path) -> None:
    """Else it would take what is typed to the exporter, or wait for it."""
    write(own, "listen", "cat")
    reading, writing = os.pipe()
    before = os.dup(0)
    try:
        os.dup2(reading, 0)
        assert Program("listen").run(seconds=MARGIN_SECONDS).stdout == b""
    finally:
        os.dup2(before, 0)
        for number in (reading, writing, before):
            os.close(number)


def test_a_child_speaks_english_and_leads_a_session_of_its_own(own: Path) -> None:
    write(own, "look", 'echo "$LC_ALL $(pwd) $$ $(cut -d" " -f5,6 /proc/$$/stat)"')
    words = Program("look").run().stdout.decode().split()
    assert words[:2] == ["C", "/"]
    assert words[2] == words[3] == words[4]


@pytest.mark.fault("smi-hangs")
@pytest.mark.parametrize("words", ["hang", "stubborn", "hang,grandchild", "stubborn,grandchild"])
def test_a_hanging_child_is_ended_in_time_with_all_that_it_started(smi: StandIn, words: str) -> None:
    smi.behave(words)
    began = time.monotonic()
    with pytest.raises(SourceError, match=r"^nvidia-smi gave no answer within 1 s$") as caught:
        Program("nvidia-smi").run("-q", seconds=1.0)
    assert time.monotonic() - began < 1.0 + program.TERM_SECONDS + MARGIN_SECONDS
    assert caught.value.reason == "timeout"
    assert ["ready"] in smi.lines(), "the child was ended before it could misbehave"
    assert len(smi.pids()) == (2 if "grandchild" in words else 1)
    assert all(eventually(lambda pid=pid: is_gone(pid)) for pid in smi.pids())


def test_a_child_that_ends_at_sigterm_is_not_killed(own: Path, tmp_path: Path) -> None:
    """Killing an NVML client in the middle of a call has frozen GPUs, so it gets the time to let go."""
    write(own, "tidy", f"trap 'echo tidy > {tmp_path}/tidy; exit' TERM; sleep 60 & wait")
    with pytest.raises(SourceError):
        Program("tidy").run(seconds=0.5)
    assert (tmp_path / "tidy").read_text() == "tidy\n"


@pytest.mark.fault("smi-hangs")
def test_a_grandchild_that_holds_the_pipes_open_delays_no_answer(smi: StandIn) -> None:
    smi.behave("grandchild")
    began = time.monotonic()
    output = Program("nvidia-smi").run("-L", seconds=30)
    assert time.monotonic() - began < MARGIN_SECONDS
    assert output.stdout.count(b"GPU ") == 8
    assert len(smi.pids()) == 2
    assert all(eventually(lambda pid=pid: is_gone(pid)) for pid in smi.pids())


def test_a_flood_of_output_is_cut_off(smi: StandIn) -> None:
    smi.behave("flood")
    with pytest.raises(SourceError, match=r"^nvidia-smi printed more than 2 MiB$") as caught:
        Program("nvidia-smi", output_limit_bytes=2 << 20).run("-q", seconds=30)
    assert caught.value.reason == "flood"
    assert all(eventually(lambda pid=pid: is_gone(pid)) for pid in smi.pids())


def test_output_up_to_the_limit_arrives_whole(own: Path) -> None:
    write(own, "much", "head -c 3000000 /dev/zero; head -c 500000 /dev/zero >&2")
    output = Program("much").run()
    assert (len(output.stdout), len(output.stderr)) == (3_000_000, 500_000)


def test_no_run_leaves_a_zombie_a_file_or_a_thread(smi: StandIn) -> None:
    nvidia_smi = Program("nvidia-smi")
    nvidia_smi.run("-L")
    files, threads = open_files(), threading.active_count()
    for words in ("", "hang", "exit=3", "grandchild"):
        smi.behave(words)
        try:
            nvidia_smi.run("-L", seconds=0.3)
        except SourceError as error:
            assert error.reason == "timeout"  # noqa: PT017 - whether it fails is not the question here
    assert (open_files(), threading.active_count()) == (files, threads)
    assert all(eventually(lambda pid=pid: is_gone(pid)) for pid in smi.pids())


@pytest.mark.fault("smi-hangs")
def test_no_second_child_is_started_beside_one_that_cannot_be_ended(smi: StandIn) -> None:
    """As with a child in uninterruptible sleep inside the driver; here one that nobody has tried to end."""
    nvidia_smi = Program("nvidia-smi")
    stuck = nvidia_smi._stuck = subprocess.Popen(["sleep", "600"])
    with pytest.raises(SourceError, match="hangs in the driver") as caught:
        nvidia_smi.run("-L")
    assert caught.value.reason == "stuck"
    assert smi.runs() == []
    stuck.kill()
    assert eventually(lambda: program._has_ended(stuck))
    assert nvidia_smi.run("-L").code == 0
    assert is_gone(stuck.pid)


def test_on_the_way_out_children_are_stopped_and_not_waited_for(smi: StandIn) -> None:
    smi.behave("stubborn")
    outputs: list[program.Output] = []
    runner = threading.Thread(target=lambda: outputs.append(Program("nvidia-smi").run("-q", seconds=30)))
    runner.start()
    assert eventually(lambda: ["ready"] in smi.lines())
    began = time.monotonic()
    program._stop_children()
    assert time.monotonic() - began < 0.5
    runner.join(MARGIN_SECONDS)
    assert outputs[0].code == -9
    assert not program._children


def test_a_child_does_not_outlive_the_exporter(smi: StandIn) -> None:
    smi.behave("stubborn,grandchild")
    exporter = textwrap.dedent("""
        import threading, time
        from gputally.node.sources.program import Program
        run = lambda: Program("nvidia-smi").run("-q", seconds=60)
        threading.Thread(target=run, daemon=True).start()
        input()
    """)
    path = str(Path(program.__file__).parents[3])
    with subprocess.Popen(
        [sys.executable, "-c", exporter], stdin=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        assert eventually(lambda: ["ready"] in smi.lines())
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.close()
        assert process.wait(MARGIN_SECONDS) == 0
    assert len(smi.pids()) == 2
    assert all(eventually(lambda pid=pid: is_gone(pid)) for pid in smi.pids())
