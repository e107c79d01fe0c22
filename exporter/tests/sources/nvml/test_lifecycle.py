"""Opening, closing, upgrading, forking, sleeping: the driver's life around the readings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pynvml
import pytest

import gputally
from gputally.node.sources.nvml import NvmlSource
from gputally.node.sources.nvml.sleeping import sysfs_address
from gputally.node.sources.protocol import Reader, Source, SourceError, Unavailable, VersionMismatch

if TYPE_CHECKING:
    from tests.fakenvml import FakeNvml

    from .conftest import Bench

EXPORTER = Path(gputally.__file__).parents[1]


def run(code: str, environment: dict[str, str]) -> str:
    """What a Python program prints that finds the driver by this environment."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": str(EXPORTER), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_source_is_what_the_node_expects(bench: Bench) -> None:
    """The protocols, checked by assignment for mypy and by use here."""
    source: Source = bench.source()
    assert source.name == "nvml"
    bench.fake.add_gpu()
    source.open()
    reader: Reader = source.readers()[0]
    assert reader.uuids == ("GPU-00000000-0000-4000-8000-000000000000",)
    assert reader.key.startswith(reader.uuids[0])


def test_closing_gives_everything_back_to_the_driver(bench: Bench) -> None:
    """So that a GPU can be reset, sliced or unbound; opening again brings new readers."""
    bench.fake.add_gpu()
    source = bench.opened(gpm=True)
    reader = source.readers()[0]
    bench.tick(reader, slow=True)
    raw = bench.fake.raw
    assert (bench.fake.open_inits, raw.event_sets, raw.gpm_samples) == (1, 1, 2)
    source.close()
    assert (bench.fake.open_inits, raw.event_sets, raw.gpm_samples) == (0, 0, 0)
    source.close()
    reader.close()
    assert bench.fake.open_inits == 0
    with pytest.raises(Unavailable) as caught:
        reader.read(slow=False)
    assert caught.value.reason == "closed"
    source.open()
    with pytest.raises(Unavailable):
        reader.read(slow=False)
    assert bench.fake.raw.event_sets == 0
    assert source.readers()[0].key != reader.key
    assert bench.tick(source.readers()[0], slow=True).failed == {}


def test_a_reader_closed_by_the_node_frees_its_own_and_no_more(bench: Bench) -> None:
    """As when its GPU has left."""
    bench.fake.add_gpu()
    bench.fake.add_gpu()
    source = bench.opened(gpm=True)
    for reader in source.readers():
        bench.tick(reader, slow=True)
    source.readers()[0].close()
    assert (bench.fake.raw.event_sets, bench.fake.raw.gpm_samples) == (1, 2)
    assert bench.tick(source.readers()[1], slow=True).failed == {}


def test_many_epochs_leak_nothing(bench: Bench) -> None:
    """Without nvmlShutdown for each nvmlInit it ends in a hang after hours."""
    bench.fake.add_gpu()
    for _ in range(30):
        source = bench.opened(gpm=True)
        bench.tick(source.readers()[0], slow=True)
        source.close()
    assert (bench.fake.open_inits, bench.fake.raw.event_sets, bench.fake.raw.gpm_samples) == (0, 0, 0)


def test_an_open_that_fails_half_way_is_shut_down(bench: Bench) -> None:
    """The next one must not find NVML already open."""
    bench.fake.fault("nvmlDeviceGetCount_v2", code=4)
    with pytest.raises(Unavailable):
        bench.source().open()
    assert bench.fake.open_inits == 0


@pytest.mark.parametrize(
    ("code", "error", "reason", "said"),
    [
        (9, Unavailable, "driver_not_loaded", "kernel module is not loaded"),
        (4, Unavailable, "no_permission", "no permission"),
        (18, VersionMismatch, "version_mismatch", "different versions"),
        (999, Unavailable, "unknown", "/dev/nvidiactl"),
        (12, Unavailable, "library_not_found", "no NVIDIA driver"),
        (77, Unavailable, "unrecognised_code", "could not be opened"),
    ],
)
def test_a_driver_that_does_not_open_is_explained_in_a_sentence(
    bench: Bench, code: int, error: type[SourceError], reason: str, said: str
) -> None:
    """With the word for the label; trying again later works."""
    bench.fake.fault("nvmlInitWithFlags", code=code)
    source = bench.source()
    with pytest.raises(error, match=said) as caught:
        source.open()
    assert caught.value.reason == reason
    bench.fake.clear("nvmlInitWithFlags")
    source.open()


def test_without_a_driver_library_the_source_is_unavailable(tmp_path: Path) -> None:
    """In a process that cannot find one; another without pynvml says that."""
    code = """
        import sys
        {before}
        from gputally.node.sources.nvml import NvmlSource
        from gputally.node.sources.protocol import Unavailable
        try:
            NvmlSource().open()
        except Unavailable as error:
            print(error.reason)
    """
    nothing = {"LD_LIBRARY_PATH": str(tmp_path)}
    assert run(code.format(before=""), nothing) == "library_not_found"
    assert run(code.format(before="sys.modules['pynvml'] = None"), nothing) == "pynvml_missing"


def test_pynvml_is_imported_when_the_driver_is_opened_and_not_before() -> None:
    """`--help`, and a machine without the driver, pay nothing for it."""
    code = """
        import sys
        from gputally.node.sources.nvml import NvmlSource
        NvmlSource()
        print("pynvml" in sys.modules)
    """
    assert run(code, {}) == "False"


UPGRADE = """
    import os, shutil, sys
    from gputally.model import Instant
    from gputally.node.sources.nvml import NvmlSource
    from gputally.node.sources.protocol import VersionMismatch
    now = [1]
    source = NvmlSource(clock=lambda: Instant(now[0] * 10**9, now[0] * 10**9))
    print(len(source.open().gpus), end=" ")
    {change}
    for second in range(2, 14):
        now[0] = second
        try:
            source.scan()
        except VersionMismatch as error:
            print(error.reason, second <= 7, end=" ")
            break
    else:
        print("same", end=" ")
    source.close()
"""
REPLACE = "shutil.copy(library, library + '.new'); os.replace(library + '.new', library)"
REPOINT = "os.symlink('libnvidia-ml.so.590', library + '.new'); os.replace(library + '.new', library)"


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ("pass", "same"),
        (REPLACE, "version_mismatch True"),
        (REPOINT, "version_mismatch True"),
        ("os.unlink(library)", "same"),
    ],
    ids=["untouched", "replaced", "link_moved", "removed"],
)
def test_a_library_that_was_replaced_on_disk_asks_for_a_new_process(
    fake_nvml: FakeNvml, tmp_path: Path, change: str, outcome: str
) -> None:
    """Within seconds. One that was only removed does not: there is nothing to load instead."""
    fake_nvml.add_gpu()
    folder = tmp_path / "driver"
    folder.mkdir()
    for version in ("580", "590"):
        shutil.copy(fake_nvml.library, folder / f"libnvidia-ml.so.{version}")
    (folder / "libnvidia-ml.so.1").symlink_to("libnvidia-ml.so.580")
    if change == REPLACE:
        (folder / "libnvidia-ml.so.1").unlink()
        shutil.copy(fake_nvml.library, folder / "libnvidia-ml.so.1")
    library = str(folder / "libnvidia-ml.so.1")
    code = UPGRADE.format(change=f"library = {library!r}; {change}")
    assert run(code, {**fake_nvml.env, "LD_LIBRARY_PATH": str(folder)}) == f"1 {outcome}"


@pytest.mark.fault("fork-after-open")
def test_a_forked_child_does_not_touch_the_drivers_handle(fake_nvml: FakeNvml) -> None:
    """It neither calls nor shuts down; the parent goes on."""
    fake_nvml.add_gpu()
    code = """
        import os, sys
        from gputally.node.sources.nvml import NvmlSource
        from gputally.node.sources.protocol import Unavailable
        source = NvmlSource()
        source.open()
        reader = source.readers()[0]
        reader.read(slow=True)
        child = os.fork()
        if child == 0:
            reasons = []
            for call in (source.scan, reader.describe, lambda: reader.read(slow=False)):
                try:
                    call()
                except Unavailable as error:
                    reasons.append(error.reason)
            reader.close()
            source.close()
            os._exit(0 if reasons == ["forked"] * 3 else 1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(status, reader.read(slow=True)[reader.uuids[0]].failed)
        source.close()
    """
    assert run(code, fake_nvml.env) == "0 {}"
    assert fake_nvml.calls("nvmlShutdown") == 1
    assert fake_nvml.calls("nvmlEventSetFree") == 1


def sleep_files(bench: Bench, *, control: str, status: str) -> Path:
    """The kernel's runtime power management of the GPU at 10:00.0."""
    folder = bench.folder / "sys" / "bus" / "pci" / "devices" / "0000:10:00.0" / "power"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "control").write_text(f"{control}\n")
    (folder / "runtime_status").write_text(f"{status}\n")
    return folder


def test_a_sleeping_gpu_is_not_woken(bench: Bench) -> None:
    """Not by a read, a description or a closer look; it is read again once something else woke it."""
    bench.fake.add_gpu()
    sleep_files(bench, control="auto", status="active")
    source = bench.opened()
    reader = source.readers()[0]
    reader.describe()
    sleep_files(bench, control="auto", status="suspended")
    bench.fake.reset_calls()
    for call in (reader.describe, lambda: reader.read(slow=True)):
        with pytest.raises(SourceError) as caught:
            call()
        assert caught.value.reason == "suspended"
    bench.fake.advance(60)
    source.scan()
    assert bench.fake.calls(gpu=0) == 0
    sleep_files(bench, control="auto", status="active")
    assert bench.tick(reader, slow=True).failed == {}


def test_a_gpu_that_never_sleeps_costs_no_look_at_its_state(bench: Bench) -> None:
    """On servers the control file says `on`, and what the status file says is not read."""
    bench.fake.add_gpu()
    sleep_files(bench, control="on", status="suspended")
    assert bench.tick(bench.reader()).failed == {}


@pytest.mark.parametrize(
    ("driver", "kernel"),
    [
        ("00000000:3B:00.0", "0000:3b:00.0"),
        ("00010000:0A:00.0", "10000:0a:00.0"),
        ("", None),
        ("x:00:00.0", None),
    ],
)
def test_the_drivers_pci_address_is_found_in_sysfs(driver: str, kernel: str | None) -> None:
    """Eight digits of domain there, four here, more only if it needs them."""
    assert sysfs_address(driver) == kernel


def test_an_older_pynvml_with_fewer_names_is_enough(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Layouts and numbers are not taken from it."""
    for name in dir(pynvml):
        if name.startswith(("c_nvml", "NVML_FI_", "NVML_GPM", "nvmlDevice", "nvmlGpm")):
            monkeypatch.delattr(pynvml, name)
    bench.fake.add_gpu()
    assert bench.tick(bench.reader(gpm=True), slow=True).failed == {}


def test_options_have_the_defaults_of_the_command_line() -> None:
    """The real /proc and /sys, processes on, the two costly collectors off."""
    options = NvmlSource()._options
    assert (options.proc_root, options.sys_root) == (Path("/proc"), Path("/sys"))
    assert (options.processes, options.gpm, options.nvlink_links) == (True, False, False)
