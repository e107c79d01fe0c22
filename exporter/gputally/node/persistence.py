"""Counters into the state folder and out of it, with every fault of the disk contained.

Metering goes on in memory when the folder cannot be read or written; the metrics say so, the log once a
change.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gputally.model import CollectorHealth, Gpu, Instant
from gputally.node.gpustate import FLUSH_NS, UNKNOWN_BOOTS, GpuState
from gputally.node.state import StateFile

logger = logging.getLogger(__name__)
_MOST = 1 << 62  # events or joules: no counter gets there, and no float ends before
EventCounts = Mapping[tuple[str, str], int]  # (uuid, event) -> how often


class Persistence:
    """The state of all GPUs and what else a restart must not forget: indices and events. For one thread."""

    def __init__(self, folder: Path | None, boot_id: str) -> None:
        """Read what is there. Raises StateFolderInUse when another agent holds the folder."""
        self._file = StateFile(folder) if folder is not None else None
        self._boot_id = boot_id
        self._seconds = 0.0
        self._reason = ""
        self.remembered: dict[str, tuple[Gpu, GpuState]] = {}
        self.events: dict[tuple[str, str], int] = {}
        self.host_joules: dict[str, float] = {}  # RAPL domain -> joules; the kernel's own counter wraps
        self.ledger: object = None  # of jobs and teams, as it was saved; None = nothing
        self.same_boot = False
        self._said_goodbye = False
        self._whole = False  # the newest file was there, and no more was published than it has
        self._unsaved_since: Instant | None = None
        self._said_unsaved = False
        self._was_behind = False  # and so was the process before this one
        self.unread: set[str] = set()  # GPUs of which more was published than is remembered
        self.recovered = False
        self.write_success: bool | None = None
        if self._file is not None:
            self._load(self._file)

    def state_of(self, uuid: str) -> GpuState | None:
        """The counters of a GPU that was seen before and comes back."""
        return self._file.states.get(uuid) if self._file is not None else None

    @property
    def in_step(self) -> bool:
        """Whether a restart would go on from what is published now, or would know that it cannot.

        Not so for FLUSH_NS after the folder could be written last. From then on the folder says, if it still
        can say anything, that what is in it is not all.
        """
        return self._unsaved_since is None or self._said_unsaved

    @property
    def is_latest(self) -> bool:
        """Whether nothing can have been published after what is remembered.

        A process that was killed has saved what it published. What could not be saved was not published, or
        the folder tells of it.
        """
        return self._said_goodbye or (self.same_boot and self._whole)

    def save(
        self,
        states: Mapping[str, tuple[Gpu, GpuState]],
        events: EventCounts,
        now: Instant,
        *,
        ledger: Mapping[str, Any] | None = None,
        final: bool = False,
    ) -> None:
        """Write before the same counters are published. `final`: nothing will be published after this."""
        if self._file is None:
            return
        extra = {
            "index": {uuid: gpu.index for uuid, (gpu, _) in states.items()},
            "events": [[uuid, event, n] for (uuid, event), n in events.items()],
            "host_joules": self.host_joules,
            "ledger": self.ledger if ledger is None else ledger,  # attribution may be off for a while
        }
        try:
            self._file.save(
                {uuid: state for uuid, (_, state) in states.items()},
                boot_id=self._boot_id,
                now=now,
                clean=final and not self.unread,
                extra=extra,
            )
        except Exception as error:  # noqa: BLE001 - whatever the disk does, metering goes on
            self._say(error)
            self.write_success = False
            self._unsaved(self._file, now)
        else:
            self._say(None)
            self.write_success = True
            self._unsaved_since, self._said_unsaved, self._was_behind = None, False, False
            if self.unread:  # whoever comes next knows no more than we do
                self._file.publish_unsaved()
        if final:
            self._file.close()

    def _unsaved(self, file: StateFile, now: Instant) -> None:
        if self._unsaved_since is None:
            self._unsaved_since = now
            file.publish_unsaved(briefly=True)
        if self._was_behind or now.boot_ns - self._unsaved_since.boot_ns > FLUSH_NS:
            file.publish_unsaved()
            self._said_unsaved = True

    def health(self) -> tuple[CollectorHealth, ...]:
        """The state folder as a collector; nothing without one."""
        if self._file is None:
            return ()
        return (CollectorHealth("state", self.write_success is not False, self._seconds, self._reason),)

    def _load(self, file: StateFile) -> None:
        found = file.load(boot_id=self._boot_id)
        self.recovered = found.recovered
        if found.reason == "absent":
            logger.info("no state yet in %s: counters begin at zero", file.folder)
        elif found.reason:
            logger.warning("state %s: %s", "recovered" if found.recovered else "not usable", found.detail)
        self.ledger = found.extra.get("ledger")
        self.same_boot = found.boot_id == self._boot_id and self._boot_id not in UNKNOWN_BOOTS
        self._said_goodbye = found.clean and found.newest
        self._whole = found.newest and not found.outrun
        self._was_behind = found.behind
        self.unread = set(found.unread)
        index = found.extra.get("index")
        index = index if isinstance(index, dict) else {}
        self.remembered = {
            uuid: (Gpu(uuid, str(index[uuid])), state)
            for uuid, state in found.states.items()
            if uuid in index
        }
        if (
            found.behind
            or (found.outrun and found.states)
            or (found.boot_id != self._boot_id and not found.clean)
        ):
            return  # the rest may be older than what was scraped, and zero is an honest reset
        events = found.extra.get("events")
        for item in events if isinstance(events, list) else []:
            if isinstance(item, list) and len(item) == 3 and type(item[2]) is int and 0 <= item[2] < _MOST:
                self.events[str(item[0]), str(item[1])] = item[2]
        joules = found.extra.get("host_joules")
        if found.recovered or not isinstance(joules, dict):
            return  # they move at every tick, so that an older generation would step back
        for domain, value in joules.items():
            if type(value) in (int, float) and 0 <= value < _MOST:
                self.host_joules[str(domain)] = float(value)

    def _say(self, error: Exception | None) -> None:
        # The same fault is met at one file and then at another: the words of the kernel tell faults apart.
        reason = "" if error is None else getattr(error, "strerror", None) or str(error)
        if reason != self._reason:
            if reason:
                logger.error("state not written, counters go on in memory: %s", error)
            else:
                logger.info("state is written again")
        self._reason = reason
