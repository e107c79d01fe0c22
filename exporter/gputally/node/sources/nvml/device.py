"""One GPU as the driver library knows it, and the one place through which every call about it passes."""

import ctypes
from collections.abc import Callable, Iterable
from typing import TypeVar

from gputally.node.sources.nvml import codes
from gputally.node.sources.nvml.library import Library
from gputally.node.sources.protocol import SourceError

_TEXT_BYTES = 96  # NVML_DEVICE_UUID_V2_BUFFER_SIZE, the longest of the texts asked for
Handle = ctypes.c_void_p | None
Number = TypeVar("Number", int, float)


class Call:
    """A function of the driver with its arguments bound. Remembers for good that the GPU cannot do it.

    Calling it tells whether the driver filled the arguments in; raises SourceError for what ends the reading.
    """

    __slots__ = (
        *("_arguments", "_device", "_expected", "_function", "_worked"),
        *("absent", "code", "name", "reading", "vital"),
    )

    def __init__(  # noqa: PLR0913 - what there is to know about a call; made by Device.call alone
        self,
        device: "Device",
        names: tuple[str, ...],
        reading: str,
        arguments: tuple[object, ...],
        *,
        vital: bool,
        expected: frozenset[int],
    ) -> None:
        self.name = names[0]
        self.reading = reading
        self.vital = vital
        self.absent = ""  # why the GPU or driver cannot do it
        self.code = 0  # what the latest call returned
        self._device = device
        self._arguments = arguments
        self._expected = expected
        self._worked = False
        self._function = device.library.function(*names)

    def __call__(self) -> bool:
        """Call the driver, unless it is known to be of no use."""
        if self.absent:
            return False
        if self._function is None:
            self._mark_absent("function_missing")
            return False
        code = self.code = self._function(*self._arguments)
        if code == 0:
            self._worked = True
            if self.vital:
                self._device.answered = True
            return True
        if code not in self._expected:
            self._refused(code)
        return False

    def bind(self, *arguments: object) -> None:
        """Take other arguments, after the buffer behind them had to grow."""
        self._arguments = arguments

    def forget(self) -> None:
        """Ask again: what the GPU can do may have changed."""
        self.absent, self._worked = "", False

    def _refused(self, code: int) -> None:
        device, worked = self._device, self._worked
        codes.raise_if_fatal(code, f"{self.name} of {device.uuid}", vital=self.vital, worked=worked)
        if codes.is_absent(code, worked=worked):
            self._mark_absent(codes.word_of(code))
        else:
            device.fail(self.reading, codes.word_of(code), vital=self.vital)

    def _mark_absent(self, word: str) -> None:
        self.absent = word
        self._device.absent[self.reading] = word


class Device:
    """A handle (None: the driver as a whole), the calls bound to it, and what the present read ran into."""

    def __init__(self, library: Library, handle: Handle, uuid: str) -> None:
        self.library = library
        self.handle = handle
        self.uuid = uuid
        self.answered = False
        self.rejected: list[str] = []
        self.failed: dict[str, str] = {}
        self.absent: dict[str, str] = {}  # reading -> why; a reading that has two ways may still be there
        self._vital_failure = ""
        self._forget: list[Callable[[], None]] = []

    def call(
        self,
        names: str | tuple[str, ...],
        reading: str,
        *arguments: object,
        vital: bool = False,
        expected: Iterable[int] = (),
    ) -> Call:
        """Bind the first of these functions that the driver has to this GPU.

        `expected` are codes that are answers, not faults, such as NOT_FOUND for "nothing new".
        """
        call = self._bind(names, reading, arguments, vital=vital, expected=expected)
        self._forget.append(call.forget)
        return call

    def ask(self, names: str | tuple[str, ...], reading: str, *arguments: object) -> bool:
        """Make a call that is not kept; for what is asked once. Raises SourceError."""
        return self._bind(names, reading, arguments)()

    def text(self, name: str, reading: str) -> str | None:
        """What a function writes into a buffer, asked once; bytes that are no UTF-8 become U+FFFD.

        None = not available. Raises SourceError.
        """
        buffer = ctypes.create_string_buffer(_TEXT_BYTES)
        known = self.ask(name, reading, buffer, ctypes.c_uint(_TEXT_BYTES))
        return buffer.value.decode(errors="replace") if known else None

    def _bind(
        self,
        names: str | tuple[str, ...],
        reading: str,
        arguments: tuple[object, ...],
        *,
        vital: bool = False,
        expected: Iterable[int] = (),
    ) -> Call:
        names = (names,) if isinstance(names, str) else names
        bound = arguments if self.handle is None else (self.handle, *arguments)
        return Call(self, names, reading, bound, vital=vital, expected=frozenset(expected))

    def on_forget(self, forget: Callable[[], None]) -> None:
        """Have a part that keeps knowledge of its own told when to drop it."""
        self._forget.append(forget)

    def forget(self) -> None:
        """Ask for everything again: MIG was switched, and with it what the GPU answers."""
        self.absent.clear()
        for forget in self._forget:
            forget()

    def begin(self) -> None:
        """Start a read with a clean sheet."""
        self.answered = False
        self._vital_failure = ""
        self.rejected.clear()
        self.failed.clear()

    def finish(self) -> None:
        """Raise SourceError if every vital call failed: such a GPU is not up."""
        if self._vital_failure and not self.answered:
            raise SourceError(
                f"{self.uuid} answers no call: {self._vital_failure}", reason=self._vital_failure
            )

    def fail(self, reading: str, word: str, *, vital: bool = False) -> None:
        """Note a call that may work next time."""
        self.failed[reading] = word
        if vital:
            self._vital_failure = word

    def keep(self, reading: str, value: Number | None, low: float, high: float) -> Number | None:
        """The value if it is physically possible; what is not is dropped and noted, never clamped."""
        if value is None or low <= value <= high:
            return value
        self.rejected.append(reading)
        return None
