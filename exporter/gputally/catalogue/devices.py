"""Families of a GPU: one row each, in the order of the manual."""

# fmt: off
from functools import partial

from gputally.catalogue.family import DEVICE_LABELS, Family

D = DEVICE_LABELS
MIG = (*D, "gpu_instance_id", "compute_instance_id")
PROCESS = (*D, "pid", "process", "user", "job_id")


def _rows(section: str) -> tuple["partial[Family]", "partial[Family]"]:
    return (
        partial(Family, type="gauge", section=section),
        partial(Family, type="counter", section=section),
    )


_g, _c = _rows("Identity and state")
IDENTITY = (
    _g("gpu_info", unit="", labels=(*D, "name", "vendor", "architecture", "pci_bus_id", "serial", "vbios_version", "compute_capability"), help="Always 1; names and versions of a GPU, to be joined to other series by gpu and uuid.", source="nvmlDeviceGetName, nvmlDeviceGetPciInfo, nvmlDeviceGetVbiosVersion"),
    _g("gpu_driver_info", unit="", labels=("source", "driver_version", "cuda_version", "library_version"), help="Always 1; where readings come from and in which version.", source="nvmlSystemGetDriverVersion, nvmlSystemGetCudaDriverVersion_v2"),
    _g("gpu_up", unit="", labels=D, help="1 while the GPU answers, 0 while it is lost, hung, released or gone; its counters stay either way.", source="whether the latest read succeeded in time"),
    _g("gpu_down_info", unit="", labels=(*D, "reason"), help="Always 1; why the GPU is down. Absent while it is up.", source="the error of the latest read"),
    _g("gpu_last_reading_timestamp_seconds", unit="seconds", labels=D, help="When the latest good reading of the GPU was taken, as Unix time.", source="the sampler's clock"),
    _c("gpu_device_events_total", unit="", labels=(*D, "event"), help="Changes of a GPU's state: added, lost, returned, removed, driver_reload, reboot.", source="the sampler"),
)

_g, _c = _rows("Power and energy")
POWER = (
    _g("gpu_power_watts", unit="watts", labels=D, help="Power of the board as the driver reports it by default; a 1 s average on most cards since Ampere.", source="NVML_FI_DEV_POWER_AVERAGE, else nvmlDeviceGetPowerUsage", record="fast", key="power_w"),
    _g("gpu_power_average_watts", unit="watts", labels=D, help="Power of the board, averaged by the driver over 1 s.", source="NVML_FI_DEV_POWER_AVERAGE", record="fast", key="power_average_w"),
    _g("gpu_power_instant_watts", unit="watts", labels=D, help="Power of the board at one instant.", source="NVML_FI_DEV_POWER_INSTANT", record="fast", key="power_instant_w"),
    _g("gpu_power_peak_watts", unit="watts", labels=D, help="Highest power sample of the last 60 s.", source="the largest power reading of each tick", record="counters", key="power_peak_w"),
    _g("gpu_power_limit_watts", unit="watts", labels=D, help="Power limit as set.", source="nvmlDeviceGetPowerManagementLimit", record="slow", key="power_limit_w"),
    _g("gpu_power_limit_enforced_watts", unit="watts", labels=D, help="Power limit in force, the lowest of all that apply.", source="nvmlDeviceGetEnforcedPowerLimit", record="slow", key="power_limit_enforced_w"),
    _g("gpu_power_limit_default_watts", unit="watts", labels=D, help="Power limit that the card starts with.", source="nvmlDeviceGetPowerManagementDefaultLimit", record="description", key="power_limit_default_w"),
    _g("gpu_power_limit_min_watts", unit="watts", labels=D, help="Lowest power limit that can be set.", source="nvmlDeviceGetPowerManagementLimitConstraints", record="description", key="power_limit_min_w"),
    _g("gpu_power_limit_max_watts", unit="watts", labels=D, help="Highest power limit that can be set.", source="nvmlDeviceGetPowerManagementLimitConstraints", record="description", key="power_limit_max_w"),
    _c("gpu_energy_joules_total", unit="joules", labels=D, help="Energy used since gputally first saw the GPU, over restarts, driver reloads and reboots.", source="nvmlDeviceGetTotalEnergyConsumption, else integrated power", record="counters", key="energy_joules"),
    _g("gpu_energy_source_info", unit="", labels=(*D, "source", "reason"), help="Always 1; what the energy counter is fed from: counter, samples, average, instant or none.", source="the energy ladder"),
    _c("gpu_energy_clamped_joules_total", unit="joules", labels=D, help="Energy that the driver's counter claimed and physics forbids; not counted.", source="counter jumps above 1.2 times the power limit", record="counters", key="energy_clamped_joules"),
    _c("gpu_energy_unmeasured_seconds_total", unit="seconds", labels=D, help="Time for which no energy could be measured, so that none was counted.", source="gaps without a hardware counter, driver reloads", record="counters", key="energy_unmeasured_seconds"),
    _c("gpu_throttle_seconds_total", unit="seconds", labels=(*D, "reason"), help="Time during which clocks were held down, by reason: sw_power_cap, sw_thermal, hw_thermal, hw_power_brake, sync_boost; thermal on older drivers.", source="NVML_FI_DEV_CLOCKS_EVENT_REASON_* counters, else the reasons at each tick", record="counters", key="throttle_seconds"),
    _g("gpu_throttle_active", unit="", labels=(*D, "reason"), help="1 while clocks are held down for this reason.", source="nvmlDeviceGetCurrentClocksEventReasons", record="slow", key="throttle_active"),
)

_g, _c = _rows("Cost and emissions")
MONEY = (
    _c("gpu_energy_cost_total", unit="", labels=(*D, "currency"), help="Cost of the GPU's energy, PUE included, integrated at every tick at the price of that moment.", source="gpu_energy_joules_total, the tariff", record="counters.money", key="cost"),
    _c("gpu_energy_credit_total", unit="", labels=(*D, "currency"), help="What prices below zero would have paid back, which the cost leaves out. Absent until there was such a price.", source="gpu_energy_joules_total, the tariff", record="counters.money", key="credit"),
    _c("gpu_energy_by_tariff_joules_total", unit="joules", labels=(*D, "tariff"), help="Energy of the GPU by the band of the tariff in which it was used; no PUE in it.", source="gpu_energy_joules_total, the tariff", record="counters.money", key="by_tariff_joules"),
    _c("gpu_emissions_grams_total", unit="grams", labels=D, help="Carbon dioxide of the GPU's energy, PUE included, integrated at every tick.", source="gpu_energy_joules_total, the carbon intensity", record="counters.money", key="emissions_grams"),
    _g("gpu_cost_day", unit="", labels=(*D, "day", "currency"), help="Cost of the GPU's energy in a day of the site's calendar: today and yesterday.", source="gpu_energy_cost_total, split at midnight"),
    _g("gpu_energy_day_joules", unit="joules", labels=(*D, "day"), help="Energy of the GPU in a day of the site's calendar: today and yesterday.", source="gpu_energy_joules_total, split at midnight", record="counters.money", key="day_joules"),
)

_g, _c = _rows("Utilisation and memory")
UTILIZATION = (
    _g("gpu_utilization_ratio", unit="ratio", labels=D, help="Share of time in which a kernel ran, over the driver's own window of 1/6 to 1 s. Absent with MIG.", source="nvmlDeviceGetUtilizationRates", record="fast", key="utilization_ratio"),
    _g("gpu_utilization_peak_ratio", unit="ratio", labels=D, help="Highest utilisation of the last 60 s.", source="the largest utilisation reading", record="counters", key="utilization_peak_ratio"),
    _c("gpu_busy_seconds_total", unit="seconds", labels=D, help="Time in which a kernel ran: utilisation integrated at every tick.", source="nvmlDeviceGetUtilizationRates", record="counters", key="busy_seconds"),
    _g("gpu_memory_utilization_ratio", unit="ratio", labels=D, help="Share of time in which device memory was read or written. Bandwidth, not occupancy.", source="nvmlDeviceGetUtilizationRates", record="fast", key="memory_utilization_ratio"),
    _g("gpu_engine_utilization_ratio", unit="ratio", labels=(*D, "engine"), help="Utilisation of the encoder, decoder, JPEG and optical-flow engines.", source="nvmlDeviceGetEncoderUtilization and its siblings", record="slow", key="engine_ratio"),
    _g("gpu_memory_total_bytes", unit="bytes", labels=D, help="Device memory.", source="nvmlDeviceGetMemoryInfo_v2", record="fast", key="memory_total_bytes"),
    _g("gpu_memory_used_bytes", unit="bytes", labels=D, help="Device memory in use by programs.", source="nvmlDeviceGetMemoryInfo_v2", record="fast", key="memory_used_bytes"),
    _g("gpu_memory_free_bytes", unit="bytes", labels=D, help="Device memory that is free.", source="nvmlDeviceGetMemoryInfo_v2", record="fast", key="memory_free_bytes"),
    _g("gpu_memory_reserved_bytes", unit="bytes", labels=D, help="Device memory that the driver and firmware keep for themselves.", source="nvmlDeviceGetMemoryInfo_v2", record="fast", key="memory_reserved_bytes"),
)

_g, _c = _rows("Activity of the chip's units (--collector.gpm)")
_GPM = "GPM metrics of NVML, Hopper and later"
ACTIVITY = (
    _g("gpu_sm_active_ratio", unit="ratio", labels=D, help="Share of streaming multiprocessors with work.", source=_GPM, record="slow", key="activity_ratio.sm"),
    _g("gpu_sm_occupancy_ratio", unit="ratio", labels=D, help="Warps in flight against the most that fit.", source=_GPM, record="slow", key="activity_ratio.sm_occupancy"),
    _g("gpu_tensor_active_ratio", unit="ratio", labels=D, help="Share of cycles in which tensor cores worked.", source=_GPM, record="slow", key="activity_ratio.tensor"),
    _g("gpu_dram_active_ratio", unit="ratio", labels=D, help="Share of the memory bandwidth in use.", source=_GPM, record="slow", key="activity_ratio.dram"),
    _g("gpu_fp64_active_ratio", unit="ratio", labels=D, help="Share of cycles in which double-precision pipes worked.", source=_GPM, record="slow", key="activity_ratio.fp64"),
    _g("gpu_fp32_active_ratio", unit="ratio", labels=D, help="Share of cycles in which single-precision pipes worked.", source=_GPM, record="slow", key="activity_ratio.fp32"),
    _g("gpu_fp16_active_ratio", unit="ratio", labels=D, help="Share of cycles in which half-precision pipes worked.", source=_GPM, record="slow", key="activity_ratio.fp16"),
)

_g, _c = _rows("Temperature, fans and clocks")
THERMAL = (
    _g("gpu_temperature_celsius", unit="celsius", labels=D, help="Temperature of the chip.", source="nvmlDeviceGetTemperature", record="slow", key="temperature_c"),
    _g("gpu_memory_temperature_celsius", unit="celsius", labels=D, help="Temperature of the memory; data-centre cards only.", source="NVML_FI_DEV_MEMORY_TEMP", record="slow", key="memory_temperature_c"),
    _g("gpu_temperature_margin_celsius", unit="celsius", labels=D, help="Degrees left until the card slows itself down.", source="nvmlDeviceGetMarginTemperature", record="slow", key="temperature_margin_c"),
    _g("gpu_temperature_limit_celsius", unit="celsius", labels=(*D, "limit"), help="The card's own limits: slowdown, shutdown, gpu_max, memory_max.", source="nvmlDeviceGetTemperatureThreshold", record="description", key="temperature_limits_c"),
    _g("gpu_fan_speed_ratio", unit="ratio", labels=(*D, "fan"), help="Fan speed against its maximum; passively cooled cards have none.", source="nvmlDeviceGetFanSpeed_v2", record="slow", key="fan_ratio"),
    _g("gpu_clock_hertz", unit="hertz", labels=(*D, "clock"), help="Clocks now: graphics, sm, memory, video.", source="nvmlDeviceGetClockInfo", record="slow", key="clock_hz"),
    _g("gpu_clock_max_hertz", unit="hertz", labels=(*D, "clock"), help="Highest clocks of the card.", source="nvmlDeviceGetMaxClockInfo", record="description", key="clock_max_hz"),
    _g("gpu_performance_state", unit="", labels=D, help="Performance state: 0 is the fastest, 15 the slowest.", source="nvmlDeviceGetPerformanceState", record="slow", key="performance_state"),
)

_g, _c = _rows("PCI Express and NVLink")
LINKS = (
    _c("gpu_pcie_transmit_bytes_total", unit="bytes", labels=D, help="Bytes sent over PCI Express.", source="NVML_FI_DEV_PCIE_COUNT_TX_BYTES", record="counters", key="pcie_transmit_bytes"),
    _c("gpu_pcie_receive_bytes_total", unit="bytes", labels=D, help="Bytes received over PCI Express.", source="NVML_FI_DEV_PCIE_COUNT_RX_BYTES", record="counters", key="pcie_receive_bytes"),
    _c("gpu_pcie_replays_total", unit="", labels=D, help="Packets that PCI Express had to send again.", source="NVML_FI_DEV_PCIE_REPLAY_COUNTER", record="counters", key="pcie_replays"),
    _g("gpu_pcie_link_generation", unit="", labels=D, help="PCI Express generation in use; an idle card lowers it.", source="nvmlDeviceGetCurrPcieLinkGeneration", record="slow", key="pcie_link_generation"),
    _g("gpu_pcie_link_generation_max", unit="", labels=D, help="Highest PCI Express generation of card and slot.", source="nvmlDeviceGetMaxPcieLinkGeneration", record="description", key="pcie_link_generation_max"),
    _g("gpu_pcie_link_width", unit="", labels=D, help="PCI Express lanes in use.", source="nvmlDeviceGetCurrPcieLinkWidth", record="slow", key="pcie_link_width"),
    _g("gpu_pcie_link_width_max", unit="", labels=D, help="PCI Express lanes of card and slot.", source="nvmlDeviceGetMaxPcieLinkWidth", record="description", key="pcie_link_width_max"),
    _c("gpu_nvlink_transmit_bytes_total", unit="bytes", labels=(*D, "link"), help='Bytes sent over NVLink; link="all" unless --collector.nvlink-links.', source="NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX", record="counters", key="nvlink_transmit_bytes"),
    _c("gpu_nvlink_receive_bytes_total", unit="bytes", labels=(*D, "link"), help='Bytes received over NVLink; link="all" unless --collector.nvlink-links.', source="NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX", record="counters", key="nvlink_receive_bytes"),
    _c("gpu_nvlink_errors_total", unit="", labels=(*D, "link", "type"), help="NVLink errors by type: crc, replay, recovery.", source="NVML_FI_DEV_NVLINK_ERROR_DL_CRC and its siblings"),
    _g("gpu_nvlink_up", unit="", labels=(*D, "link"), help='1 while the NVLink is up; link="all" only if all are.', source="nvmlDeviceGetNvLinkState"),
)

_g, _c = _rows("Health")
HEALTH = (
    _c("gpu_ecc_errors_total", unit="", labels=(*D, "severity"), help="Memory errors over the card's life: corrected, uncorrected.", source="NVML_FI_DEV_ECC_SBE_AGG_TOTAL, NVML_FI_DEV_ECC_DBE_AGG_TOTAL", record="counters", key="ecc_errors"),
    _g("gpu_ecc_volatile_errors", unit="", labels=(*D, "severity"), help="Memory errors since the driver was loaded: corrected, uncorrected.", source="NVML_FI_DEV_ECC_SBE_VOL_TOTAL, NVML_FI_DEV_ECC_DBE_VOL_TOTAL", record="slow", key="ecc_volatile"),
    _g("gpu_retired_pages", unit="", labels=(*D, "cause"), help="Memory pages taken out of use, before Ampere: single_bit, double_bit.", source="NVML_FI_DEV_RETIRED_SBE, NVML_FI_DEV_RETIRED_DBE", record="slow", key="retired_pages"),
    _g("gpu_retired_pages_pending", unit="", labels=D, help="1 while pages wait for a reboot to be taken out of use.", source="NVML_FI_DEV_RETIRED_PENDING", record="slow", key="retired_pages_pending"),
    _g("gpu_remapped_rows", unit="", labels=(*D, "cause"), help="Memory rows replaced by spare ones, since Ampere: corrected, uncorrected.", source="NVML_FI_DEV_REMAPPED_COR, NVML_FI_DEV_REMAPPED_UNC", record="slow", key="remapped_rows"),
    _g("gpu_row_remap_pending", unit="", labels=D, help="1 while a row waits for a reset to be replaced.", source="NVML_FI_DEV_REMAPPED_PENDING", record="slow", key="row_remap_pending"),
    _g("gpu_row_remap_failed", unit="", labels=D, help="1 after a row could not be replaced: the card wants to be exchanged.", source="NVML_FI_DEV_REMAPPED_FAILURE", record="slow", key="row_remap_failed"),
    _c("gpu_xid_errors_total", unit="", labels=(*D, "xid"), help="XID errors that the driver reported, by number.", source="nvmlEventSetWait_v2, nvmlEventTypeXidCriticalError", record="counters", key="xid_errors"),
    _g("gpu_xid_last_timestamp_seconds", unit="seconds", labels=(*D, "xid"), help="When the XID was last seen, as Unix time.", source="nvmlEventSetWait_v2", record="counters", key="xid_last_seconds"),
    _g("gpu_recovery_action", unit="", labels=D, help="What the driver asks for: 0 nothing, 1 reset, 2 reboot, 3 drain peer-to-peer, 4 drain and reset.", source="NVML_FI_DEV_GET_GPU_RECOVERY_ACTION", record="slow", key="recovery_action"),
)

_g, _c = _rows("MIG")
PARTITIONS = (
    _g("gpu_mig_mode", unit="", labels=D, help="1 while the GPU is partitioned by MIG.", source="nvmlDeviceGetMigMode", record="slow", key="mig_enabled"),
    _g("gpu_mig_mode_pending", unit="", labels=D, help="MIG mode after the next reset.", source="nvmlDeviceGetMigMode", record="slow", key="mig_pending"),
    _g("gpu_mig_info", unit="", labels=(*MIG, "mig_uuid", "profile"), help="Always 1; one partition of a GPU.", source="nvmlDeviceGetMigDeviceHandleByIndex"),
    _g("gpu_mig_compute_slices", unit="", labels=MIG, help="Compute slices of the partition, out of 7.", source="nvmlDeviceGetAttributes_v2"),
    _g("gpu_mig_memory_total_bytes", unit="bytes", labels=MIG, help="Memory of the partition.", source="nvmlDeviceGetMemoryInfo_v2 of the partition"),
    _g("gpu_mig_memory_used_bytes", unit="bytes", labels=MIG, help="Memory in use in the partition.", source="nvmlDeviceGetMemoryInfo_v2 of the partition"),
    _g("gpu_mig_sm_active_ratio", unit="ratio", labels=MIG, help="Share of the partition's multiprocessors with work.", source="nvmlGpmMigSampleGet"),
)

_g, _c = _rows("Processes")
PROCESSES = (
    _g("gpu_processes", unit="", labels=D, help="Processes on the GPU.", source="nvmlDeviceGetComputeRunningProcesses_v3, nvmlDeviceGetGraphicsRunningProcesses_v3"),
    _g("gpu_process_memory_bytes", unit="bytes", labels=PROCESS, help='Device memory of a process; beyond 64 a GPU they stand together as pid="other".', source="nvmlDeviceGetComputeRunningProcesses_v3"),
    _g("gpu_process_utilization_ratio", unit="ratio", labels=PROCESS, help="Share of the multiprocessors' time that a process used since the tick before.", source="nvmlDeviceGetProcessUtilization"),
)

DEVICES: tuple[Family, ...] = (
    *IDENTITY,
    *POWER,
    *MONEY,
    *UTILIZATION,
    *ACTIVITY,
    *THERMAL,
    *LINKS,
    *HEALTH,
    *PARTITIONS,
    *PROCESSES,
)
