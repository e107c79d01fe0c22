"""The script that is prolog and epilog, without Slurm: any shell, any values, any trouble."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gputally.node.identity.protocol import End
from gputally.node.identity.slurm import MOST_BYTES, SlurmRecords
from gputally.node.labels import label_text
from tests.slurm.cluster import SCRIPT

DAY_S = 86_400
SHELLS = (("dash",), ("bash", "--posix"))


class Node:
    """A node's folder of records, and the script as slurmd calls it: with an environment of Slurm's alone."""

    def __init__(self, folder: Path, shell: tuple[str, ...]) -> None:
        self.folder = folder
        self.records = folder / "new" / "records"
        self.config = folder / "record.env"
        self.shell = shell
        self.set(FOLDER=str(self.records))

    def set(self, **given: str) -> None:
        self.config.write_text("# a comment\n" + "\n".join(f"{k}={v}" for k, v in given.items()))

    def run(self, context: str, **environment: str | bytes) -> None:
        done = subprocess.run(
            [*self.shell, str(SCRIPT)],
            env={
                "GPUTALLY_SLURM_CONFIG": str(self.config),
                "SLURM_JOB_ID": "4711",
                "SLURM_JOB_RESTART_COUNT": "0",
                "SLURM_SCRIPT_CONTEXT": f"{context}_slurmd",
            }
            | environment,
            capture_output=True,
            check=False,
            timeout=30,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

    def names(self) -> list[str]:
        return sorted(path.name for path in self.records.iterdir()) if self.records.exists() else []

    def read(self) -> SlurmRecords:
        return SlurmRecords(self.records)


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def node(tmp_path: Path, request: pytest.FixtureRequest) -> Node:
    if shutil.which(request.param[0]) is None:
        pytest.skip(f"{request.param[0]} is not installed here")
    return Node(tmp_path, request.param)


def end_of(node: Node, job: str = "4711") -> End | None:
    found = node.read().record_for(job)
    assert found is not None
    return found.end


def test_a_run_from_begin_to_end(node: Node) -> None:
    began = int(time.time())
    node.run("prolog", SLURM_JOB_USER="ada", SLURM_JOB_GPUS="0,2", SLURM_JOB_NAME="train")
    job = node.read().record_for("4711")
    assert job is not None
    assert (job.user, job.gpus, job.job_name, job.end) == ("ada", (0, 2), "train", None)
    assert began <= job.start_seconds <= time.time()
    assert job.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    node.run("epilog", SLURM_JOB_EXIT_CODE2="7:0")
    end = end_of(node)
    assert end is not None
    assert (end.state, end.exit_code) == ("failed", 7)
    assert (node.names(), node.records.stat().st_mode & 0o777) == (["4711-r0"], 0o755)


@pytest.mark.parametrize(
    ("said", "end"),
    [
        ("0:0", ("ended", None)),
        ("3:0", ("failed", 3)),
        ("0:9", ("failed", 137)),
        ("0:125", ("failed", None)),
        ("", ("ended", None)),
        ("nonsense", ("ended", None)),
    ],
)
def test_exit_codes_as_slurm_writes_them(node: Node, said: str, end: tuple[str, int | None]) -> None:
    node.run("prolog")
    node.run("epilog", SLURM_JOB_EXIT_CODE2=said)
    found = end_of(node)
    assert found is not None
    assert (found.state, found.exit_code) == end


def test_the_epilog_of_a_requeued_run_finds_its_record_under_the_lower_count(node: Node) -> None:
    node.run("prolog")
    node.run("epilog", SLURM_JOB_RESTART_COUNT="1")
    node.run("prolog", SLURM_JOB_RESTART_COUNT="1")
    ends = {run.run_id: run.end and run.end.state for run in node.read().records()}
    assert ends == {"4711": "cancelled", "4711-r1": None}


def test_an_end_is_written_once(node: Node) -> None:
    node.run("prolog")
    node.run("epilog", SLURM_JOB_EXIT_CODE2="1:0")
    first = (node.records / "4711-r0").read_bytes()
    node.run("epilog", SLURM_JOB_EXIT_CODE2="2:0")
    assert (node.records / "4711-r0").read_bytes() == first


def test_an_epilog_without_a_prolog_writes_nothing(node: Node) -> None:
    node.run("epilog")
    assert node.names() == []


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.binary(max_size=600).filter(lambda name: b"\0" not in name))
def test_any_name_ends_up_in_its_own_line(node: Node, name: bytes) -> None:
    node.run("prolog", SLURM_JOB_NAME=name, SLURM_JOB_USER="ada")
    text = (node.records / "4711-r0").read_bytes()
    assert len(text) < MOST_BYTES
    job = node.read().record_for("4711")
    assert job is not None
    assert job.user == "ada"
    plain = bytes(0x5F if byte < 0x20 or byte == 0x7F else byte for byte in name)
    assert job.job_name == label_text(plain[:400])


@pytest.mark.parametrize(
    "name", ["$(touch pwned)", "`touch pwned`", "a\nEND_SECONDS=1\nSTATE=failed", "'\"\\", "-n -e %s", "ü 名"]
)
def test_names_are_data(node: Node, name: str) -> None:
    node.run("prolog", SLURM_JOB_NAME=name, SLURM_JOB_COMMENT=f"model={name}")
    job = node.read().record_for("4711")
    assert job is not None
    assert (job.job_name, job.end) == (name.replace("\n", "_"), None)
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    ("comment", "model"),
    [
        ("model=llama-70b", "llama-70b"),
        ("for ada, model=mixtral-8x7b; model=second", "mixtral-8x7b"),
        ("mymodel=no * ?", ""),
        ("model=", ""),
        ("a\nmodel=b\nc", "b"),
        ("model=*", "*"),
    ],
)
def test_of_the_comment_only_the_model_is_kept(node: Node, comment: str, model: str) -> None:
    node.run("prolog", SLURM_JOB_COMMENT=comment)
    job = node.read().record_for("4711")
    assert job is not None
    assert job.comment_model == model


def test_numbers_of_devices_where_slurm_counts_otherwise(node: Node) -> None:
    node.set(FOLDER=str(node.records), DEVICES="7,5,6")
    node.run("prolog", SLURM_JOB_GPUS="2,0,3,MIG-1")
    job = node.read().record_for("4711")
    assert job is not None
    assert job.gpus == (6, 7)


@pytest.mark.parametrize("given", ["0,2", "0", "MIG-1", ""])
def test_places_in_a_list_of_mig_instances_are_not_taken_for_devices(node: Node, given: str) -> None:
    node.set(FOLDER=str(node.records), DEVICES="none")
    node.run("prolog", SLURM_JOB_GPUS=given, SLURM_JOB_USER="ada")
    node.run("epilog", SLURM_JOB_EXIT_CODE2="7:0")
    assert "GPUS" not in (node.records / "4711-r0").read_text()
    job = node.read().record_for("4711")
    assert job is not None
    assert (job.user, job.gpus, job.end and job.end.exit_code) == ("ada", (), 7)


def test_closed_records_go_after_a_day_and_running_ones_never(node: Node) -> None:
    for job_id in ("1", "2", "3"):
        node.run("prolog", SLURM_JOB_ID=job_id)
    for job_id in ("1", "2"):
        node.run("epilog", SLURM_JOB_ID=job_id)
    now = time.time()
    os.utime(node.records / "1-r0", (now, now - DAY_S - 60))
    os.utime(node.records / "2-r0", (now, now - DAY_S + 60))
    os.utime(node.records / "3-r0", (now, now - 9 * DAY_S))
    node.run("epilog", SLURM_JOB_ID="9")
    assert node.names() == ["2-r0", "3-r0"]


class TestTrouble:
    """None of it may fail a job or stay behind."""

    @pytest.mark.parametrize(
        "environment",
        [
            {"SLURM_JOB_ID": ""},
            {"SLURM_JOB_ID": "../1"},
            {"SLURM_JOB_RESTART_COUNT": "x"},
            {"SLURM_SCRIPT_CONTEXT": "task"},
            {"GPUTALLY_SLURM_CONFIG": "/nowhere/record.env", "SLURM_JOB_ID": "no"},
        ],
    )
    def test_an_environment_that_makes_no_sense(self, node: Node, environment: dict[str, str]) -> None:
        for context in ("prolog", "epilog"):
            node.run(context, **environment)
        assert node.names() == []

    def test_a_folder_that_cannot_be_made(self, node: Node) -> None:
        (node.folder / "new").write_text("in the way")
        for context in ("prolog", "epilog"):
            node.run(context)

    def test_a_disk_that_is_full(self, node: Node) -> None:
        """A limit of nothing on the size of files stands in for it."""
        shell, node.shell = node.shell, ("sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *node.shell)
        node.run("prolog")
        assert node.names() == []
        node.shell = shell
        node.run("prolog")
        whole = (node.records / "4711-r0").read_bytes()
        node.shell = ("sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *shell)
        node.run("epilog")
        assert (node.names(), (node.records / "4711-r0").read_bytes()) == (["4711-r0"], whole)

    @pytest.mark.parametrize(
        "squeue", ["exit 1", "echo; echo 4711; echo a b c", "trap '' TERM; while :; do sleep 0.1; done"]
    )
    def test_a_controller_that_does_not_answer(self, node: Node, squeue: str) -> None:
        program = node.folder / "squeue"
        program.write_text(f"#!/bin/sh\n{squeue}\n")
        program.chmod(0o755)
        node.set(FOLDER=str(node.records), SQUEUE=str(program))
        node.run("prolog", SLURM_JOB_USER="ada")
        node.run("epilog")
        found = node.read().record_for("4711")
        assert found is not None
        assert (found.user, found.end and found.end.exit_code) == ("ada", None)
