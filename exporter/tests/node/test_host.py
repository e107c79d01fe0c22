"""The host's counters are the kernel's, filtered and bounded; what is missing costs its own family alone."""

import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.model import HostCounters, Instant
from gputally.node.host import CAP, Bounded, Forward, HostReader
from gputally.node.hostfiles import parse_disks, parse_links
from gputally.node.rapl import RaplReader, energy_step_uj

FIXTURE = Path(__file__).parent / "fixtures/host/proc"
SECOND = 1_000_000_000
RANGE_UJ = 262_143_328_850


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> Instant:
        return Instant(int(self.seconds * SECOND), int(self.seconds * SECOND))


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURE, tmp_path / "proc"))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def zone(sys_root: Path, folder: str, name: str, energy_uj: int) -> Path:
    path = sys_root / "class/powercap" / folder
    write(path / "name", name)
    write(path / "max_energy_range_uj", str(RANGE_UJ))
    write(path / "energy_uj", str(energy_uj))
    return path / "energy_uj"


def sensor(sys_root: Path, chip: int, driver: str, *sensors: tuple[str, int]) -> None:
    folder = sys_root / f"class/hwmon/hwmon{chip}"
    write(folder / "name", driver)
    for number, (label, millidegrees) in enumerate(sensors, 1):
        write(folder / f"temp{number}_label", label)
        write(folder / f"temp{number}_input", str(millidegrees))


def test_a_recorded_machine_is_read_to_the_last_figure(tmp_path: Path) -> None:
    host = HostReader(FIXTURE, tmp_path).read()
    assert host.cpu_seconds == {
        "user": 10_000,
        "nice": 20,
        "system": 3_000,
        "idle": 900_000,
        "iowait": 40,
        "irq": 0,
        "softirq": 50,
        "steal": 6,
    }
    assert host.cpus == 3
    assert host.load_average == {"1m": 96.5, "5m": 88.25, "15m": 71.0}
    assert host.memory_total_bytes == 1_056_000_000 * 1024
    assert host.memory_available_bytes == 800_000_000 * 1024
    assert host.memory_used_bytes == 256_000_000 * 1024
    assert (host.swap_total_bytes, host.swap_used_bytes) == (8_000_000 * 1024, 1_000_000 * 1024)
    assert host.disk_read_bytes == {
        "nvme0n1": 2000 * 512,
        "sda": 80 * 512,
        "sdb": 0,
        "xvdf1": 8 * 512,  # its whole disk is not there
        "mmcblk0": 10 * 512,
    }
    assert host.disk_written_bytes["nvme0n1"] == 4000 * 512
    assert host.network_receive_bytes == {"eth0": 123456789, "ib0": 2**64 - 1, "longcat": 8}
    assert host.network_transmit_bytes == {"eth0": 987654321, "ib0": 7, "longcat": 9}
    assert host.uptime_seconds == 8_640_000.25


def test_the_machine_that_runs_this_is_read_as_psutil_reads_it() -> None:
    reader = HostReader()
    host, memory, network = reader.read(), psutil.virtual_memory(), psutil.net_io_counters(pernic=True)
    assert host.memory_total_bytes == memory.total
    assert host.memory_available_bytes == pytest.approx(memory.available, rel=0.1)
    assert host.cpus == psutil.cpu_count()
    assert host.cpu_seconds["user"] == pytest.approx(psutil.cpu_times().user, rel=0.05, abs=5)
    assert host.swap_total_bytes == psutil.swap_memory().total
    assert host.uptime_seconds == pytest.approx(time.time() - psutil.boot_time(), abs=60)
    for name, received in host.network_receive_bytes.items():
        assert received == pytest.approx(network[name].bytes_recv, rel=0.5, abs=1 << 24)
    disks = psutil.disk_io_counters(perdisk=True)
    for name, read in host.disk_read_bytes.items():
        assert read == pytest.approx(disks[name].read_bytes, rel=0.5, abs=1 << 28)
    assert set(reader.absent) <= {"energy", "temperature"}


def test_a_read_costs_less_than_two_milliseconds_of_cpu() -> None:
    """About 0.2 ms on one core."""
    reader = HostReader()
    reader.read()
    reads = 50
    began = time.thread_time()
    for _ in range(reads):
        reader.read()
    assert (time.thread_time() - began) / reads < 0.002


MEMORY = (
    "memory_total_bytes",
    "memory_available_bytes",
    "memory_used_bytes",
    "swap_total_bytes",
    "swap_used_bytes",
)
FAMILIES = [
    ("stat", "cpu", ("cpu_seconds", "cpus")),
    ("loadavg", "load", ("load_average",)),
    ("meminfo", "memory", MEMORY),
    ("diskstats", "disk", ("disk_read_bytes", "disk_written_bytes")),
    ("net/dev", "network", ("network_receive_bytes", "network_transmit_bytes")),
    ("uptime", "uptime", ("uptime_seconds",)),
]
HARM = [None, b"cpu", b"x y z\nx y z\nx y z\n", b"\n\n\x00\xff:\x00\xff\n"]


@pytest.mark.fault("host-files-broken")
@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize(("file", "family", "fields"), FAMILIES)
def test_a_missing_or_broken_file_loses_its_own_family_only(
    proc: Path, file: str, family: str, fields: tuple[str, ...], harm: bytes | None
) -> None:
    whole, nothing = HostReader(proc, proc).read(), HostCounters()
    (proc / file).unlink()
    if harm is not None:
        (proc / file).write_bytes(harm)
    reader = HostReader(proc, proc)
    assert reader.read() == replace(whole, **{field: getattr(nothing, field) for field in fields})
    no_lines = file == "net/dev" and harm == b"cpu"  # shorter than its headings: no interface, no fault
    assert set(reader.absent) == {"energy", "temperature"} | (set() if no_lines else {family})


@pytest.mark.fault("host-files-broken")
def test_a_count_below_zero_is_no_new_beginning_of_a_counter(proc: Path) -> None:
    """It would be added to what was shown before."""
    reader, good = HostReader(proc, proc), (proc / "stat").read_text()
    before = reader.read().cpu_seconds
    head, user, rest = good.split(maxsplit=2)
    (proc / "stat").write_text(f"{head} -{user} {rest}")
    assert reader.read().cpu_seconds == {}
    assert "is no count" in reader.absent["cpu"]
    (proc / "stat").write_text(good)
    assert reader.read().cpu_seconds == before


def test_why_a_family_is_absent_is_said_once_and_its_return_too(
    proc: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (proc / "loadavg").rename(proc / "away")
    reader = HostReader(proc, proc)
    for _ in range(5):
        reader.read()
    assert reader.absent["load"] == f"{proc}/loadavg: No such file or directory"
    assert len([r for r in caplog.records if "load" in r.getMessage()]) == 1
    (proc / "away").rename(proc / "loadavg")
    assert reader.read().load_average["1m"] == 96.5
    assert "load" not in reader.absent
    assert caplog.records[-1].getMessage() == "host figures are back: load"


def test_cpu_time_never_steps_back(proc: Path) -> None:
    reader = HostReader(proc, proc)
    stat = (proc / "stat").read_text()
    shown = [reader.read().cpu_seconds]
    for idle, iowait in ((90000100, 3990), (90000100, 3999), (90000100, 4001), (50, 5), (150, 25)):
        (proc / "stat").write_text(stat.replace(" 90000000 4000 ", f" {idle} {iowait} "))
        shown.append(reader.read().cpu_seconds)
    assert [s["iowait"] for s in shown] == pytest.approx([40, 40, 40, 40.01, 40.01, 40.21])
    assert [s["idle"] for s in shown] == pytest.approx([900_000, *[900_001] * 4, 900_002])
    assert shown[-1]["user"] == 10_000


@pytest.mark.fault("host-files-broken")
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_followed_counters_never_fall_whatever_the_kernel_says(values: list[float]) -> None:
    forward = Forward(3.0)
    shown = [forward.follow({"idle": value})["idle"] for value in values]
    assert all(later >= earlier - 1e-6 for earlier, later in pairwise(shown))
    assert shown[0] == values[0]


def test_devices_beyond_the_bound_are_summed_and_their_sum_never_falls() -> None:
    bounded = Bounded(2)
    assert bounded.bound({"a": (10, 1), "b": (20, 2)}) == {"a": (10, 1), "b": (20, 2)}
    first = bounded.bound({"c": (1000, 500), "a": (11, 1), "b": (20, 2), "d": (7, 7)})
    assert first == {"a": (11, 1), "b": (20, 2), "other": (0, 0)}
    second = bounded.bound({"c": (1005, 501), "a": (11, 1), "b": (20, 2), "d": (8, 7)})
    assert second["other"] == (6, 1)
    third = bounded.bound({"c": (1005, 501), "b": (20, 2), "other": (9, 9)})  # a and d have gone
    assert third == {"b": (20, 2), "c": (1005, 501), "other": (6, 1)}
    fourth = bounded.bound({"c": (1006, 501), "b": (20, 2), "other": (10, 9)})
    assert fourth["other"] == (7, 1)


def test_a_machine_with_hundreds_of_devices_shows_64_and_other(proc: Path) -> None:
    lines = "".join(f"  eth{n}: {n} 0 0 0 0 0 0 0 {n} 0 0 0 0 0 0 0\n" for n in range(500))
    (proc / "net/dev").write_text("heading\nheading\n" + lines)
    reader = HostReader(proc, proc)
    for _ in range(3):
        links = reader.read().network_receive_bytes
    assert len(links) == CAP + 1
    assert links["other"] == 0


def test_in_a_container_that_sees_the_machines_processes_the_network_is_the_machines(proc: Path) -> None:
    write(proc / "1/net/dev", "heading\nheading\n  eth7: 70 0 0 0 0 0 0 0 7 0 0 0 0 0 0 0")
    assert HostReader(proc, proc).read().network_receive_bytes == {"eth7": 70}


@given(
    st.lists(
        st.text(st.characters(exclude_characters=" \t\r\n\v\f:/\x1c\x1d\x1e\x85"), min_size=1, max_size=15)
    )
)
def test_interface_names_of_any_bytes_become_labels(names: list[str]) -> None:
    table = "a\nb\n" + "".join(f"{name}: 1 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0\n" for name in names)
    for label in parse_links(table.encode(errors="surrogatepass")):
        assert label.isprintable()


def test_a_disk_of_an_unknown_kind_is_kept() -> None:
    line = b"1 0 %s 1 0 2 1 1 0 4 1 0 1 1\n"
    names = (b"rbd0", b"nbd0", b"nbd0p1", b"dasda", b"dasda1", b"pmem0", b"vda", b"vda15", b"drbd1")
    disks = parse_disks(b"".join(line % name for name in names))
    assert set(disks) == {"rbd0", "nbd0", "dasda", "pmem0", "vda", "drbd1"}


def test_package_energy_is_counted_from_zero_and_over_a_wrap(tmp_path: Path) -> None:
    clock = Hands()
    package = zone(tmp_path, "intel-rapl:0", "package-0", RANGE_UJ - 100_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 5)
    dram = zone(tmp_path, "intel-rapl:0:1", "dram", 7_000_000)
    zone(tmp_path, "intel-rapl:1", "psys", 5)
    zone(tmp_path, "intel-rapl:2", "package-1-die-0", 5)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 5)
    reader = RaplReader(tmp_path, clock)
    assert reader.read() == {"package-0": 0, "dram-0": 0, "package-1-die-0": 0}
    clock.seconds += 1
    write(package, str(RANGE_UJ - 1))
    write(dram, "47000000")
    assert reader.read() == pytest.approx({"package-0": 99.999999, "dram-0": 40, "package-1-die-0": 0})
    clock.seconds += 1
    write(package, "250000000")
    assert reader.read()["package-0"] == pytest.approx(350.0)


def test_energy_goes_on_from_what_was_saved(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 123)
    assert RaplReader(tmp_path, Hands(), {"package-0": 1234.5}).read() == {"package-0": 1234.5}


def test_a_counter_that_began_again_is_no_wrap(tmp_path: Path) -> None:
    """After a suspend the counter is back at zero; a wrap would claim 250 kJ in one second."""
    clock = Hands()
    package = zone(tmp_path, "intel-rapl:0", "package-0", 10_000_000_000)
    reader = RaplReader(tmp_path, clock)
    reader.read()
    for raw_uj, joules in ((50_000_000, 0.0), (90_000_000, 40.0)):
        clock.seconds += 1
        write(package, str(raw_uj))
        assert reader.read() == {"package-0": joules}


@given(
    st.integers(0, RANGE_UJ),
    st.lists(st.tuples(st.floats(0.25, 60), st.floats(0, 1500)), min_size=1, max_size=50),
)
def test_any_power_up_to_the_limit_is_counted_exactly(
    start_uj: int, steps: list[tuple[float, float]]
) -> None:
    truth = counted = 0
    for seconds, watts in steps:
        step_uj = int(seconds * watts * 1e6)
        before, after = (start_uj + truth) % RANGE_UJ, (start_uj + truth + step_uj) % RANGE_UJ
        truth += step_uj
        counted += energy_step_uj(before, after, RANGE_UJ, seconds)
    assert counted == truth


@pytest.mark.fault("host-files-broken")
def test_counters_that_only_root_may_read_are_absent_with_a_reason(
    tmp_path: Path, proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 5)
    reader = HostReader(proc, tmp_path)
    if os.geteuid() == 0:  # nothing is forbidden to root, so the refusal is staged
        real = Path.read_bytes

        def refuse(path: Path) -> bytes:
            if path == package:
                raise PermissionError(13, "Permission denied", str(path))
            return real(path)

        monkeypatch.setattr(Path, "read_bytes", refuse)
    else:
        package.chmod(0)
    assert not reader.read().energy_joules
    assert reader.absent["energy"] == f"not permitted to read {package}"


def test_energy_comes_back_after_the_driver_was_loaded_again(tmp_path: Path) -> None:
    clock = Hands()
    package = zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    reader = RaplReader(tmp_path, clock)
    reader.read()
    package.unlink()
    with pytest.raises(FileNotFoundError):
        reader.read()
    clock.seconds += 10
    write(package, "2000000000")
    assert reader.read() == {"package-0": 0}
    clock.seconds += 1
    write(package, "2000500000")
    assert reader.read() == {"package-0": 0.5}


def test_a_domain_that_fails_for_a_moment_loses_nothing(tmp_path: Path) -> None:
    clock = Hands()
    first = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    second = zone(tmp_path, "intel-rapl:1", "package-1", 0)
    reader = RaplReader(tmp_path, clock)
    reader.read()
    second.unlink()
    assert set(reader.read()) == {"package-0"}
    clock.seconds += 1
    write(first, "30000000")
    write(second, "20000000")
    assert reader.read() == {"package-0": 30, "package-1": 20}


@pytest.mark.parametrize(
    ("chips", "expected"),
    [
        (
            [("nvme", ("Composite", 40000)), ("coretemp", ("Package id 0", 61000), ("Core 0", 55000))],
            {"package-0": 61},
        ),
        (
            [("coretemp", ("Package id 0", 61000)), ("coretemp", ("Package id 1", 62500))],
            {"package-0": 61, "package-1": 62.5},
        ),
        ([("k10temp", ("Tctl", 90000), ("Tdie", 63000), ("Tccd1", 60000))], {"package-0": 63}),
        ([("k10temp", ("Tctl", 71250), ("Tccd1", 60000))], {"package-0": 71.25}),
        ([("k10temp", ("Tctl", -273000))], {}),
    ],
)
def test_only_the_temperature_of_each_package_is_read(
    tmp_path: Path, chips: list[tuple[str, *tuple[tuple[str, int], ...]]], expected: dict[str, float]
) -> None:
    for number, (driver, *sensors) in enumerate(chips):
        sensor(tmp_path, number, driver, *sensors)
    assert HostReader(FIXTURE, tmp_path).read().temperature_c == expected


def test_a_machine_without_sensors_says_so_and_looks_again_later(tmp_path: Path) -> None:
    sensor(tmp_path, 0, "nvme", ("Composite", 40000))
    reader = HostReader(FIXTURE, tmp_path)
    reader.read()
    assert reader.absent["temperature"] == f"{tmp_path}/class/hwmon: no CPU temperature sensor"
    sensor(tmp_path, 1, "coretemp", ("Package id 0", 61000))
    temperatures = [reader.read().temperature_c for _ in range(70)]
    assert temperatures[-1] == {"package-0": 61}


def _no_files(root: Path) -> HostReader:
    return HostReader(root / "nothing", root / "nothing")


def _folders_for_files(root: Path) -> HostReader:
    for name in ("stat", "loadavg", "meminfo", "diskstats", "net/dev", "uptime"):
        (root / name).mkdir(parents=True)
    return HostReader(root, root)


@pytest.mark.fault("host-files-broken")
@pytest.mark.parametrize("build", [_no_files, _folders_for_files])
def test_without_proc_and_sys_there_is_nothing_and_a_reason_for_each(
    tmp_path: Path, build: Callable[[Path], HostReader]
) -> None:
    reader = build(tmp_path)
    assert reader.read() == HostCounters()
    assert len(reader.absent) == 8
