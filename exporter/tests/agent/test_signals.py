"""Signals at the wrong moment, too many of them, and configuration that is read again."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.agent.metering import add_idle, assert_exact, counted_mj, is_up, load, true_mj
from tests.cli.badconfig import BAD, as_bytes
from tests.fakenvml import Constant, Square

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeNvml

INTERVAL = "gputally_sample_interval_seconds"
RELOADED = "gputally_config_last_reload_success"
RELOADED_AT = "gputally_config_last_reload_successful_timestamp_seconds"
# A dozen of each kind: no YAML, keys, types, bounds, what only the web front can judge.
RELOADS = (
    *("empty", "latin-1", "tab", "anchor", "500 brackets", "10 MB", "unknown key"),
    *("duplicate at depth three", "section without value", "interval 249ms", "boolean yes", "port 65536"),
    "path of a health check",
)


def messages(running: RunningAgent, words: str) -> list[str]:
    """What the log says with these words, unquoted."""
    found = [re.search(r' msg=("(?:[^"\\]|\\.)*")$', line) for line in running.lines(words)]
    return [json.loads(match[1]) for match in found if match]


def is_paced(scrape: Scrape, seconds: float) -> bool:
    """Whether the sampler has another interval, and uses it."""
    return scrape.value(INTERVAL) == seconds


@pytest.mark.fault("signals-storm")
def test_a_storm_of_stop_signals_is_one_orderly_end(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """F32: status 0 within two seconds, with the state saved, however impatient somebody is."""
    (gpu,) = add_idle(fake_nvml, "full")
    running = agent()
    load(running, [gpu], Constant(500))
    for number in (signal.SIGTERM, signal.SIGINT):
        last = running.wait_until(lambda s: is_up(s, gpu) and (counted_mj(s, gpu) or 0) > 200_000)
        began = time.monotonic()
        while running.running:
            running.signal(number)
            time.sleep(0.002)
            assert time.monotonic() - began < 2.0
        assert running.wait() == 0
        assert not running.lines("Traceback")
        before_mj = true_mj(gpu)
        running.start()
        first = running.wait_until(lambda s: is_up(s, gpu))
        assert (counted_mj(first, gpu) or 0) >= max(before_mj, counted_mj(last, gpu) or 0)
    assert_exact(running, [gpu])


@pytest.mark.fault("signals-storm")
def test_a_stop_signal_during_the_start_ends_it_without_a_trace_of_trouble(
    new_agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    (gpu,) = add_idle(fake_nvml, "full")
    running = new_agent()
    for milliseconds in (0, 50, 100, 150, 200, 250, 300):
        running.start(serving=False)
        time.sleep(milliseconds / 1000)
        status, seconds = running.terminate()
        assert status in (0, -signal.SIGTERM)
        assert seconds < 2.0
    assert not running.lines("Traceback")
    running.start()
    load(running, [gpu], Constant(500))
    assert_exact(running, [gpu])


@pytest.mark.fault("signals-storm")
def test_a_storm_of_reloads_costs_no_scrape_and_the_last_file_wins(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    """F32: about a hundred SIGHUP a second, with a new file for each, good or bad."""
    (gpu,) = add_idle(fake_nvml, "full")
    file = tmp_path / "gputally.yml"
    file.write_text("node: {sample_interval: 250ms}\n")
    running = agent("--sample.interval=", f"--config.file={file}")
    load(running, [gpu], Square(100, 500, 0.3))
    with running.watch() as watch:
        for n in range(100):
            file.write_text(
                ("node: {sample_interval: 250ms}\n", "node: {sample_interval: 1s}\n", "node:\n")[n % 3]
            )
            running.signal(signal.SIGHUP)
            time.sleep(0.01)
        file.write_text("node: {sample_interval: 500ms}\n")
        running.signal(signal.SIGHUP)
        scrape = running.wait_until(lambda s: is_paced(s, 0.5))
    assert scrape.value(RELOADED, config="main") == 1
    watch.assert_served(within=0.3)
    watch.assert_no_decrease()
    assert_exact(running, [gpu])


@pytest.mark.fault("reload-bad")
def test_bad_files_keep_the_old_configuration_and_say_so(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    """F33: each with the line that names its place; the next good one counts again."""
    (gpu,) = add_idle(fake_nvml, "full")
    file = tmp_path / "gputally.yml"
    file.write_text("node: {sample_interval: 250ms}\nlog: {level: info}\n")
    running = agent("--sample.interval=", "--log.level=", f"--config.file={file}")
    load(running, [gpu], Square(100, 500, 0.3))
    loaded_at = running.value(RELOADED_AT, config="main")
    with running.watch() as watch:
        for number, name in enumerate(RELOADS, start=1):
            text, message = BAD[name]
            file.write_bytes(as_bytes(text))
            running.signal(signal.SIGHUP)
            running.until(lambda n=number: len(messages(running, "configuration kept")) == n, what=name)
            assert messages(running, "configuration kept")[-1] == f"configuration kept: {file}{message}"
        scrape = running.wait_until(lambda s: s.value(RELOADED, config="main") == 0)
        assert is_paced(scrape, 0.25)
        assert scrape.value(RELOADED_AT, config="main") == loaded_at
        file.unlink()
        running.signal(signal.SIGHUP)
        running.until(lambda: len(messages(running, "configuration kept")) == len(RELOADS) + 1)
        file.write_text("node: {sample_interval: 400ms}\nlog: {level: debug}\n")
        running.signal(signal.SIGHUP)
        scrape = running.wait_until(lambda s: s.value(RELOADED, config="main") == 1)
    assert is_paced(scrape, 0.4)
    assert (scrape.value(RELOADED_AT, config="main") or 0) > (loaded_at or 0)
    watch.assert_served(within=0.3)
    watch.assert_no_decrease()
    assert_exact(running, [gpu])


def ticks_within(running: RunningAgent, seconds: float) -> float:
    """How many samples are taken in a while."""
    before = running.value("gputally_samples_total") or 0
    time.sleep(seconds)
    return (running.value("gputally_samples_total") or 0) - before


def test_what_can_change_while_running_does_and_what_cannot_is_named(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    """The interval and the log level change at once; a flag still beats the file; the rest waits."""
    fake_nvml.add_gpu()
    file = tmp_path / "gputally.yml"
    file.write_text("{}\n")
    running = agent("--sample.interval=", "--log.format=logfmt", f"--config.file={file}")
    running.wait_until(lambda s: is_paced(s, 1.0) and s.value("gputally_samples_total"))
    file.write_text("node: {sample_interval: 250ms, source: nvtop}\nlog: {level: error, format: json}\n")
    running.signal(signal.SIGHUP)
    running.wait_until(lambda s: is_paced(s, 0.25))
    assert ticks_within(running, 1.0) >= 3
    assert messages(running, "takes effect at the next start") == [
        "source changed; it takes effect at the next start"
    ]
    assert messages(running, "configuration reloaded")  # --log.level=info is a flag of the test agent


def test_a_reload_without_a_file_changes_nothing(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    fake_nvml.add_gpu()
    running = agent()
    for _ in range(20):
        running.signal(signal.SIGHUP)
    ticks = running.value("gputally_samples_total") or 0
    scrape = running.wait_until(lambda s: (s.value("gputally_samples_total") or 0) > ticks + 1)
    assert scrape.value(RELOADED, config="main") == 1
    assert not running.lines("configuration")


@pytest.mark.fault("driver-blocks-reset")
def test_letting_go_of_the_driver_again_and_again_loses_no_energy(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """SIGUSR1, impatiently."""
    (gpu,) = add_idle(fake_nvml, "full")
    running = agent("--nvml.release=1s")
    load(running, [gpu], Constant(400))
    with running.watch() as watch:
        for _ in range(30):
            running.signal(signal.SIGUSR1)
            time.sleep(0.02)
        running.wait_until(lambda s: not is_up(s, gpu))
        assert fake_nvml.open_inits == 0
        running.wait_until(lambda s: is_up(s, gpu))
    watch.assert_served(within=0.3)
    watch.assert_no_decrease()
    assert_exact(running, [gpu])


@pytest.mark.fault("machine-sleeps")
def test_a_process_that_was_stopped_for_a_while_books_what_was_used_meanwhile(
    agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """SIGSTOP and SIGCONT, as a debugger or a frozen cgroup does."""
    (gpu,) = add_idle(fake_nvml, "full")
    running = agent()
    load(running, [gpu], Constant(400))
    running.wait_until(lambda s: (counted_mj(s, gpu) or 0) > 100_000)
    running.signal(signal.SIGSTOP)
    time.sleep(1.2)
    running.signal(signal.SIGCONT)
    running.wait_until(lambda s: (s.value("gputally_sample_gaps_total") or 0) >= 1)
    assert_exact(running, [gpu])


@pytest.mark.fault("streams-closed")
def test_a_reader_of_the_log_that_goes_away_does_not_take_the_exporter_along(
    new_agent: Callable[..., RunningAgent], fake_nvml: FakeNvml
) -> None:
    """SIGPIPE: as a signal, and as a pipe at standard error that nobody reads any more."""
    (gpu,) = add_idle(fake_nvml, "full")
    running = new_agent()
    running.start()
    command, env = running.process.args, running.env
    running.terminate()
    read, write = os.pipe()
    with os.fdopen(read, "rb") as reader:
        piped = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=write, stderr=write)
        os.close(write)
        address = next(m for line in reader if (m := re.search(rb"serving http on (\S+)", line)))
    running._process = piped
    with running.log_file.open("ab") as log:
        log.write(address[0] + b"\n")  # where the harness looks for it
    load(running, [gpu], Square(100, 500, 0.3))
    for number in (signal.SIGPIPE, signal.SIGHUP, signal.SIGPIPE):
        running.signal(number)
    fake_nvml.fault("nvmlDeviceGetTemperature", code=15, times=2)  # something to log
    assert_exact(running, [gpu])
    status, seconds = running.terminate()
    assert (status, seconds < 2.0) == (0, True)
