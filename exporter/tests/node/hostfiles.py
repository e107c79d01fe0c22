"""The kernel's files about a host, as they were recorded."""

from pathlib import Path

FIXTURE = Path(__file__).parent / "fixtures/host/proc"
FILES = ("stat", "loadavg", "meminfo", "diskstats", "net/dev", "uptime")
