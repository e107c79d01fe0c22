"""The sampler on sources that are scripted call by call, and a clock that the test moves."""

from queue import SimpleQueue

import pytest

from gputally.model import Description, Driver, FastReading, Gpu, Instant, Inventory, Reading
from gputally.node.crew import Crew
from gputally.node.persistence import Persistence
from gputally.node.roster import Roster
from gputally.node.sampler import Sampler
from gputally.node.session import BETTER_SECONDS, Session
from gputally.node.sources.protocol import Choice, SourceError, Unavailable

GPU = Gpu("GPU-1", "0")


class Scripted:
    """A source with one GPU, whose counter the test turns; also its own reader."""

    key = "scripted"
    uuids = (GPU.uuid,)

    def __init__(self, name):
        self.name = name
        self.there = True
        self.opened = self.closed = 0
        self.hw_mj = 1_000_000
        self.error = None
        self.busy = 1.0

    def open(self):
        if not self.there:
            raise Unavailable(f"{self.name} is not there")
        self.opened += 1
        return self.scan()

    def scan(self):
        return Inventory(Driver(source=self.name), (GPU,))

    def readers(self):
        return [self]

    def describe(self):
        return {GPU.uuid: Description(name="A \x1b[31mred\u202e card", power_limit_max_w=700.0)}

    def read(self, *, slow):  # noqa: ARG002 - the protocol's argument
        if self.error:
            raise self.error
        energy_mj = self.hw_mj if self.name == "nvml" else None
        return {
            GPU.uuid: Reading(FastReading(power_w=500.0, energy_mj=energy_mj, utilization_ratio=self.busy))
        }

    def close(self):
        self.closed += 1


class Bench:
    """A sampler that ticks when told to."""

    def __init__(self, *sources, interval_seconds=1.0, folder=None):
        self.now_ns = 1_000 * 10**9
        outcomes = SimpleQueue()
        persistence = Persistence(folder, "boot")
        session = Session([Choice(s.name, lambda s=s: s) for s in sources], outcomes, self.clock)
        self.roster = Roster("boot", int(interval_seconds * 1e9), persistence)
        self.sampler = Sampler(
            session=session,
            crew=Crew(outcomes, self.clock),
            roster=self.roster,
            persistence=persistence,
            outcomes=outcomes,
            clock=self.clock,
            interval_seconds=interval_seconds,
            processes=None,
            host=None,
        )

    def clock(self):
        return Instant(self.now_ns, self.now_ns)

    def tick(self, times=1, seconds=1.0):
        for _ in range(times):
            self.sampler.tick()
            self.now_ns += int(seconds * 1e9)
        return self.sampler.latest

    @property
    def gpu(self):
        return self.sampler.latest.gpus[0]


def test_with_a_fallback_open_the_better_source_is_taken_as_soon_as_it_is_back():
    """And the counter goes on in both directions of the change."""
    nvml, smi = Scripted("nvml"), Scripted("nvidia-smi")
    nvml.there = False
    bench = Bench(nvml, smi)
    bench.tick(5)
    assert bench.sampler.latest.driver.source == "nvidia-smi"
    before = bench.gpu.counters.energy_joules
    nvml.there = True
    bench.tick(int(BETTER_SECONDS) + 3)
    assert bench.sampler.latest.driver.source == "nvml"
    assert smi.closed >= 1
    assert bench.gpu.counters.energy_joules >= before


def test_a_better_source_that_is_still_away_costs_the_fallback_nothing():
    nvml, smi = Scripted("nvml"), Scripted("nvidia-smi")
    nvml.there = False
    bench = Bench(nvml, smi)
    bench.tick(int(3 * BETTER_SECONDS))
    assert bench.gpu.up
    assert smi.opened == 1
    assert bench.sampler.latest.report.device_events["0", GPU.uuid, "lost"] == 0


def test_a_freeze_of_the_whole_process_is_not_held_against_the_gpus():
    bench = Bench(Scripted("nvml"))
    bench.tick(3)
    for _ in range(4):
        bench.now_ns += 60 * 10**9
        bench.tick(2)
        assert bench.gpu.up
    assert bench.sampler.latest.report.device_events["0", GPU.uuid, "lost"] == 0


def test_a_sleeping_gpu_is_down_but_nothing_is_wrong():
    source = Scripted("nvml")
    bench = Bench(source)
    bench.tick(3)
    source.error = SourceError("asleep", reason="suspended")
    report = bench.tick(20).report
    assert not bench.gpu.up
    assert bench.gpu.reason == "suspended"
    assert all(collector.success for collector in report.collectors)
    assert not report.sample_errors
    assert report.device_events["0", GPU.uuid, "lost"] == 0
    assert source.opened == 1  # opening the driver again would wake it


def test_a_shorter_interval_loses_no_busy_second_of_the_longer_one():
    bench = Bench(Scripted("nvml"), interval_seconds=30.0)
    bench.tick(3, seconds=30)
    before = bench.gpu.counters.busy_seconds
    bench.sampler.pace(1_000_000_000)
    bench.tick(5)
    assert bench.gpu.counters.busy_seconds == pytest.approx(before + 30 + 4)


def test_texts_of_the_driver_pass_the_sanitiser():
    bench = Bench(Scripted("nvml"))
    bench.tick(2)
    assert bench.gpu.description.name == "A _[31mred_ card"


def test_host_energy_begins_anew_when_an_older_state_had_to_be_read(tmp_path):
    """A spare file may be older than what was scraped; zero is a reset that increase() understands."""
    bench = Bench(Scripted("nvml"), folder=tmp_path)
    persistence = bench.sampler._persistence
    persistence.host_joules["package-0"] = 500.0
    bench.tick(15)
    persistence.host_joules["package-0"] = 600.0
    bench.tick(1)
    persistence._file.close()
    (tmp_path / "counters.json").write_bytes(b"torn")
    (tmp_path / "counters.json.1").write_bytes(b"torn")
    again = Persistence(tmp_path, "boot")
    assert again.recovered
    assert again.host_joules == {}
    assert again.events[GPU.uuid, "added"] == 1  # which does not change from tick to tick
