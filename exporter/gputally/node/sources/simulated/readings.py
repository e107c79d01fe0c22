"""From a GPU's timeline to the records that a driver's reading would make."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gputally.model import Description, FastReading, NvLink, ProcessReading, SlowReading
from gputally.model.clock import NS_PER_SECOND
from gputally.node.sources.simulated.draw import Draw
from gputally.node.sources.simulated.jobs import run_at
from gputally.node.sources.simulated.schedule import Lane
from gputally.node.sources.simulated.timeline import Timeline

_CONTEXT_BYTES = 4 << 20  # what an idle card has in use
_PCIE_RECEIVE, _PCIE_TRANSMIT, _NVLINK = 2.1e9, 0.7e9, 140e9  # bytes a second at full load
_HEAT_KELVIN = 30.0  # what a fault of cooling adds
_CAP_SHARE = 0.05  # of the loaded time in which the power limit holds clocks down
_ACTIVITY = {  # shares of the busy time, as of large matrix products
    "sm": 0.93,
    "sm_occupancy": 0.38,
    "tensor": 0.46,
    "dram": 0.55,
    "fp64": 0.0,
    "fp32": 0.09,
    "fp16": 0.05,
}
_FIRST_ERRORS = 7  # corrected memory errors of the card's life before


@dataclass(frozen=True, slots=True)
class Gauge:
    """Reads one simulated GPU at instants of simulated time.

    `speed` divides what is counted, because a simulated second is shorter than a real one.
    """

    timeline: Timeline
    lane: Lane
    index: int
    seed: int
    speed: float

    def fast(self, at_ns: int, before_ns: int | None) -> FastReading:
        """Power, energy, utilisation, memory, processes, and XIDs since `before_ns`."""
        line, card = self.timeline, self.timeline.card
        busy = _busy(line.load(at_ns))
        processes = self._processes(at_ns)
        used = _CONTEXT_BYTES + sum(process.memory_bytes or 0 for process in processes)
        power_w = round(line.power_w(at_ns), 3)
        worked = line.load_seconds(at_ns) / self.speed
        hot = line.heat_seconds(at_ns) / self.speed
        return FastReading(
            power_w=power_w,
            power_average_w=round(self._mean(line.energy_j, at_ns), 3),
            power_instant_w=power_w,
            energy_mj=int(line.energy_j(at_ns) / self.speed * 1000),
            utilization_ratio=round(busy, 2),
            memory_utilization_ratio=round(0.55 * busy, 2),
            memory_total_bytes=card.memory_bytes,
            memory_used_bytes=used,
            memory_free_bytes=card.memory_bytes - card.reserved_bytes - used,
            memory_reserved_bytes=card.reserved_bytes,
            processes=processes,
            new_xids=() if before_ns is None else line.xids(before_ns, at_ns),
            throttle_ns={
                "sw_power_cap": int(_CAP_SHARE * worked * NS_PER_SECOND),
                "hw_thermal": int(hot * NS_PER_SECOND),
                "sw_thermal": 0,
                "hw_power_brake": 0,
                "sync_boost": 0,
            },
            pcie_transmit_bytes=int(worked * _PCIE_TRANSMIT),
            pcie_receive_bytes=int(worked * _PCIE_RECEIVE),
        )

    def slow(self, at_ns: int) -> SlowReading:
        """Temperatures, clocks, links, errors."""
        line, card = self.timeline, self.timeline.card
        load, heat, held = line.load(at_ns), line.heat(at_ns), line.held(at_ns)
        celsius = card.ambient_c + card.kelvin_per_w * line.warmth_w(at_ns) + _HEAT_KELVIN * heat
        slowed = (1 - 0.09 * load) * (1 - 0.35 * heat)
        clock_hz = {
            name: round(hz * slowed / 15e6) * 15e6 if name in {"graphics", "sm"} else hz
            for name, hz in (card.clock_max_hz if held else card.clock_idle_hz).items()
        }
        return SlowReading(
            temperature_c=round(celsius),
            memory_temperature_c=round(celsius + 3 + 9 * load) if card.data_center else None,
            temperature_margin_c=round(card.limits_c["slowdown"] - celsius),
            power_limit_w=card.limit_w,
            power_limit_enforced_w=card.limit_w,
            fan_ratio={
                str(fan): round(min(1.0, max(0.3, (celsius - 30) / 60)), 2) for fan in range(card.fans)
            },
            clock_hz=clock_hz,
            performance_state=0 if held else card.idle_state,
            engine_ratio={"encoder": 0.0, "decoder": 0.0, "jpeg": 0.0, "ofa": 0.0},
            throttle_active={
                "sw_power_cap": load > 0.9,
                "hw_thermal": heat > 0.5,
                "sw_thermal": False,
                "hw_power_brake": False,
                "sync_boost": False,
            },
            pcie_link_generation=card.pcie_generation if held else 1,  # an idle card lowers it
            pcie_link_width=16,
            pcie_replays=int(self.timeline.load_seconds(at_ns) / self.speed / 100_000),
            nvlinks=self._links(at_ns),
            mig_enabled=False if card.data_center else None,
            mig_pending=False if card.data_center else None,
            activity_ratio=_activity(load) if card.data_center else {},
            **(self._memory_health(at_ns) if card.data_center else {}),
        )

    def describe(self) -> Description:
        """What does not change."""
        card = self.timeline.card
        return Description(
            name=card.name,
            architecture=card.architecture,
            pci_bus_id=f"00000000:{0x1A + self.index:02X}:00.0",
            serial=f"SIM{Draw(self.seed, 'serial', self.index).number(10**10):010d}",
            vbios_version="96.00.5A.00.01",
            compute_capability=card.compute_capability,
            power_limit_default_w=card.limit_w,
            power_limit_min_w=card.limit_min_w,
            power_limit_max_w=card.limit_w,
            temperature_limits_c=card.limits_c,
            clock_max_hz=card.clock_max_hz,
            pcie_link_generation_max=card.pcie_generation,
            pcie_link_width_max=16,
        )

    def _mean(self, integral: Callable[[int], float], at_ns: int) -> float:
        """Mean over the last real second of what has this integral."""
        return (integral(at_ns) - integral(at_ns - round(NS_PER_SECOND * self.speed))) / self.speed

    def _processes(self, at_ns: int) -> tuple[ProcessReading, ...]:
        line, stint = self.timeline, self.timeline.stint(at_ns)
        pids = run_at(self.lane, at_ns).pids(self.seed, self.index)
        busy = _busy(self._mean(line.load_seconds, at_ns))
        room = line.card.memory_bytes - line.card.reserved_bytes - _CONTEXT_BYTES
        return tuple(
            ProcessReading(
                pid,
                memory_bytes=int(room * stint.memory_ratio * share) >> 20 << 20,
                sm_ratio=round(busy * share, 2),
            )
            for pid, (_, share) in zip(pids, stint.processes, strict=True)
        )

    def _links(self, at_ns: int) -> tuple[NvLink, ...]:
        if len(self.lane.gpus) < 2:
            return ()
        sent = int(self.timeline.load_seconds(at_ns) / self.speed * _NVLINK)
        errors = {"crc": 0, "replay": int(sent / 4e17), "recovery": 0}
        return (NvLink(None, up=True, transmit_bytes=sent, receive_bytes=sent, errors=errors),)

    def _memory_health(self, at_ns: int) -> dict[str, Any]:
        """A corrected error now and then; an uncorrected one with each XID 94, remapped after the job."""
        line, stint = self.timeline, self.timeline.stint(at_ns)
        second = line.moment(at_ns).stint_second
        corrected = int(self.timeline.load_seconds(at_ns) / self.speed / 250_000)
        uncorrected = line.xid_count(at_ns, 94)
        pending = line.faulty and any(xid == 94 and second >= when for when, xid in stint.xids)
        return {
            "ecc_volatile": {"corrected": corrected, "uncorrected": uncorrected},
            "ecc_aggregate": {"corrected": corrected + _FIRST_ERRORS, "uncorrected": uncorrected},
            "remapped_rows": {"corrected": 0, "uncorrected": uncorrected - pending},
            "row_remap_pending": pending,
            "row_remap_failed": False,
            "recovery_action": 0,
        }


def _busy(load: float) -> float:
    """Share of time with a kernel running; much higher than the share of the card's power it uses."""
    return 1 - (1 - min(1.0, max(0.0, load))) ** 3


def _activity(load: float) -> dict[str, float]:
    busy = _busy(load)
    return {name: round(busy * share, 3) for name, share in _ACTIVITY.items()}
