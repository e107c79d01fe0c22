"""A fake driver in this process, on a clock that the test moves, and NVML sources that read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from gputally.model import Instant, Reading
from gputally.node.sources.nvml import NvmlSource
from tests.fakenvml import FakeNvml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gputally.node.sources.protocol import Reader


@dataclass
class Bench:
    """What a test has on its table."""

    fake: FakeNvml
    folder: Path
    sources: list[NvmlSource] = field(default_factory=list)

    def clock(self) -> Instant:
        """The fake's clocks."""
        return Instant(self.fake.now_ns(), self.fake.wall_us() * 1000)

    def source(self, **options: Any) -> NvmlSource:
        """A source that is not open yet; it sees the test's own /proc and /sys."""
        roots = {"proc_root": self.folder / "proc", "sys_root": self.folder / "sys"}
        source = NvmlSource(clock=self.clock, **{**roots, **options})
        self.sources.append(source)
        return source

    def opened(self, **options: Any) -> NvmlSource:
        """An open source."""
        source = self.source(**options)
        source.open()
        return source

    def reader(self, **options: Any) -> Reader:
        """The reader of the only or first GPU of a new source, described as the sampler does it."""
        reader = self.opened(**options).readers()[0]
        reader.describe()
        return reader

    def tick(self, reader: Reader, seconds: float = 1.0, *, slow: bool = False) -> Reading:
        """One reading, a tick later."""
        self.fake.advance(seconds)
        return reader.read(slow=slow)[reader.uuids[0]]


@pytest.fixture
def bench(fake_nvml_library: Path, tmp_path: Path) -> Iterator[Bench]:
    """No GPUs yet."""
    with FakeNvml(tmp_path / "control", library=fake_nvml_library, virtual=True) as fake:
        fake.load_in_process()
        bench = Bench(fake, tmp_path)
        yield bench
        for gpu in (None, *range(fake.raw.gpu_slots)):
            fake.clear(gpu=gpu)
        for source in bench.sources:
            source.close()
