"""What a return code of NVML means for a reading, a GPU or the driver. The only file that judges codes."""

from gputally.node.sources.protocol import GpuLost, Unavailable, VersionMismatch

UNINITIALIZED = 1
INVALID_ARGUMENT = 2
NOT_SUPPORTED = 3
NO_PERMISSION = 4
NOT_FOUND = 6
INSUFFICIENT_SIZE = 7
DRIVER_NOT_LOADED = 9
TIMEOUT = 10
LIBRARY_NOT_FOUND = 12
FUNCTION_NOT_FOUND = 13
GPU_IS_LOST = 15
RESET_REQUIRED = 16
LIB_RM_VERSION_MISMATCH = 18
NOT_READY = 27
GPU_NOT_FOUND = 28
UNKNOWN = 999

_WORDS = {
    UNINITIALIZED: "uninitialized",
    INVALID_ARGUMENT: "invalid_argument",
    NOT_SUPPORTED: "not_supported",
    NO_PERMISSION: "no_permission",
    NOT_FOUND: "not_found",
    INSUFFICIENT_SIZE: "insufficient_size",
    8: "insufficient_power",
    DRIVER_NOT_LOADED: "driver_not_loaded",
    TIMEOUT: "driver_timeout",
    11: "irq_issue",
    LIBRARY_NOT_FOUND: "library_not_found",
    FUNCTION_NOT_FOUND: "function_missing",
    14: "corrupted_inforom",
    GPU_IS_LOST: "lost",
    RESET_REQUIRED: "reset_required",
    17: "operating_system",
    LIB_RM_VERSION_MISMATCH: "version_mismatch",
    19: "in_use",
    20: "out_of_memory",
    21: "no_data",
    22: "vgpu_ecc",
    23: "insufficient_resources",
    24: "frequency_not_supported",
    25: "argument_version",
    26: "deprecated",
    NOT_READY: "not_ready",
    GPU_NOT_FOUND: "not_found",
    29: "invalid_state",
    UNKNOWN: "unknown",
}
# The card or driver cannot do it, or this process may not ask: true until the driver is opened again.
_ABSENT = frozenset({NOT_SUPPORTED, NO_PERMISSION, FUNCTION_NOT_FOUND, 22, 25, 26})

_LOST = {
    GPU_IS_LOST: "the GPU has fallen off the bus",
    RESET_REQUIRED: "the GPU needs a reset",
    GPU_NOT_FOUND: "the GPU is no longer there",
}
_LOST_IF_VITAL = {
    NOT_FOUND: "the driver does not find the GPU any more",
    UNKNOWN: "the driver fails without a cause; in a container, `systemctl daemon-reload` on the host "
    "takes the device away like this",
}
_UNAVAILABLE = {
    UNINITIALIZED: "NVML has been shut down underneath",
    DRIVER_NOT_LOADED: "the NVIDIA kernel module is not loaded",
}


def word_of(code: int) -> str:
    """A word for a label; codes of drivers to come share one."""
    return _WORDS.get(code, "unrecognised_code")


def is_absent(code: int, *, worked: bool) -> bool:
    """Whether asking again is no use. An invalid argument is a verdict only where the call never worked."""
    return code in _ABSENT or (code == INVALID_ARGUMENT and not worked)


def raise_if_fatal(code: int, where: str, *, vital: bool, worked: bool) -> None:
    """Raise what ends the reading of this GPU, or of all; return for what concerns one reading only.

    `vital` marks the few calls that every healthy GPU answers: what is a quirk elsewhere is a loss there.
    """
    if code == LIB_RM_VERSION_MISMATCH:
        raise VersionMismatch(f"{where}: the NVIDIA library and the kernel module are of different versions")
    if code in _UNAVAILABLE:
        raise Unavailable(f"{where}: {_UNAVAILABLE[code]}", reason=word_of(code))
    message = _LOST.get(code) or (_LOST_IF_VITAL.get(code) if vital else None)
    if message is not None:
        raise GpuLost(f"{where}: {message}", reason=word_of(code))
    if code == INVALID_ARGUMENT and vital and worked:
        raise GpuLost(f"{where}: the driver no longer knows the GPU's handle", reason="stale_handle")
