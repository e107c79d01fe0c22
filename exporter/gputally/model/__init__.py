"""The records that flow from a source to a scrape: frozen, SI units, None where nothing is available."""

from gputally.model.clock import Clock, Instant
from gputally.model.gpu import Description, Driver, Gpu, Inventory
from gputally.model.host import HostCounters
from gputally.model.job import OTHER, UNASSIGNED, Job, JobRow, Ledger, Spent, TeamRow, Unattributed
from gputally.model.reading import FastReading, MigInstance, NvLink, ProcessReading, Reading, SlowReading
from gputally.model.snapshot import (
    CollectorHealth,
    GpuCounters,
    GpuMoney,
    GpuSnapshot,
    ProcessRow,
    SelfReport,
    Snapshot,
    TariffReport,
    WebReport,
)

__all__ = [
    "OTHER",
    "UNASSIGNED",
    "Clock",
    "CollectorHealth",
    "Description",
    "Driver",
    "FastReading",
    "Gpu",
    "GpuCounters",
    "GpuMoney",
    "GpuSnapshot",
    "HostCounters",
    "Instant",
    "Inventory",
    "Job",
    "JobRow",
    "Ledger",
    "MigInstance",
    "NvLink",
    "ProcessReading",
    "ProcessRow",
    "Reading",
    "SelfReport",
    "SlowReading",
    "Snapshot",
    "Spent",
    "TariffReport",
    "TeamRow",
    "Unattributed",
    "WebReport",
]
