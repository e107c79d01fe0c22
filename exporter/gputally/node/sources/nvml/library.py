"""The mapped driver library: loading, opening, closing, and whether it is still the one on disk.

Knows pynvml, which finds and loads libnvidia-ml.so.1 and hands out its functions; knows no GPU.
"""

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from gputally.node.sources.nvml import abi, codes
from gputally.node.sources.protocol import Unavailable, VersionMismatch

Function = Callable[..., int]
SONAME = "libnvidia-ml.so.1"
_OWN_MAPPINGS = Path("/proc/self/maps")  # of this very process, wherever the host's /proc may be mounted

_REFUSALS = {
    codes.LIBRARY_NOT_FOUND: f"{SONAME} was not found: no NVIDIA driver is installed, or none visible here",
    codes.DRIVER_NOT_LOADED: "the NVIDIA kernel module is not loaded",
    codes.NO_PERMISSION: "no permission to open the NVIDIA driver's device files",
    codes.UNKNOWN: "the NVIDIA driver could not be opened; are /dev/nvidiactl and /dev/nvidia0 visible here?",
}


class Library:
    """NVML from nvmlInit to nvmlShutdown."""

    def __init__(self) -> None:
        self._nvml: ModuleType | None = None
        self._pid = 0

    def open(self) -> None:
        """Load the library and open the driver. Raises Unavailable or VersionMismatch."""
        try:
            import pynvml  # noqa: PLC0415 - a machine without the driver, and `--help`, pay nothing for it
        except ImportError as error:
            raise Unavailable(f"pynvml cannot be imported: {error}", reason="pynvml_missing") from error
        try:
            _initialise(pynvml)
        except pynvml.NVMLError as error:
            code = int(error.value)
            if code == codes.LIB_RM_VERSION_MISMATCH:
                raise VersionMismatch(
                    "the NVIDIA library and the kernel module are of different versions"
                ) from error
            message = _REFUSALS.get(code, f"the NVIDIA driver could not be opened: {codes.word_of(code)}")
            raise Unavailable(message, reason=codes.word_of(code)) from error
        self._nvml, self._pid = pynvml, os.getpid()

    def close(self) -> None:
        """Shut NVML down, whatever it answers. Not in a forked child, which has no claim to it."""
        nvml, self._nvml = self._nvml, None
        if nvml is None or self._pid != os.getpid():
            return
        try:
            nvml.nvmlShutdown()
        except nvml.NVMLError:
            return

    def check(self) -> None:
        """Raise Unavailable where NVML may not be called: before open(), after close(), after a fork."""
        if self._nvml is None:
            raise Unavailable("the NVIDIA driver is not open", reason="closed")
        if self._pid != os.getpid():
            raise Unavailable("the NVIDIA driver was opened by the parent process", reason="forked")

    def function(self, *names: str) -> Function | None:
        """The first of these functions that the library has; None if it has none.

        pynvml's own wrappers are passed over on purpose: they call twice for a list, decode names strictly,
        and allocate at every call. `_nvmlGetFunctionPointer` is the part of pynvml that they stand on.
        """
        if self._nvml is None:
            return None
        for name in names:
            try:
                pointer: Function = self._nvml._nvmlGetFunctionPointer(name)  # noqa: SLF001 - see above
            except self._nvml.NVMLError:
                continue
            return pointer
        return None

    def check_file(self) -> None:
        """Raise VersionMismatch if another library file has taken the place of the mapped one.

        The old one keeps answering until the kernel module is reloaded, and never again after that.
        A file that is merely gone is no reason: there would be nothing to load instead.
        """
        mapped = _mapped_file()
        if mapped is None:
            return
        path, deleted = mapped
        current = path.parent / SONAME
        try:
            present = current.resolve(strict=True)
        except OSError:
            return
        if deleted or present != path.resolve():
            raise VersionMismatch(f"{current} has been replaced since it was loaded: the driver was upgraded")


def _initialise(nvml: ModuleType) -> None:
    try:
        nvml.nvmlInitWithFlags(abi.INIT_WITHOUT_GPUS)
    except nvml.NVMLError_FunctionNotFound:
        nvml._nvmlCheckReturn(nvml._nvmlGetFunctionPointer("nvmlInit_v2")())  # noqa: SLF001 - drivers before 390


def _mapped_file() -> tuple[Path, bool] | None:
    """The library's path as the kernel has it, and whether that file has been unlinked."""
    try:
        mappings = _OWN_MAPPINGS.read_text(errors="replace")
    except OSError:
        return None
    for line in mappings.splitlines():
        if "/libnvidia-ml.so." in line:
            path = line.split(maxsplit=5)[5]
            return Path(path.removesuffix(" (deleted)")), path.endswith(" (deleted)")
    return None
