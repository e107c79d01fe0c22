"""Families of the machine around the GPUs."""

# fmt: off
from functools import partial

from gputally.catalogue.family import Family

_gauge = partial(Family, type="gauge", section="Host", record="host")
_counter = partial(Family, type="counter", section="Host", record="host")

HOSTS: tuple[Family, ...] = (
    _counter("host_cpu_seconds_total", unit="seconds", labels=("mode",), help="CPU time of all cores together, by mode.", source="/proc/stat", key="cpu_seconds"),
    _gauge("host_cpus", unit="", labels=(), help="Logical CPUs.", source="/proc/stat", key="cpus"),
    _gauge("host_load_average", unit="", labels=("window",), help="Runnable tasks, averaged over 1m, 5m and 15m.", source="/proc/loadavg", key="load_average"),
    _gauge("host_memory_total_bytes", unit="bytes", labels=(), help="Main memory.", source="/proc/meminfo", key="memory_total_bytes"),
    _gauge("host_memory_available_bytes", unit="bytes", labels=(), help="Main memory that programs can have without swapping.", source="/proc/meminfo", key="memory_available_bytes"),
    _gauge("host_memory_used_bytes", unit="bytes", labels=(), help="Main memory in use, caches not counted.", source="/proc/meminfo", key="memory_used_bytes"),
    _gauge("host_swap_total_bytes", unit="bytes", labels=(), help="Swap space.", source="/proc/meminfo", key="swap_total_bytes"),
    _gauge("host_swap_used_bytes", unit="bytes", labels=(), help="Swap space in use.", source="/proc/meminfo", key="swap_used_bytes"),
    _counter("host_disk_read_bytes_total", unit="bytes", labels=("device",), help="Bytes read from a disk.", source="/proc/diskstats", key="disk_read_bytes"),
    _counter("host_disk_written_bytes_total", unit="bytes", labels=("device",), help="Bytes written to a disk.", source="/proc/diskstats", key="disk_written_bytes"),
    _counter("host_network_receive_bytes_total", unit="bytes", labels=("device",), help="Bytes received by a network interface.", source="/proc/1/net/dev", key="network_receive_bytes"),
    _counter("host_network_transmit_bytes_total", unit="bytes", labels=("device",), help="Bytes sent by a network interface.", source="/proc/1/net/dev", key="network_transmit_bytes"),
    _gauge("host_uptime_seconds", unit="seconds", labels=(), help="Time since the machine was booted.", source="/proc/uptime", key="uptime_seconds"),
    _counter("host_energy_joules_total", unit="joules", labels=("domain",), help="Energy of CPU packages and memory, where the kernel lets us read it.", source="/sys/class/powercap (RAPL)", key="energy_joules"),
    _gauge("host_temperature_celsius", unit="celsius", labels=("sensor",), help="Temperature of the CPU packages.", source="/sys/class/hwmon", key="temperature_c"),
)
