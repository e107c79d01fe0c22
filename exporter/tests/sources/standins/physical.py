"""What holds for every reading, whatever a program printed."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

_MAY_BE_NEGATIVE = {"temperature_margin_c"}
_MOST = {
    "temperature_c": 150,
    "memory_temperature_c": 150,
    "power_w": 2000,
    "fan_ratio": 2.5,
    "performance_state": 15,
}


def plain(value: Any) -> Any:
    """A record as JSON, without what is not available."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        # An empty list of processes says that none runs; other empty things say nothing.
        empty = (None, {}, [], "")
        return {
            name: part
            for name, part in fields.items()
            if part not in empty or (name, part) == ("processes", [])
        }
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return value


def assert_physical(record: Any) -> None:
    """No NaN, no infinity, nothing negative, no ratio above 1, no sentinel."""
    json.dumps(plain(record), allow_nan=False)
    for name, number in _numbers("", plain(record)):
        field = name.partition(".")[0]
        assert math.isfinite(number), name
        assert number >= 0 or field in _MAY_BE_NEGATIVE, (name, number)
        assert number < 1 << 63, (name, number)
        most = _MOST.get(field, 1 if field.endswith("_ratio") else math.inf)
        assert number <= most, (name, number)


def _numbers(name: str, value: Any) -> list[tuple[str, float]]:
    if isinstance(value, (bool, str)):
        return []
    if isinstance(value, (int, float)):
        return [(name, value)]
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    inside = name if name and name not in ("fast", "slow") else ""
    return [found for key, part in parts for found in _numbers(f"{inside}.{key}".lstrip("."), part)]
