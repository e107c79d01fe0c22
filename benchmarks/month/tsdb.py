"""Blocks of Prometheus' TSDB, written directly: promtool takes hours for a month's thousand million samples.

The format is the documented one (index v2, XOR chunks), and the blocks are cut where Prometheus itself would
have compacted to, so that it finds nothing to do.
"""

import ctypes
import json
import random
import struct
import subprocess
import time
import zlib
from array import array
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

HOUR_MS = 3_600_000
RANGES_MS = (54 * HOUR_MS, 18 * HOUR_MS, 6 * HOUR_MS, 2 * HOUR_MS)  # what 30 days of retention compact to
SEGMENT_BYTES = 500 << 20
SERIES_ALIGN = 16
_ONE = array("d", [1.0])
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One series: what it did in each slot of time from `begin_ms` on, and when it was sampled."""

    labels: Labels
    begin_ms: int
    slot_ms: int
    slots: "array[float]"  # growth of a counter, or the value of a gauge
    step_ms: int
    offset_ms: int = 0  # first sample after begin_ms
    parts: float = 0  # a counter is rounded to 1 / parts; 0: a gauge
    noise: float = 0.0

    @property
    def seed(self) -> int:
        """The same series wobbles in the same way every time."""
        return zlib.crc32("".join([value for _, value in self.labels]).encode()) << 20


class Encoder:
    """The compiled part."""

    def __init__(self, folder: Path) -> None:
        source = Path(__file__).with_name("tsdb.c")
        library = folder / "tsdb.so"
        flags = ("-O2", "-Wall", "-Wextra", "-Werror", "-std=gnu11", "-shared", "-fPIC")
        subprocess.run(["cc", *flags, "-o", str(library), str(source), "-lm"], check=True)
        c = ctypes.CDLL(str(library))
        number, address = ctypes.c_int64, ctypes.c_void_p
        times = (number, number, number, number)  # slot, first, step, count
        c.counter.argtypes = c.gauge.argtypes = (address, *times, ctypes.c_double, ctypes.c_uint64, address)
        c.encode.argtypes = (number, number, address, number, ctypes.c_uint64, address, address, address)
        c.crc32c.argtypes = (ctypes.c_char_p, number)
        c.encode.restype, c.crc32c.restype = number, ctypes.c_uint32
        self._c, self._room, self._size = c, 0, number()

    def crc(self, data: bytes) -> bytes:
        """CRC-32C as four bytes."""
        return struct.pack(">I", self._c.crc32c(data, len(data)))

    def values(self, line: Line, first_ms: int, count: int) -> "ctypes.Array[ctypes.c_double]":
        """Samples of a series; first_ms counts from its begin. Valid until the next call."""
        if count > self._room:
            self._room = count
            self._values = (ctypes.c_double * count)()
            self._out, self._meta = (ctypes.create_string_buffer(count * n + 64) for n in (12, 8))
        make, shape = (self._c.counter, line.parts) if line.parts else (self._c.gauge, line.noise)
        slots, _ = line.slots.buffer_info()
        make(slots, line.slot_ms, first_ms, line.step_ms, count, shape, line.seed, self._values)
        return self._values

    def chunks(self, line: Line, first_ms: int, count: int, ref: int) -> tuple[bytes, bytes]:
        """Chunks of a series, to be written at `ref`, and its part of the index."""
        values, size = self.values(line, first_ms, count), ctypes.byref(self._size)
        start_ms = line.begin_ms + first_ms
        meta = self._c.encode(start_ms, line.step_ms, values, count, ref, self._out, size, self._meta)
        return ctypes.string_at(self._out, self._size.value), ctypes.string_at(self._meta, meta)


def ranges(begin_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """Where Prometheus would have cut its blocks: the older, the longer. The last ends with the data."""
    while begin_ms < end_ms:
        fits = (n for n in RANGES_MS if begin_ms % n == 0 and begin_ms + n <= end_ms)
        until = begin_ms + next(fits, end_ms - begin_ms)
        yield begin_ms, until
        begin_ms = until


@dataclass
class Block:
    """One block in the making."""

    encoder: Encoder
    data: Path
    begin_ms: int
    end_ms: int
    samples: int = 0
    _chunks: int = 0
    _series: list[tuple[Labels, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ulid = _ulid()
        self.folder = self.data / self.ulid
        (self.folder / "chunks").mkdir(parents=True)
        self._segment = -1
        self._open()

    def _open(self) -> None:
        self._segment += 1
        self._file = (self.folder / "chunks" / f"{self._segment + 1:06}").open("wb")
        self._at = self._file.write(struct.pack(">IBxxx", 0x85BD40DD, 1))

    def add(self, line: Line, since_ms: int = 0) -> None:
        """Take what falls into this block of one series, older samples than since_ms left out."""
        origin = line.begin_ms + line.offset_ms
        skipped = max(0, -(-(max(self.begin_ms, since_ms) - origin) // line.step_ms))
        until = min(self.end_ms, line.begin_ms + len(line.slots) * line.slot_ms)
        count = -(-(until - origin) // line.step_ms) - skipped
        if count <= 0:
            return
        if self._at > SEGMENT_BYTES:
            self._file.close()
            self._open()
        first = line.offset_ms + skipped * line.step_ms
        chunks, meta = self.encoder.chunks(line, first, count, self._segment << 32 | self._at)
        self._at += self._file.write(chunks)
        self._series.append((line.labels, meta))
        self.samples += count
        self._chunks += -(-count // 120)

    def mark(self, line: Line) -> None:
        """Take one sample of a series, so that the index is as long as it would be."""
        self.add(
            replace(line, begin_ms=self.begin_ms, slots=_ONE, offset_ms=0, step_ms=line.slot_ms, parts=0)
        )

    def close(self) -> None:
        """Write the index and what belongs to it; a block without series leaves nothing behind."""
        self._file.close()
        self._series.sort(key=lambda entry: entry[0])
        (self.folder / "index").write_bytes(_index(self._series, self.encoder))
        body = struct.pack(">IB", 0x0130BA30, 1)
        (self.folder / "tombstones").write_bytes(body + self.encoder.crc(b""))
        stats = {"numSamples": self.samples, "numSeries": len(self._series), "numChunks": self._chunks}
        meta = {
            "ulid": self.ulid,
            "minTime": self.begin_ms,
            "maxTime": self.end_ms,
            "stats": stats,
            "compaction": {"level": 1, "sources": [self.ulid]},
            "version": 1,
        }
        (self.folder / "meta.json").write_text(json.dumps(meta))
        self._series.clear()


def _ulid() -> str:
    number = int(time.time() * 1000) << 80 | random.getrandbits(80)
    return "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[number >> n & 31] for n in range(125, -1, -5))


def _uvarint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _index(series: list[tuple[Labels, bytes]], encoder: Encoder) -> bytes:
    """Symbols, series, postings, and the table of contents."""
    words = sorted({word for labels, _ in series for pair in labels for word in pair})
    number = {word: _uvarint(n) for n, word in enumerate(words)}
    out = bytearray(struct.pack(">IB", 0xBAAAD700, 2))
    symbols = len(out)
    texts = [word.encode() for word in words]
    out += _section(len(words), b"".join(_uvarint(len(text)) + text for text in texts), encoder)
    out += bytes(-len(out) % SERIES_ALIGN)
    series_at = len(out)
    postings: dict[tuple[str, str], array[int]] = defaultdict(lambda: array("I"))
    everything = postings["", ""]
    for labels, meta in series:
        ident = len(out) // SERIES_ALIGN
        everything.append(ident)
        for pair in labels:
            postings[pair].append(ident)
        names = b"".join([number[word] for pair in labels for word in pair])
        body = _uvarint(len(labels)) + names + meta
        out += _uvarint(len(body)) + body + encoder.crc(body)
        out += bytes(-len(out) % SERIES_ALIGN)
    postings_at, entries = len(out), []
    for (name, value), idents in sorted(postings.items()):
        text = b"".join(_uvarint(len(word)) + word for word in (name.encode(), value.encode()))
        entries.append(b"\x02" + text + _uvarint(len(out)))
        idents.byteswap()
        out += _section(len(idents), idents.tobytes(), encoder)
    table_at = len(out)
    out += _section(len(entries), b"".join(entries), encoder)
    contents = struct.pack(">6Q", symbols, series_at, 0, 0, postings_at, table_at)
    return bytes(out + contents + encoder.crc(contents))


def _section(count: int, body: bytes, encoder: Encoder) -> bytes:
    content = struct.pack(">I", count) + body
    return struct.pack(">I", len(content)) + content + encoder.crc(content)
