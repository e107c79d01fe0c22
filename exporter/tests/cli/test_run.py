"""`gputally run` as a user has it: the command's output, status, files and environment as without it."""

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gputally.cli.run import FOLDER
from gputally.config.settings import NodeSettings
from tests.cli.command import PROGRAM, environment, gputally
from tests.cli.wrapped import AS_USUAL, children, record_of, records, start, stat, state, until, wrap

# What a program can find out about how it was started.
INQUIRY = """
import os, resource, signal, sys
print(sys.argv[1:], os.getcwd(), os.umask(0), os.nice(0), os.getsid(0), os.getpgrp() == os.getpid())
print({k: v for k, v in os.environ.items() if not k.startswith("GPUTALLY_")})
own = {"SigBlk", "SigIgn", "ShdPnd", "NoNewPrivs", "CapEff"}
for name, _, value in (line.partition(":") for line in open("/proc/self/status")):
    if name in own:  # signals 32 and 33 belong to glibc, whose posix_spawn(3) ignores them
        print(name, hex(int(value, 16) & ~(0b11 << 31)))
print(open("/proc/self/limits").read())
for number in filter(lambda n: os.path.exists(f"/proc/self/fd/{n}"), range(64)):
    print(number, os.fstat(number).st_ino, os.get_inheritable(number))
"""


def shell(script, folder, *arguments):
    return wrap("sh", "-c", script, *arguments, folder=folder)


def test_input_output_arguments_and_status_are_the_commands(folder, tmp_path):
    (tmp_path / "in").write_bytes(b"from\0 the file\n")
    script = 'cat; echo "$#" "$@" >&2; exit 42'
    with (tmp_path / "in").open("rb") as stdin:
        done = wrap(
            *("sh", "-c", script, "zero", "--job", "x y", "--", "", b"\xff$*\n"), folder=folder, stdin=stdin
        )
    assert (done.returncode, done.stdout) == (42, b"from\0 the file\n")
    assert done.stderr == b"5 --job x y --  \xff$*\n\n"


@pytest.mark.parametrize("how", ["plain", "nohup", "in the background of a script"])
def test_a_program_cannot_tell_the_difference(how, folder, tmp_path):
    """Except by its parent: environment, signals, limits, open files, folder, group and session."""
    (tmp_path / "inquiry.py").write_text(INQUIRY)
    command = f"{sys.executable} -I inquiry.py a 'b c'"
    before = {"plain": "", "nohup": "nohup ", "in the background of a script": ""}[how]
    after = " & wait" if "background" in how else ""
    told = []
    reader, writer = os.pipe()
    try:
        for wrapper in ("", f"{PROGRAM} run --runs.dir={folder} -- "):
            script = f"umask 027; ulimit -n 200; exec 5<inquiry.py; {before}{wrapper}{command}{after}"
            told.append(
                subprocess.run(
                    ["sh", "-c", script],
                    cwd=tmp_path,
                    env=environment(),
                    pass_fds=(writer,),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    check=True,
                ).stdout.decode()
            )
    finally:
        os.close(reader)
        os.close(writer)
    # Standard output is another pipe each time, and a script's last command replaces the shell.
    without_pipe, with_pipe = (
        re.sub(r"^1 \d+ ", "1 ", text, flags=re.MULTILINE).splitlines() for text in told
    )
    session = re.compile(r" \d+ (True|False)$")
    assert [session.sub("", line) for line in with_pipe] == [session.sub("", line) for line in without_pipe]
    assert len(with_pipe) > 20
    assert records(folder)[0]["state"] == "completed"


def test_dispositions_of_signals_are_as_python_found_them(folder):
    """Python ignores SIGPIPE and SIGXFSZ for itself; the command's pipeline has to end by the first."""
    line = ("grep", "SigIgn", "/proc/self/status")
    bare = subprocess.run([*AS_USUAL, *line], stdout=subprocess.PIPE, check=True).stdout
    masks = [int(text.split()[1], 16) for text in (bare, wrap(*line, folder=folder).stdout)]
    assert masks[1] & ~(0b11 << 31) == masks[0] & ~(0b11 << 31)  # 32 and 33: glibc's own, see above


def test_an_empty_environment_gains_what_was_given_and_nothing_else(folder):
    done = wrap("env", folder=folder, env={"PATH": os.environ["PATH"]})
    assert done.stdout.decode().splitlines() == [f"PATH={os.environ['PATH']}"]
    done = wrap("env", folder=folder, env={"PATH": os.environ["PATH"]}, options=("--job=x",))
    assert done.stdout.decode().splitlines() == [f"PATH={os.environ['PATH']}", "GPUTALLY_JOB=x"]


def test_what_is_named_is_recorded_and_told_to_the_command(folder):
    options = ("--job=finetune", "--team", "nlp", "--model=llama-70b")
    done = wrap("sh", "-c", 'env | grep "^GPUTALLY_" | sort', folder=folder, options=options)
    assert done.stdout == b"GPUTALLY_JOB=finetune\nGPUTALLY_MODEL=llama-70b\nGPUTALLY_TEAM=nlp\n"
    (record,) = records(folder)
    assert (record["job_name"], record["team"], record["model"]) == ("finetune", "nlp", "llama-70b")
    assert record["command"] == "sh"
    assert "grep" not in str(record)


def test_names_come_from_the_environment_too_and_options_win(folder):
    given = environment({"GPUTALLY_JOB": "outer", "GPUTALLY_TEAM": "nlp", "GPUTALLY_RUNS_DIR": str(folder)})
    done = subprocess.run(
        [PROGRAM, "run", "--job=inner", PROGRAM, "run", "printenv", "GPUTALLY_JOB"],
        env=given,
        stdout=subprocess.PIPE,
        check=True,
    )
    assert done.stdout == b"inner\n"
    assert [(r["job_name"], r["team"], r["command"]) for r in records(folder)] == [
        ("inner", "nlp", "gputally"),
        ("inner", "nlp", "printenv"),
    ]


def test_the_command_names_the_job_that_nobody_has_named(folder):
    assert wrap("/bin/true", folder=folder).returncode == 0
    assert [record["job_name"] for record in records(folder)] == ["true"]


def test_variables_of_ours_that_are_unknown_stop_no_job(folder):
    given = environment({"GPUTALLY_TAEM": "x", "GPUTALLY_SAMPLE_INTERVAL": "fast"})
    assert wrap("true", folder=folder, env=given).returncode == 0


def test_the_agent_takes_the_wrappers_variables_for_what_they_are(tmp_path):
    names = {"GPUTALLY_JOB": "j", "GPUTALLY_TEAM": "t", "GPUTALLY_MODEL": "m", "GPUTALLY_RUNS_DIR": "/r"}
    assert gputally("--version", folder=tmp_path, env=names).status == 0
    answer = gputally("--version", folder=tmp_path, env={"GPUTALLY_TAEM": "x"})
    assert "did you mean GPUTALLY_TEAM?" in answer.err


def test_a_command_that_is_not_there_or_no_program_is_told_as_by_a_shell(folder, tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("echo no permission\n")
    for command, status, code in (
        ("no-such-program", 127, errno.ENOENT),
        (str(tmp_path / "none"), 127, errno.ENOENT),
        ("", 127, errno.ENOENT),
        (str(plain), 126, errno.EACCES),
        (str(tmp_path), 126, errno.EACCES),
        (str(plain / "below"), 126, errno.ENOTDIR),
    ):
        done = wrap(command, folder=folder)
        assert done.returncode == status
        assert done.stderr.decode() == f"gputally run: {command}: {os.strerror(code)}\n"
    assert {(record["state"], record["exit_code"]) for record in records(folder)} == {
        ("failed", 127),
        ("failed", 126),
    }


def test_a_script_without_a_first_line_runs_in_a_shell(folder, tmp_path):
    script = tmp_path / "bin" / "script"
    script.parent.mkdir()
    script.write_text('echo "$1" from a script; exit 3\n')
    script.chmod(0o755)
    path = environment({"PATH": f"{script.parent}:{os.environ['PATH']}"})
    for name in ("script", str(script)):
        done = wrap(name, "hello", folder=folder, env=path)
        assert (done.returncode, done.stdout) == (3, b"hello from a script\n")


WRONG = {
    "nothing to run": ([], "Missing argument 'COMMAND...'."),
    "an option that is not ours": (["--jbo=x", "--", "true"], "No such option '--jbo'."),
    "an option without value": (["--job"], "Option '--job' requires an argument."),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_command_line_runs_nothing(name, tmp_path):
    arguments, words = WRONG[name]
    answer = gputally("run", *arguments, folder=tmp_path)
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.startswith(f"gputally: error: {words}")
    assert answer.err.count("\n") == 1


def test_records_go_where_the_agent_looks_for_them():
    assert Path(FOLDER) == NodeSettings().jobs_runs_dir


@pytest.mark.parametrize(
    "script",
    [
        "exit 0",
        "exit 1",
        "exit 255",
        *(f"kill -{name} $$" for name in ("TERM", "INT", "HUP", "KILL", "SEGV", "USR1")),
    ],
)
def test_it_ends_as_the_command_ended(script, folder, tmp_path):
    bare = subprocess.run([*AS_USUAL, "sh", "-c", script], cwd=tmp_path, check=False)
    done = wrap("sh", "-c", script, folder=folder, cwd=tmp_path)
    assert done.returncode == bare.returncode
    (record,) = records(folder)
    code = bare.returncode if bare.returncode >= 0 else 128 - bare.returncode
    cancelled = -bare.returncode in (signal.SIGINT, signal.SIGTERM)
    assert record["exit_code"] == code
    assert record["state"] == ("cancelled" if cancelled else "failed" if code else "completed")
    assert record["start_seconds"] <= record["end_seconds"]


def test_it_waits_without_turning_a_wheel_and_leaves_no_zombies(folder):
    """Daemons below it are adopted while the command runs; dead ones are buried."""
    script = "for i in 1 2 3; do (sleep 0 & echo done); done; (sleep 60 & echo $!); echo all; read line"
    process = start(
        "sh", "-c", script, folder=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    lines = [process.stdout.readline().strip() for _ in range(5)]
    assert lines[4] == "all"
    daemon = int(lines[3])
    assert stat(daemon)[1] == str(process.pid)
    until(lambda: len(children(process.pid)) == 2)  # the shell and the daemon
    used = sum(map(int, stat(process.pid)[11:13]))
    process.stdin.close()
    assert process.wait(30) == 1  # what `read` says at the end: not waiting for the daemon
    assert used < 100  # clock ticks: a second
    assert state(daemon) == "S"
    os.kill(daemon, signal.SIGKILL)
    process.stdout.close()


def test_fifty_at_once_each_have_a_record_of_their_own(folder):
    runs = [start("sh", "-c", f"exit {i % 7}", folder=folder, options=(f"--job=j{i}",)) for i in range(50)]
    for i, process in enumerate(runs):
        assert process.wait(120) == i % 7
        record = record_of(process, folder)
        assert (record["job_name"], record["exit_code"]) == (f"j{i}", i % 7)
    assert len(list(folder.iterdir())) == 50
