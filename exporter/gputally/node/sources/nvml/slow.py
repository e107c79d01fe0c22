"""The slow lane: temperatures, clocks, limits, links, errors, MIG and GPM of one GPU, every few seconds.

Twelve calls or so, and at every read one group in turn of those that change least: power limits and fans, the
PCI Express link, the JPEG and optical-flow engines. These values are up to three slow reads old.
"""

import ctypes
from collections.abc import Mapping
from typing import Any

from gputally.model import SlowReading
from gputally.node.sources.nvml import abi
from gputally.node.sources.nvml.device import Call, Device
from gputally.node.sources.nvml.fields import GPU, FieldBatch
from gputally.node.sources.nvml.gpm import Activity
from gputally.node.sources.nvml.mig import Partitions
from gputally.node.sources.nvml.nvlink import NvLinks
from gputally.node.sources.nvml.options import Options
from gputally.node.sources.nvml.throttling import ThrottleReasons

_FIELDS = {
    "memory_temperature_c": [(82, GPU)],  # NVML_FI_DEV_MEMORY_TEMP
    "ecc_volatile.corrected": [(3, GPU)],  # NVML_FI_DEV_ECC_SBE_VOL_TOTAL
    "ecc_volatile.uncorrected": [(4, GPU)],  # NVML_FI_DEV_ECC_DBE_VOL_TOTAL
    "ecc_aggregate.corrected": [(5, GPU)],  # NVML_FI_DEV_ECC_SBE_AGG_TOTAL
    "ecc_aggregate.uncorrected": [(6, GPU)],  # NVML_FI_DEV_ECC_DBE_AGG_TOTAL
    "retired_pages.single_bit": [(29, GPU)],  # NVML_FI_DEV_RETIRED_SBE
    "retired_pages.double_bit": [(30, GPU)],  # NVML_FI_DEV_RETIRED_DBE
    "retired_pages_pending": [(31, GPU)],  # NVML_FI_DEV_RETIRED_PENDING
    "remapped_rows.corrected": [(142, GPU)],  # NVML_FI_DEV_REMAPPED_COR
    "remapped_rows.uncorrected": [(143, GPU)],  # NVML_FI_DEV_REMAPPED_UNC
    "row_remap_pending": [(144, GPU)],  # NVML_FI_DEV_REMAPPED_PENDING
    "row_remap_failed": [(145, GPU)],  # NVML_FI_DEV_REMAPPED_FAILURE
    "pcie_replays": [(94, GPU)],  # NVML_FI_DEV_PCIE_REPLAY_COUNTER
    "recovery_action": [(230, GPU)],  # NVML_FI_DEV_GET_GPU_RECOVERY_ACTION, driver 570 and later
}
_COUNTED = ("ecc_volatile", "ecc_aggregate", "retired_pages", "remapped_rows")
_FLAGS = ("retired_pages_pending", "row_remap_pending", "row_remap_failed")
_MOST_ERRORS = 1 << 48  # far beyond what a card lives through; all ones and -1 lie above it
_MOST_CELSIUS = 150
_MOST_MEGAHERTZ = 40_000  # the memory of an RTX 4090 runs at 10 501, that of newer cards faster
_MOST_WATTS = 20_000
_MOST_FAN_PERCENT = 250  # by its documentation a fan may be asked for more than 100
_MOST_FANS = 16

Values = dict[str, Any]


class SlowLane:
    """Buffers and calls of the lane, made once, and the latest value of what is not read every time."""

    def __init__(self, device: Device, throttling: ThrottleReasons, options: Options) -> None:
        self._device = device
        self._number = ctypes.c_uint()
        self._fields = FieldBatch(device, _FIELDS)
        self._links = NvLinks(device, self._fields, each=options.nvlink_links)
        self._throttling = throttling
        self._partitions = Partitions(device, options.clock, gpm=options.gpm)
        self._activity = Activity(device, options.clock) if options.gpm else None
        self._bind()
        self._turns = (self._limits_and_fans, self._pcie_link, self._rare_engines)
        self._kept: list[Values] = [{} for _ in self._turns]

    def _bind(self) -> None:
        call, number = self._device.call, ctypes.byref(self._number)
        self._temperature = abi.Temperature(version=abi.TEMPERATURE_V1, sensor=abi.TEMPERATURE_OF_GPU)
        self._read_temperature = call(
            "nvmlDeviceGetTemperatureV", "temperature_c", ctypes.byref(self._temperature)
        )
        of_gpu = ctypes.c_int(abi.TEMPERATURE_OF_GPU)
        self._read_temperature_before = call("nvmlDeviceGetTemperature", "temperature_c", of_gpu, number)
        self._margin = abi.Margin(version=abi.MARGIN_V1)
        self._read_margin = call(
            "nvmlDeviceGetMarginTemperature", "temperature_margin_c", ctypes.byref(self._margin)
        )
        self._limit = call("nvmlDeviceGetPowerManagementLimit", "power_limit_w", number)
        self._enforced = call("nvmlDeviceGetEnforcedPowerLimit", "power_limit_enforced_w", number)
        self._fan_count = call("nvmlDeviceGetNumFans", "fan_ratio", number)
        self._fans: list[Call] | None = None
        self._clocks = {
            name: call("nvmlDeviceGetClockInfo", f"clock_hz.{name}", ctypes.c_int(which), number)
            for name, which in abi.CLOCKS.items()
        }
        self._state = call("nvmlDeviceGetPerformanceState", "performance_state", number)
        self._period = ctypes.c_uint()
        self._engines = {
            engine: call(
                f"nvmlDeviceGet{word}Utilization",
                f"engine_ratio.{engine}",
                number,
                ctypes.byref(self._period),
            )
            for engine, word in (
                ("encoder", "Encoder"),
                ("decoder", "Decoder"),
                ("jpeg", "Jpg"),
                ("ofa", "Ofa"),
            )
        }
        self._generation = call("nvmlDeviceGetCurrPcieLinkGeneration", "pcie_link_generation", number)
        self._width = call("nvmlDeviceGetCurrPcieLinkWidth", "pcie_link_width", number)
        self._replays = call("nvmlDeviceGetPcieReplayCounter", "pcie_replays", number)

    def read(self, turn: int | None) -> SlowReading:
        """One reading; `turn` says which of the rarer groups is due, None = all. Raises SourceError."""
        fields = self._fields.read()
        for number, group in enumerate(self._turns):
            if turn is None or turn % len(self._turns) == number:
                self._kept[number] = group()
        rare: Values = {name: value for values in self._kept for name, value in values.items()}
        engines = {**self._engine_ratios("encoder", "decoder"), **rare.pop("rare_engines", {})}
        replays = self._errors("pcie_replays", fields)
        if replays is not None:
            rare.pop("pcie_replays", None)
        else:
            replays = rare.pop("pcie_replays", None)
        return SlowReading(
            temperature_c=self._celsius(),
            memory_temperature_c=self._above_freezing(
                "memory_temperature_c", fields.get("memory_temperature_c")
            ),
            temperature_margin_c=self._margin_celsius(),
            clock_hz=self._clock_hertz(),
            performance_state=self._performance_state(),
            engine_ratio=engines,
            throttle_active=self._throttling.read() or {},
            **self._health(fields),
            pcie_replays=replays,
            nvlinks=self._links.of(fields),
            **self._partitions.read(thorough=turn is None or turn % len(self._turns) == 0),
            activity_ratio=self._activity.read() if self._activity is not None else {},
            **rare,
        )

    def close(self) -> None:
        """Free what the lane holds in the driver."""
        self._partitions.close()
        if self._activity is not None:
            self._activity.close()

    def _celsius(self) -> float | None:
        if self._read_temperature():
            return self._above_freezing("temperature_c", self._temperature.celsius)
        if self._read_temperature.absent and self._read_temperature_before():
            return self._above_freezing("temperature_c", self._number.value)
        return None

    def _above_freezing(self, reading: str, celsius: float | None) -> float | None:
        """Exactly 0 is what drivers say for a sensor that failed; no card at work is that cold."""
        kept = self._device.keep(reading, celsius, 1, _MOST_CELSIUS)
        return None if kept is None else float(kept)

    def _margin_celsius(self) -> float | None:
        if not self._read_margin():
            return None
        kept = self._device.keep(
            "temperature_margin_c", self._margin.celsius, -_MOST_CELSIUS, 2 * _MOST_CELSIUS
        )
        return None if kept is None else float(kept)

    def _value_of(self, call: Call, low: float, high: float) -> int | None:
        """The number that a call brings, if it is possible."""
        return self._device.keep(call.reading, self._number.value, low, high) if call() else None

    def _clock_hertz(self) -> dict[str, float]:
        megahertz = {name: self._value_of(call, 0, _MOST_MEGAHERTZ) for name, call in self._clocks.items()}
        return {name: mhz * 1e6 for name, mhz in megahertz.items() if mhz is not None}

    def _performance_state(self) -> int | None:
        if not self._state() or self._number.value == abi.UNKNOWN_PERFORMANCE_STATE:
            return None
        return self._device.keep("performance_state", self._number.value, 0, 15)

    def _engine_ratios(self, *engines: str) -> dict[str, float]:
        percents = {engine: self._value_of(self._engines[engine], 0, 100) for engine in engines}
        return {engine: percent / 100 for engine, percent in percents.items() if percent is not None}

    def _errors(self, reading: str, fields: Mapping[str, float]) -> int | None:
        value = fields.get(reading)
        return None if value is None else self._device.keep(reading, int(value), 0, _MOST_ERRORS)

    def _health(self, fields: Mapping[str, float]) -> Values:
        values: Values = {}
        for family in _COUNTED:
            keys = (reading for reading in _FIELDS if reading.startswith(f"{family}."))
            counted = {key.partition(".")[2]: self._errors(key, fields) for key in keys}
            values[family] = {word: number for word, number in counted.items() if number is not None}
        for reading in _FLAGS:
            flag = self._device.keep(reading, fields.get(reading), 0, 1)
            values[reading] = None if flag is None else bool(flag)
        action = self._device.keep("recovery_action", fields.get("recovery_action"), 0, 255)
        values["recovery_action"] = None if action is None else int(action)
        return values

    # What is read in turns.

    def _limits_and_fans(self) -> Values:
        watts = {
            call.reading: self._value_of(call, 1, _MOST_WATTS * 1000)
            for call in (self._limit, self._enforced)
        }
        values: Values = {name: None if mw is None else mw / 1000 for name, mw in watts.items()}
        if self._fans is None:
            self._fans = self._find_fans()
        fans = enumerate(self._fans or ())
        percents = {str(n): self._value_of(fan, 0, _MOST_FAN_PERCENT) for n, fan in fans}
        values["fan_ratio"] = {fan: percent / 100 for fan, percent in percents.items() if percent is not None}
        return values

    def _find_fans(self) -> list[Call] | None:
        """Calls for each fan; None if their number could not be had this time."""
        call, number = self._device.call, ctypes.byref(self._number)
        if self._fan_count():
            fans = min(self._number.value, _MOST_FANS)
            return [
                call("nvmlDeviceGetFanSpeed_v2", "fan_ratio", ctypes.c_uint(n), number) for n in range(fans)
            ]
        if self._fan_count.absent == "function_missing":
            return [call("nvmlDeviceGetFanSpeed", "fan_ratio", number)]
        return [] if self._fan_count.absent else None

    def _pcie_link(self) -> Values:
        return {
            "pcie_link_generation": self._value_of(self._generation, 1, 16),
            "pcie_link_width": self._value_of(self._width, 1, 64),
            "pcie_replays": (
                None if self._fields.asks("pcie_replays") else self._value_of(self._replays, 0, 0xFFFFFFFE)
            ),
        }

    def _rare_engines(self) -> Values:
        return {"rare_engines": self._engine_ratios("jpeg", "ofa")}
