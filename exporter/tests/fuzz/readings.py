"""What programs print about GPUs: the whole source is run on it, from the first look to a slow read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gputally.node.sources.nvidia_smi.command import NvidiaSmi
from gputally.node.sources.nvidia_smi.source import NvidiaSmiSource
from gputally.node.sources.nvtop import NvtopSource
from gputally.node.sources.program import Output, Program
from gputally.node.sources.protocol import SourceError
from tests.fuzz.target import Target, declared
from tests.sources.standins.physical import assert_physical
from tests.sources.standins.standin import CAPTURES, captures_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_CUT = b"\n%%\n"  # between the answers of one program
_ANSWERS = {"-q": "log.xml", "-L": "list.txt", "--query-compute-apps": "apps.csv", "--query-gpu": "gpu.csv"}
_REASONS = {"garbage", "lost", "no_gpus", "unknown", "driver_timeout", "reset_required", "unknown_field"}
_LONGEST_LOG = 28_000  # those of eight equal cards tell no more


class Printing(Program):
    """In place of a program: prints what an input says, by what it is asked for."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        super().__init__("standing-in")
        self._answers = answers

    def run(self, *arguments: str, seconds: float = 0.0) -> Output:
        del seconds
        first = arguments[0].partition("=")[0]
        return Output(self._answers.get(first, self._answers[""]), b"", 0)


def _read(source: NvidiaSmiSource | NvtopSource) -> bool:
    """Open, and read both lanes; a reading is physical, a fault is one of the protocol."""
    read = False
    for look in (source.open, lambda: source.read(slow=False), lambda: source.read(slow=True)):
        try:
            found = look()
        except SourceError as error:
            declared(error.reason, _REASONS, str(error))
            continue
        if isinstance(found, dict):
            _judge(found)
            read = read or bool(found)
    for description in source.descriptions().values():
        assert_physical(description)
    uuids = [gpu.uuid for gpu in source.scan().gpus]
    assert len(uuids) == len(set(uuids))
    return read


def _judge(readings: dict) -> None:
    for reading in readings.values():
        assert_physical(reading)
        memory = reading.fast
        if memory.memory_total_bytes is not None and memory.memory_used_bytes is not None:
            assert memory.memory_used_bytes <= memory.memory_total_bytes * 1.02 + 2 * 2**20
        pids = [(process.pid, process.gpu_instance_id) for process in memory.processes or ()]
        assert len(pids) == len(set(pids))


def nvidia_smi(data: bytes) -> bool:
    """The log, the list and both tables, which begin with the names of their columns."""
    answers = dict(zip(_ANSWERS.values(), data.split(_CUT), strict=False))
    log, listed, apps, gpus = (answers.get(name, b"") for name in _ANSWERS.values())
    known, _, rows = gpus.partition(b"\n")
    fields = b"\n".join(b'"%s"' % field.strip() for field in known.split(b","))
    told = {"-q": log, "-L": listed, "--query-compute-apps": apps, "--query-gpu": rows}
    return _read(NvidiaSmiSource(smi=NvidiaSmi(Printing(told | {"--help-query-gpu": fields, "": b""}))))


def nvtop(data: bytes) -> bool:
    """A snapshot."""
    return _read(NvtopSource(program=Printing({"--version": b"nvtop version 3.2.0", "": data})))


def _captured() -> Iterator[bytes]:
    for name in captures_of("nvidia-smi"):
        parts = [CAPTURES / "nvidia-smi" / name / part for part in _ANSWERS.values()]
        if all(part.exists() for part in parts) and parts[0].stat().st_size < _LONGEST_LOG:
            yield _CUT.join(part.read_bytes() for part in parts)


def _snapshots() -> Iterator[bytes]:
    for name in captures_of("nvtop"):
        if (found := CAPTURES / "nvtop" / name / "snapshot.txt").stat().st_size:
            yield found.read_bytes()


TARGETS = (
    Target("nvidia-smi", nvidia_smi, _captured, 16_384),
    Target("nvtop", nvtop, _snapshots),
)
