"""Many readings in one call: nvmlDeviceGetFieldValues, with a return code and a type for every field."""

import ctypes
import math
import struct
from collections.abc import Mapping, Sequence

from gputally.node.sources.nvml import abi, codes
from gputally.node.sources.nvml.device import Device

Field = tuple[int, int]  # number, scope
GPU = 0  # scope of what concerns the whole GPU

_MOST_ROUNDS = 4  # of asking again for the next way to a reading; no reading has more ways


class FieldBatch:
    """Fields by the name of their reading, each with other fields to fall back on; buffers made once."""

    def __init__(self, device: Device, wanted: Mapping[str, Sequence[Field]], *, vital: bool = False) -> None:
        self._device = device
        self._wanted = {reading: tuple(ways) for reading, ways in wanted.items()}
        self._call = device.call("nvmlDeviceGetFieldValues", "fields", vital=vital)
        self._worked: set[str] = set()
        self._left: dict[str, tuple[Field, ...]] = {}
        self.forget()
        device.on_forget(self.forget)

    def forget(self) -> None:
        """Ask for every field again, in its first way."""
        self._left = dict(self._wanted)
        self._worked.clear()
        self._build()

    def drop(self, reading: str) -> None:
        """Ask no more for a reading that is not needed, now or later."""
        self._wanted.pop(reading, None)
        if self._left.pop(reading, None) is not None:
            self._build()

    def add(self, wanted: Mapping[str, Sequence[Field]]) -> None:
        """Ask for more from now on."""
        more = {reading: tuple(ways) for reading, ways in wanted.items() if reading not in self._wanted}
        self._wanted.update(more)
        self._left.update(more)
        self._build()

    def asks(self, reading: str) -> bool:
        """Whether the reading is still asked for; False once the card is known not to have it."""
        return reading in self._left

    def field_of(self, reading: str) -> int | None:
        """Number of the field by which the reading comes at present."""
        ways = self._left.get(reading)
        return ways[0][0] if ways else None

    def read(self) -> dict[str, float]:
        """Every reading that came, as the number the driver gave, in the driver's unit."""
        values: dict[str, float] = {}
        for _ in range(_MOST_ROUNDS):
            if not self._left:
                break
            ctypes.memmove(self._buffer, self._template, len(self._template))
            if not self._call():
                self._give_up()
                break
            again = self._decode(values)
            if len(self._left) != len(self._readings) or again:
                self._build()
            if not again:
                break
        return values

    def _give_up(self) -> None:
        """Where the function itself is absent, so is every reading that it would bring."""
        if self._call.absent:
            self._device.absent.update(dict.fromkeys(self._left, self._call.absent))
            self._left.clear()

    def _build(self) -> None:
        """Lay the buffer out anew. The code it starts with is NOT_READY, for a driver that skips an entry."""
        self._readings = tuple(self._left)
        entries = [(*ways[0], 0, 0, 0, codes.NOT_READY, 0) for ways in self._left.values()]
        self._template = b"".join(abi.FIELD_VALUE.pack(*entry) for entry in entries)
        self._buffer = ctypes.create_string_buffer(self._template, len(self._template) or 1)
        self._call.bind(self._device.handle, ctypes.c_int(len(entries)), self._buffer)

    def _decode(self, values: dict[str, float]) -> bool:
        """Fill in what came; return whether another way to some reading is left to try."""
        again = False
        for reading, entry in zip(self._readings, abi.FIELD_VALUE.iter_unpack(self._buffer), strict=True):
            kind, code, bits = entry[4], entry[5], entry[6]
            if code == 0:
                value = _number(kind, bits)
                if value is None:
                    self._device.fail(reading, "unknown_type")
                elif not math.isfinite(value):
                    self._device.rejected.append(reading)
                else:
                    values[reading] = value
                    self._worked.add(reading)
            else:
                again |= self._refused(reading, code)
        return again

    def _refused(self, reading: str, code: int) -> bool:
        worked = reading in self._worked
        codes.raise_if_fatal(code, f"{reading} of {self._device.uuid}", vital=False, worked=worked)
        if not codes.is_absent(code, worked=worked):
            self._device.fail(reading, codes.word_of(code))
            return False
        ways = self._left[reading][1:]
        if ways:
            self._left[reading] = ways
            return True
        del self._left[reading]
        self._device.absent[reading] = codes.word_of(code)
        return False


def _number(kind: int, bits: int) -> float | None:
    """The value that 64 bits hold, by nvmlValueType_t; None for a type of drivers to come."""
    if kind in (abi.VALUE_ULL, abi.VALUE_ULONG):
        return bits
    if kind == abi.VALUE_UINT:
        return bits & 0xFFFFFFFF
    raw = struct.pack("=Q", bits)
    form = {abi.VALUE_DOUBLE: "=d", abi.VALUE_SLL: "=q", abi.VALUE_SINT: "=i", abi.VALUE_USHORT: "=H"}.get(
        kind
    )
    return None if form is None else struct.unpack_from(form, raw)[0]
