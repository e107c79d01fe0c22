"""What can be wrong with a GPU: conditions, each of which gives the GPUs of which it is true.

What the alerts about hardware say is said here without their patience: a finding is there once it is seen.
"""

from grafana.absence import GPU_KEYS

# Heat and the power supply; a power limit that does its job is no finding.
SLOWED = 'reason=~"hw_thermal|sw_thermal|thermal|hw_power_brake"'

LOST = "gpu_up{} == 0"
ASKS = "gpu_recovery_action{} > 0"
ROW_WAITS = "gpu_row_remap_pending{} == 1"
ROW_FAILED = "gpu_row_remap_failed{} == 1"
PAGES_WAIT = "gpu_retired_pages_pending{} == 1"
UNCORRECTED = 'gpu_ecc_volatile_errors{severity="uncorrected"} > 0'
XID = "time() - gpu_xid_last_timestamp_seconds{} < $__range_s"
SLOW_NOW = f"gpu_throttle_active{{{SLOWED}}} == 1"
NARROW = "gpu_pcie_link_width{} < gpu_pcie_link_width_max{}"
# An idle card lowers its link to save power.
LOW_GENERATION = (
    "gpu_pcie_link_generation{} < gpu_pcie_link_generation_max{} and gpu:gpu_busy_seconds:rate5m{} > 0.5"
)
UNLINKED = "gpu_nvlink_up{} == 0"

FINDINGS = {
    "lost": LOST,
    "asks": ASKS,
    "row waits": ROW_WAITS,
    "row failed": ROW_FAILED,
    "pages wait": PAGES_WAIT,
    "uncorrected": UNCORRECTED,
    "xid": XID,
    "slow": SLOW_NOW,
    "lanes": NARROW,
    "generation": LOW_GENERATION,
    "nvlink": UNLINKED,
}


def findings() -> str:
    """How many of them each GPU has; 0 where none of what is told of it is bad."""
    each = (
        f'label_replace(group by ({GPU_KEYS}) ({condition}), "finding", "{name}", "", "")'
        for name, condition in FINDINGS.items()
    )
    return f"count by ({GPU_KEYS}) ({' or '.join(each)}) or 0 * group by ({GPU_KEYS}) (gpu_up{{}})"


def margin(by: str, operation: str = "max") -> str:
    """Degrees until a card slows itself down: as the driver says, else by the limit that the card tells."""
    limit = 'sum without (limit) (gpu_temperature_limit_celsius{limit="slowdown"})'
    return (
        f"{operation} by ({by}) (gpu_temperature_margin_celsius{{}} or {limit} - gpu_temperature_celsius{{}})"
    )
