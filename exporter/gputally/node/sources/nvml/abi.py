"""What nvml.h fixes for good: layouts, field numbers and bits. Decides nothing and calls nothing.

The numbers stand here, not in pynvml, because they belong to the driver's binary interface: a given version
of pynvml lacks the newest ones, and one of them once shipped a process record of the wrong length.
"""

import ctypes
from struct import Struct

# Records that the driver writes into buffers of ours; read with iter_unpack, which beats ctypes tenfold.
FIELD_VALUE = Struct("=IIqqIIQ")  # nvmlFieldValue_t: field, scope, timestamp, latency, type, code, value
PROCESS_INFO = Struct("=I4xQII")  # nvmlProcessInfo_v2_t, also of the _v3 functions
PROCESS_INFO_LONG = Struct("=I4xQII8x")  # what the _v3 functions wrote in the first drivers that had them
PROCESS_SAMPLE = Struct("=I4xQIIII")  # nvmlProcessUtilizationSample_t: pid, us, sm, memory, encoder, decoder
POWER_SAMPLE = Struct("=QQ")  # nvmlSample_t: us, value

# nvmlValueType_t
VALUE_DOUBLE, VALUE_UINT, VALUE_ULONG, VALUE_ULL, VALUE_SLL, VALUE_SINT, VALUE_USHORT = range(7)

ALL_LINKS = 0xFFFFFFFF  # scope of an NVLink field that asks for the sum over all links
NO_INSTANCE = 0xFFFFFFFF
NOT_AVAILABLE_64 = 0xFFFFFFFFFFFFFFFF

INIT_WITHOUT_GPUS = 1  # NVML_INIT_FLAG_NO_GPUS: nvmlInit succeeds on a machine without any
TOTAL_POWER_SAMPLES = 0
EVENT_XID = 0x8  # nvmlEventTypeXidCriticalError
TEMPERATURE_OF_GPU = 0
UNKNOWN_PERFORMANCE_STATE = 32

MEMORY_V2 = 0x02000028
TEMPERATURE_V1 = 0x0100000C
MARGIN_V1 = 0x01000008
GPM_V1 = 1

ARCHITECTURES = {
    2: "kepler",
    3: "maxwell",
    4: "pascal",
    5: "volta",
    6: "turing",
    7: "ampere",
    8: "ada",
    9: "hopper",
    10: "blackwell",
    13: "rubin",
}
CLOCKS = {"graphics": 0, "sm": 1, "memory": 2, "video": 3}
TEMPERATURE_LIMITS = {
    "shutdown": 0,
    "slowdown": 1,
    "memory_max": 2,
    "gpu_max": 3,
    "acoustic_min": 4,
    "acoustic_max": 6,
}
# nvmlClocksEventReasons
THROTTLE_REASONS = {
    "gpu_idle": 0x1,
    "applications_clocks": 0x2,
    "sw_power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sync_boost": 0x10,
    "sw_thermal": 0x20,
    "hw_thermal": 0x40,
    "hw_power_brake": 0x80,
    "display_clocks": 0x100,
}
# NVML_GPM_METRIC_*, all in percent
GPM_METRICS = {"sm": 2, "sm_occupancy": 3, "tensor": 5, "dram": 10, "fp64": 11, "fp32": 12, "fp16": 13}


class Utilization(ctypes.Structure):
    """nvmlUtilization_t, percent."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class MemoryV1(ctypes.Structure):
    """nvmlMemory_t; `used` includes what the driver reserves."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class MemoryV2(ctypes.Structure):
    """nvmlMemory_v2_t."""

    _fields_ = (
        ("version", ctypes.c_uint),
        ("total", ctypes.c_ulonglong),
        ("reserved", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


class Temperature(ctypes.Structure):
    """nvmlTemperature_v1_t."""

    _fields_ = (("version", ctypes.c_uint), ("sensor", ctypes.c_uint), ("celsius", ctypes.c_int))


class Margin(ctypes.Structure):
    """nvmlMarginTemperature_v1_t."""

    _fields_ = (("version", ctypes.c_uint), ("celsius", ctypes.c_int))


class EventData(ctypes.Structure):
    """nvmlEventData_t."""

    _fields_ = (
        ("device", ctypes.c_void_p),
        ("type", ctypes.c_ulonglong),
        ("data", ctypes.c_ulonglong),
        ("gpu_instance_id", ctypes.c_uint),
        ("compute_instance_id", ctypes.c_uint),
    )


class PciInfo(ctypes.Structure):
    """nvmlPciInfo_t."""

    _fields_ = (
        ("bus_id_legacy", ctypes.c_char * 16),
        ("domain", ctypes.c_uint),
        ("bus", ctypes.c_uint),
        ("device", ctypes.c_uint),
        ("device_id", ctypes.c_uint),
        ("subsystem_id", ctypes.c_uint),
        ("bus_id", ctypes.c_char * 32),
    )


class Attributes(ctypes.Structure):
    """nvmlDeviceAttributes_t of a MIG instance."""

    _fields_ = (
        ("multiprocessors", ctypes.c_uint),
        ("copy_engines", ctypes.c_uint),
        ("decoders", ctypes.c_uint),
        ("encoders", ctypes.c_uint),
        ("jpeg_engines", ctypes.c_uint),
        ("ofa_engines", ctypes.c_uint),
        ("gpu_slices", ctypes.c_uint),
        ("compute_slices", ctypes.c_uint),
        ("memory_mib", ctypes.c_ulonglong),
    )


class GpmMetric(ctypes.Structure):
    """nvmlGpmMetric_t."""

    _fields_ = (
        ("id", ctypes.c_uint),
        ("code", ctypes.c_uint),
        ("value", ctypes.c_double),
        ("short_name", ctypes.c_char_p),
        ("long_name", ctypes.c_char_p),
        ("unit", ctypes.c_char_p),
    )


class GpmMetrics(ctypes.Structure):
    """nvmlGpmMetricsGet_t; as long as the longest that a header declares, though few are asked for."""

    _fields_ = (
        ("version", ctypes.c_uint),
        ("count", ctypes.c_uint),
        ("first", ctypes.c_void_p),
        ("second", ctypes.c_void_p),
        ("list", GpmMetric * 512),
    )


class GpmSupport(ctypes.Structure):
    """nvmlGpmSupport_t."""

    _fields_ = (("version", ctypes.c_uint), ("supported", ctypes.c_uint))
