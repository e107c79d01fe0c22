"""What each source can measure on this machine, found out by running it for a moment."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from gputally.catalogue import DEVICES, Family
from gputally.collect.exposition import label_pairs
from gputally.collect.page import families
from gputally.config.settings import NodeSettings
from gputally.model import GpuSnapshot, Snapshot
from gputally.model.clock import system_clock
from gputally.node.build import read_boot_id
from gputally.node.crew import Crew
from gputally.node.persistence import Persistence
from gputally.node.processes import ProcessTable
from gputally.node.roster import Roster
from gputally.node.sampler import Sampler
from gputally.node.session import Session
from gputally.node.sources import AUTO, choices, simulation
from gputally.node.sources.protocol import Choice
from gputally.node.worker import Outcome

PACE_SECONDS = 0.25
PAUSE_SECONDS = 0.1
# Counters are made from readings of other names; the reading says why a counter is missing.
_MADE_FROM = {
    "energy_joules": "energy_mj",
    "busy_seconds": "utilization_ratio",
    "utilization_peak_ratio": "utilization_ratio",
    "power_peak_w": "power_w",
    "throttle_seconds": "throttle_ns",
    "xid_errors": "new_xids",
    "xid_last_seconds": "new_xids",
    "ecc_errors": "ecc_aggregate",
    "nvlink_transmit_bytes": "nvlinks",
    "nvlink_receive_bytes": "nvlinks",
}
_BY_HAND = {
    "gpu_nvlink_up": "nvlinks",
    "gpu_nvlink_errors_total": "nvlinks",
    "gpu_processes": "processes",
    "gpu_process_memory_bytes": "processes",
    "gpu_process_utilization_ratio": "processes",
}
_SELDOM = {
    "gpu_down_info": "the GPU is up",
    "gpu_xid_errors_total": "no XID yet",
    "gpu_xid_last_timestamp_seconds": "no XID yet",
    "gpu_process_memory_bytes": "no process now",
    "gpu_process_utilization_ratio": "no process now",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One family on one GPU: its first value now, or why there is none."""

    family: Family
    value: float | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Probed:
    """What one source said."""

    source: str
    works: bool
    reason: str  # a word; "" when it works
    message: str  # a sentence
    snapshot: Snapshot | None = None
    gpus: Mapping[str, tuple[Measured, ...]] = field(default_factory=dict)  # by UUID


def wanted(settings: NodeSettings) -> tuple[str, ...]:
    """The sources that the agent would try, in its order."""
    return AUTO if settings.source == "auto" else (settings.source,)


def probe_all(settings: NodeSettings) -> Iterator[Probed]:
    """Try what the agent would try, then what else this machine has; the simulation only if asked for."""
    others = () if settings.source == "simulated" else AUTO
    for name in dict.fromkeys((*wanted(settings), *others)):
        yield probe(settings, name)


def probe(settings: NodeSettings, name: str) -> Probed:
    """Open one source and read every GPU twice, each call under its deadline."""
    told = NodeSettings(
        source=name,
        collector_gpm=settings.collector_gpm,
        collector_nvlink_links=settings.collector_nvlink_links,
        simulated_gpus=settings.simulated_gpus,
        simulated_seed=settings.simulated_seed,
        simulated_faults=settings.simulated_faults,
        path_procfs=settings.path_procfs,
        path_sysfs=settings.path_sysfs,
    )
    (choice,) = choices(told, system_clock, processes=settings.collector_processes)
    sampler, refusal = _sampler(told, choice)
    until = time.monotonic() + choice.deadline_seconds + 1.0
    while time.monotonic() < until and not _done(sampler.latest, refusal()):
        sampler.tick()
        time.sleep(PAUSE_SECONDS)  # a tick waits for what it started, not for a call that hangs
    sampler.tick()
    snapshot = sampler.latest
    sampler.session.close()
    if not snapshot.report.driver_up:
        if message := refusal().removeprefix(f"{name}: "):
            return Probed(name, works=False, reason=snapshot.report.driver_reason, message=message)
        return Probed(name, works=False, reason="timeout", message="does not answer")
    if not any(gpu.up for gpu in snapshot.gpus):
        why = ", ".join(sorted({gpu.reason for gpu in snapshot.gpus})) or "no GPU found"
        return Probed(name, works=False, reason="no_gpu", message=why, snapshot=snapshot)
    return Probed(
        name, works=True, reason="", message=_versions(snapshot), snapshot=snapshot, gpus=_measured(snapshot)
    )


def _sampler(settings: NodeSettings, choice: Choice) -> tuple[Sampler, Callable[[], str]]:
    outcomes: SimpleQueue[Outcome] = SimpleQueue()
    boot_id = read_boot_id(settings.path_procfs)
    persistence = Persistence(None, boot_id)
    session = Session((choice,), outcomes, system_clock)
    identify = simulation(settings, system_clock).identify if choice.name == "simulated" else None
    sampler = Sampler(
        session=session,
        crew=Crew(outcomes, system_clock),
        roster=Roster(boot_id, int(PACE_SECONDS * 1e9), persistence),
        persistence=persistence,
        outcomes=outcomes,
        clock=system_clock,
        interval_seconds=PACE_SECONDS,
        processes=ProcessTable(settings.path_procfs, identify),
        host=None,
    )
    return sampler, lambda: session.message


def _done(snapshot: Snapshot, refusal: str) -> bool:
    if refusal:
        return True
    return snapshot.report.driver_up and all(gpu.read_at is not None for gpu in snapshot.gpus)


def _versions(snapshot: Snapshot) -> str:
    driver, up = snapshot.driver, sum(gpu.up for gpu in snapshot.gpus)
    parts = [f"{up} GPU{'s' if up != 1 else ''}"]
    if driver is not None:
        parts += [f"driver {driver.driver_version}"] if driver.driver_version else []
        parts += [f"CUDA {driver.cuda_version}"] if driver.cuda_version else []
    return ", ".join(parts)


def _measured(snapshot: Snapshot) -> dict[str, tuple[Measured, ...]]:
    shown = {family.name: samples() for family, samples in families(snapshot)}
    found: dict[str, tuple[Measured, ...]] = {}
    for gpu in snapshot.gpus:
        prefix = label_pairs(("gpu", "uuid"), (gpu.gpu.index, gpu.gpu.uuid))
        rows = []
        for family in DEVICES:
            if family.labels[:1] != ("gpu",):
                continue
            values = [value for labels, value in shown.get(family.name, ()) if labels.startswith(prefix)]
            rows.append(Measured(family, values[0] if values else None, "" if values else _why(family, gpu)))
        found[gpu.gpu.uuid] = tuple(rows)
    return found


def _why(family: Family, gpu: GpuSnapshot) -> str:
    """The driver's reason, or what is known about a family that is seldom there."""
    absent = gpu.description.absent if gpu.description is not None else {}
    key = family.key.partition(".")[0]
    reading = _BY_HAND.get(family.name) or _MADE_FROM.get(key, key)
    reason = str(absent.get(reading, ""))
    if reason:
        return reason.replace("_", " ")
    if family.section.startswith("Activity"):
        return "--collector.gpm is off, or the card is older than Hopper"
    if family.section == "MIG":
        return "not partitioned"
    return _SELDOM.get(family.name, "not offered by this card and driver")


def state_folder(path: Path | None) -> tuple[bool, str]:
    """Whether counters will survive a restart, and a sentence about it. Leaves nothing behind."""
    if path is None:
        return True, "none: counters begin at zero at every start (--state.dir)"
    missing: list[Path] = []
    trial = path / ".check"
    try:
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        trial.write_bytes(b"x")
        trial.unlink()
    except OSError as error:
        return False, f"{path}: cannot be written: {error.strerror}"
    finally:
        for folder in missing:
            with contextlib.suppress(OSError):
                folder.rmdir()
    return True, f"{path}: {'can be made' if missing else 'writable'}"
