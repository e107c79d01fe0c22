"""What stands in a process list may be anything: garbage, strangers' names, secrets, 10,000 rows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.agent import running as harness
from tests.agent.metering import add_idle, assert_exact, counted_mj, is_up, load, uuid_of
from tests.agent.scraping import Prometheus
from tests.fakenvml import Constant, Process, Square

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeNvml

ROWS = "gpu_process_memory_bytes"
CAP = 64
NOBODY = range(4_100_001, 4_110_000)  # PIDs that the kernel gives to nobody on a machine of usual size
HOSTILE = (
    b'quote" }',
    b"new\nline 1 2",
    b"back\\slash\\n",
    b"cr\rlf",
    b"esc\x1b[31mred",
    "\u202egnp".encode(),
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"a) R 1 (b",
    b"<script>",
    "naïve é€".encode(),
    b"x" * 40,
    b" ",
)


@contextmanager
def running_programs(folder: Path, names: list[bytes]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes with these names, each the file name of a copy of `sleep`."""
    sleep = shutil.which("sleep")
    assert sleep is not None
    folder.mkdir()
    children: list[subprocess.Popen[bytes]] = []
    try:
        for name in names:
            program = os.fsdecode(bytes(folder) + b"/" + name)
            if not Path(program).exists():
                shutil.copy(Path(sleep).resolve(), program)
            children.append(subprocess.Popen([program, "300"]))
        yield children
    finally:
        for child in children:
            child.kill()
        for child in children:
            child.wait()


def pids(scrape: Scrape, gpu: str = "0") -> set[str]:
    """PIDs that have a row."""
    return {dict(labels)["pid"] for labels in scrape.series(ROWS, gpu=gpu)}


@pytest.fixture(scope="module", autouse=True)
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Started before the first test here: it takes it five seconds to look at its targets."""
    made = Prometheus(tmp_path_factory.mktemp("prometheus"))
    yield made
    made.stop()


@pytest.mark.fault("gpu-names")
def test_names_that_are_no_utf_8_and_uuids_that_are_none_cost_nobody_else_a_reading(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """F12: a GPU without a UUID of its own is left out; no series stands twice."""
    (good,) = add_idle(fake_nvml, "full")
    fake_nvml.add_gpu(name=b'H\xff\xfe00 "\\\x1b\r\n', serial=b"\x80")
    fake_nvml.add_gpu(uuid=b"")
    fake_nvml.add_gpu(uuid="GPU-twice")
    fake_nvml.add_gpu(uuid="GPU-twice")
    running = agent()
    load(running, [good], Square(100, 500, 0.4))
    scrape = running.wait_until(lambda s: s.value("gpu_up", gpu="1"))
    assert {dict(labels)["gpu"] for labels in scrape.series("gpu_up")} == {"0", "1", "3"}
    assert scrape.label("gpu_info", "name", gpu="1") == 'H\ufffd\ufffd00 "\\___'
    assert scrape.label("gpu_info", "serial", gpu="1") == "\ufffd"
    assert scrape.series("gpu_up", uuid="GPU-twice") == scrape.series("gpu_up", gpu="3")
    assert_exact(running, [good])


@pytest.mark.fault("process-crowd")
def test_a_list_of_10000_strangers_is_counted_and_never_shown(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """F13: PIDs that are nobody's, nothing or our own; and a list that grows while it is read."""
    gpu, other = add_idle(fake_nvml, "full", "full")
    running = agent()
    load(running, (gpu, other), Square(100, 500, 0.4))
    garbage = (*NOBODY, 0, running.pid, 0xFFFFFFFF, 0xFFFFFFFE, 1 << 31)
    gpu.set_processes(Process(pid, None if pid % 3 else 1 << 60, sm=100) for pid in garbage)
    with running.watch() as watch:
        scrape = running.wait_until(lambda s: (s.value("gpu_processes", gpu="0") or 0) > 9_000)
        assert scrape.value("gpu_processes", gpu="0") == len(NOBODY)
        assert pids(scrape) == set()
        gpu.set(process_growth=100_000)
        grown = running.wait_until(
            lambda s: s.value("gputally_sample_errors_total", collector="nvml", reason="insufficient_size")
        )
        assert grown.value("gpu_up", gpu="0") == 1
        assert grown.value("gpu_processes", gpu="0") is None
        gpu.set(process_growth=0)
        gpu.set_processes([])
        running.wait_until(lambda s: s.value("gpu_processes", gpu="0") == 0)
    watch.assert_served(within=0.3)
    watch.assert_no_decrease()
    assert_exact(running, (gpu, other))


@pytest.mark.fault("process-crowd")
def test_more_processes_than_rows_stand_together_as_other_and_their_memory_adds_up(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    gpu = fake_nvml.add_gpu()
    running = agent()
    with running_programs(tmp_path / "programs", [b"one"] * (CAP + 6)) as children:
        gpu.set_processes(Process(child.pid, (n + 1) << 20) for n, child in enumerate(children))
        scrape = running.wait_until(lambda s: len(pids(s)) == CAP + 1)
    assert scrape.value("gpu_processes", gpu="0") == CAP + 6
    assert scrape.value("gputally_capped_items", cap="processes") == 6
    assert sum(scrape.series(ROWS).values()) == sum(range(1, CAP + 7)) << 20
    assert scrape.value(ROWS, pid="other", process="other", user="other") == sum(range(1, 7)) << 20


@pytest.mark.fault("process-secrets")
def test_a_secret_of_a_process_is_nowhere_in_what_the_exporter_shows_or_keeps(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    """F18: environment, command line and working folder are never read."""
    canary = "CANARY7f3a9c"
    gpu = fake_nvml.add_gpu()
    running = agent("--log.level=debug")
    (tmp_path / canary).mkdir()
    child = subprocess.Popen(
        [sys.executable, "-c", "input()", "--password", canary],
        env={"AWS_SECRET_ACCESS_KEY": canary, "SLURM_JOB_ID": canary, "USER": canary},
        cwd=tmp_path / canary,
        stdin=subprocess.PIPE,
    )
    try:
        gpu.set_processes([Process(child.pid, 1 << 30, sm=50)])
        scrape = running.wait_until(lambda s: pids(s) == {str(child.pid)})
        pages = [scrape.body, *(running.get(path)[1] for path in ("/", "/-/ready", "/-/healthy"))]
    finally:
        child.kill()
        child.communicate()
    running.terminate()
    kept = [file.read_text(errors="replace") for file in running.state_dir.iterdir()]
    assert len(kept) >= 3
    for text in (*pages, *kept, "\n".join(running.log)):
        assert canary not in text


@pytest.mark.fault("pid-reused")
def test_a_pid_that_is_given_to_another_process_does_not_keep_the_first_ones_name(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    """F19, in a /proc of our own: the start time tells the two apart."""

    def enter(name: str, start: int) -> None:
        new = tmp_path / "new"
        new.mkdir()
        numbers = " ".join(["S", "1", *["0"] * 17, str(start), *["0"] * 30])
        (new / "stat").write_text(f"4248 ({name}) {numbers}\n")
        shutil.rmtree(tmp_path / "proc" / "4248", ignore_errors=True)
        new.rename(tmp_path / "proc" / "4248")

    (tmp_path / "proc" / "2").mkdir(parents=True)
    (tmp_path / "proc" / "2" / "comm").write_text("kthreadd\n")
    enter("first", 1000)
    gpu = fake_nvml.add_gpu()
    gpu.set_processes([Process(4248, 1 << 30)])
    running = agent(f"--path.procfs={tmp_path / 'proc'}", "--no-collector.host")
    running.wait_until(lambda s: s.value(ROWS, pid="4248", process="first"))
    enter("renamed", 1000)  # the same process calls itself something else: no new series
    enter("second", 2000)
    scrape = running.wait_until(lambda s: s.value(ROWS, pid="4248", process="second"))
    assert pids(scrape) == {"4248"}
    assert len(scrape.series(ROWS)) == 1


@pytest.mark.fault("proc-hidden")
def test_without_proc_nobody_is_named_and_gpus_are_metered_exactly(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    """F42: an empty folder, as a container or hidepid may show it; the driver lists processes still."""
    (tmp_path / "proc").mkdir()
    (gpu,) = add_idle(fake_nvml, "full")
    gpu.set_processes([Process(4248, 1 << 30, sm=50), Process(1, 1 << 20)])
    running = agent(f"--path.procfs={tmp_path / 'proc'}")
    load(running, [gpu], Constant(400))
    scrape = running.wait_until(lambda s: s.value("gputally_collector_success", collector="processes") == 0)
    assert pids(scrape) == set()
    assert_exact(running, [gpu])
    assert len(running.lines("source=node.processes")) == 1


def test_switched_off_the_driver_is_not_even_asked(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    gpu = fake_nvml.add_gpu()
    gpu.set_processes([Process(1, 1 << 30, sm=50)])
    running = agent("--no-collector.processes", "--no-collector.jobs")
    scrape = running.wait_until(lambda s: (s.value("gputally_samples_total") or 0) > 4 and is_up(s, gpu))
    assert not {name for name, _ in scrape.samples if name.startswith("gpu_process")}
    assert scrape.value("gputally_collector_success", collector="processes") is None
    assert not [name for name in fake_nvml.calls_by_function() if "Process" in name]


@pytest.mark.fault("driver-leaks")
def test_an_exporter_that_has_grown_too_far_renews_itself_and_counts_on(
    agent: Callable[..., RunningAgent],
    fake_nvml: FakeNvml,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """F15: a driver that leaks costs a restart in the same process, with the state saved before.

    In isolated mode, as the systemd unit starts it: the new process is as isolated as the first (F34).
    """
    for name in ("yaml", "psutil", "json", "gputally", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('foreign code was run')\n")
    start = tmp_path / "start"
    start.write_text(f'#!/bin/sh\ncd {tmp_path} && exec {sys.executable} -I -m gputally "$@"\n')
    start.chmod(0o755)
    monkeypatch.setattr(harness, "PROGRAM", start)
    (gpu,) = add_idle(fake_nvml, "full")
    running = agent(f"--memory.limit-bytes={64 << 20}", env={"PYTHONPATH": str(tmp_path)})
    load(running, [gpu], Square(100, 500, 0.4))
    scrape = running.wait_until(lambda s: (counted_mj(s, gpu) or 0) > 100_000)
    pid = running.pid
    began = scrape.value("process_start_time_seconds")
    with running.watch() as watch:
        fake_nvml.fault("nvmlDeviceGetUtilizationRates", gpu=0, leak_bytes=8 << 20)
        running.until(lambda: bool(running.lines("starting afresh")), 20, "it renews itself")
        fake_nvml.clear("nvmlDeviceGetUtilizationRates", gpu=0)
        scrape = running.wait_until(lambda s: uuid_of(gpu) in s.body)
    assert running.running
    assert running.pid == pid
    assert scrape.value("process_start_time_seconds") == began  # one process for the kernel and systemd
    assert (scrape.value("process_resident_memory_bytes") or 0) < 60 << 20
    assert len(running.lines("serving http on")) == 2
    energy = [value for _, value in watch.values("gpu_energy_joules_total", uuid=uuid_of(gpu))]
    known = [value for value in energy if value is not None]
    assert known == sorted(known)
    assert_exact(running, [gpu])
    assert not running.lines("crashed")
    assert not running.lines("foreign code")


@pytest.mark.fault("hostile-names")
def test_hostile_names_reach_a_real_prometheus_as_harmless_text(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path, prometheus: Prometheus
) -> None:
    """F17: nothing that a process calls itself costs the scrape, and nothing unprintable passes."""
    gpu = fake_nvml.add_gpu(name=b'a "quoted\\ card\xff')
    running = agent(f"--web.listen-address={prometheus.target}")
    query = prometheus.query
    with running_programs(tmp_path / "programs", list(HOSTILE)) as children:
        gpu.set_processes(Process(child.pid, 1 << 20) for child in children)
        running.wait_until(lambda s: len(pids(s)) == len(HOSTILE))
        running.until(lambda: len(query(ROWS)) == len(HOSTILE), 20, "Prometheus has every process")
        assert [series["value"] for series in query("up")] == ["1"]
        shown = {series["pid"]: series["process"] for series in query(ROWS)}
        (info,) = query("gpu_info")
    names = {name: shown[str(child.pid)] for name, child in zip(HOSTILE, children, strict=True)}
    assert all(text.isprintable() and 0 < len(text) <= 15 for text in names.values()), names
    assert names[b'quote" }'] == 'quote" }'
    assert names[b"new\nline 1 2"] == "new_line 1 2"
    assert names[b"back\\slash\\n"] == "back\\slash\\n"
    assert names[b"a) R 1 (b"] == "a) R 1 (b"
    assert names["naïve é€".encode()] == "naïve é€"
    assert names[b"\xff\xfe"] == "\ufffd\ufffd"
    assert info["name"] == 'a "quoted\\ card\ufffd'
