"""Time zones by name. Only such whose clocks and calendar are a place's: abbreviations and offsets deceive.

`EST` knows no summer time, `Etc/GMT+5` is five hours behind and not ahead, `right/...` counts leap seconds,
and `localtime` is whatever the machine has.
"""

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from gputally.config.strict import Value

_OF_A_PLACE = re.compile(r"(Etc/)?UTC|(?!Etc/|SystemV/)[A-Z][A-Za-z_]+(/[A-Za-z0-9_+-]+)+")


def read_zone(value: Value) -> str:
    """Read the name of a time zone. Raises ConfigError for one that nobody knows."""
    name = value.string("a time zone such as Europe/Berlin")
    if not _OF_A_PLACE.fullmatch(name) or not _is_known(name):
        meant = [zone for zone in available_timezones() if zone.casefold() == name.casefold()]
        near = next(filter(_OF_A_PLACE.fullmatch, meant), "Europe/Berlin")
        raise value.expected(f"the time zone of a place, such as {near}, or UTC")
    return name


def _is_known(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
