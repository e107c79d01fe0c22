"""The kernel's files about the host with anything in any place: figures that can be, or none."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gputally.node.host import HostReader
from tests.node.hostfiles import FILES, FIXTURE

ODD = st.sampled_from(
    [
        *(
            "",
            "0",
            "-1",
            "1e400",
            "nan",
            "inf",
            "-inf",
            "18446744073709551615",
            "340282366920938463463374607431768211456",
        ),
        *(
            "1_000",
            "\u0663",
            "0x10",
            "1.5",
            ":",
            "kB",
            "cpu",
            "cpu0",
            "eth0:",
            "eth1:7",
            "sda",
            "nvme0n1p1",
            "\x00",
            "x" * 300,
            "9" * 400,
        ),
    ]
)


@pytest.fixture(scope="module")
def proc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(FIXTURE, tmp_path_factory.mktemp("any-text") / "proc"))


@st.composite
def spoiled(draw: st.DrawFn, text: str) -> bytes:
    """A file with up to four words that are others, lines that are gone, or another end."""
    lines = [line.split(" ") for line in text.split("\n")]
    for _ in range(draw(st.integers(1, 4))):
        line = draw(st.sampled_from(lines))
        line[draw(st.integers(0, len(line) - 1))] = draw(ODD)
    if draw(st.booleans()):
        del lines[draw(st.integers(0, len(lines) - 1))]
    whole = "\n".join(" ".join(line) for line in lines).encode()
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.integers(0, 4)) == 0 else whole


@pytest.mark.fault("host-files-broken")
@settings(max_examples=300, deadline=1_000, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_text_gives_figures_that_can_be_or_none(proc: Path, data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(FILES))
    good = (FIXTURE / file).read_text()
    text = data.draw(st.one_of(spoiled(good), st.binary(max_size=200)))
    (proc / file).write_bytes(text)
    try:
        reader = HostReader(proc, proc)
        for host in (reader.read(), reader.read()):
            figures = [
                *host.cpu_seconds.values(),
                *host.load_average.values(),
                host.uptime_seconds,
                host.cpus,
            ]
            figures += [
                host.memory_total_bytes,
                host.memory_used_bytes,
                host.swap_total_bytes,
                host.swap_used_bytes,
            ]
            for counters in (host.disk_read_bytes, host.disk_written_bytes, host.network_receive_bytes):
                assert all(name.isprintable() and len(name) <= 128 for name in counters)
                figures += counters.values()
            known = [figure for figure in figures if figure is not None]
            assert all(math.isfinite(figure) and figure >= 0 for figure in known)
            assert all("\n" not in reason for reason in reader.absent.values())
    finally:
        (proc / file).write_text(good)
