"""Thresholds of alerts that differ from site to site: the one table of them, and of their defaults.

The site agent publishes them as `gputally_threshold{alert=...}`, and rules compare with the series. Where no
site agent is, the defaults in prometheus/rules/thresholds.yml hold; they are these. What a card knows about
itself, such as the temperature at which it slows down, is not here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Threshold:
    """What one alert compares with. `alert` is the alert's name, and the key in the configuration."""

    alert: str
    default: float
    unit: str
    minimum: float
    maximum: float
    meaning: str


# fmt: off
_ROWS: tuple[Threshold, ...] = (
    Threshold("GpuTooHot", 3, "celsius", 0, 30, "Degrees left until the card slows down; it is too hot below. 0 turns it off."),
    Threshold("GpuIdleAllocated", 0.01, "ratio", 0, 1, "Busy share of an hour below which a GPU that a job holds is idle. 0 turns it off."),
    Threshold("GpuUnusedMemoryHeld", 0.01, "ratio", 0, 1, "Busy share of an hour below which a process outside of any job only holds memory. 0 turns it off."),
    Threshold("GpuPowerAtNight", 0.05, "ratio", 0, 1, "Busy share of a night below which a GPU that draws more than its baseline wastes it. 0 turns it off."),
    Threshold("GpuBusyWithoutProcess", 0.5, "ratio", 0, 1, "Busy share above which a GPU on which no process is known is suspect. 1 turns it off."),
    Threshold("GpuCostPerDay", 0, "money", 0, 1_000_000_000_000, "Budget of a cluster for a calendar day, in the currency of the tariff. 0 turns it off."),
    Threshold("GpuCostRise", 0.5, "ratio", 0, 1_000_000, "Rise of cost over the same hours of the week before, as a share of it; 0.5 is half as much again. 1000000 turns it off."),
    Threshold("GputallyUnattributed", 0.1, "ratio", 0, 1, "Share of energy that is nobody's, idle GPUs not counted, above which attribution is broken. 1 turns it off."),
    Threshold("GputallyTariffEnds", 14, "days", 0, 366, "Days before the declared prices end at which somebody should declare the next."),
    Threshold("GputallyMarketUnmappedModels", 20, "rows", 0, 1_000_000, "Rows of a provider, for a day, whose model the catalogue does not know. 1000000 turns it off."),
    Threshold("GputallyMarketPriceDrop", 0.2, "ratio", 0, 1, "Fall of the cheapest price of a card below its mean of a week, as a share of that. 1 turns it off."),
    Threshold("GpuReservationIdle", 0.05, "ratio", 0, 1, "Used share of half an hour below which reserved GPUs are idle. 0 turns it off."),
    Threshold("GpuReservationViolated", 1_000_000_000, "bytes", 0, 1_000_000_000_000, "Memory that somebody holds on a GPU that others have reserved, above which they are told. 1000000000000 turns it off."),
    Threshold("GputallyBillsOld", 3, "days", 1, 60, "Days since the end of the latest day that the ledger has of a provider, above which its bill is missed. 60 turns it off."),
    Threshold("GputallySampleOld", 120, "seconds", 30, 3600, "Age of the latest sample above which an agent has stopped metering."),
)
# fmt: on

THRESHOLDS: Mapping[str, Threshold] = MappingProxyType({row.alert: row for row in _ROWS})
DEFAULTS: Mapping[str, float] = MappingProxyType({row.alert: row.default for row in _ROWS})
