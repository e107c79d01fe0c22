"""The source `nvidia-smi`: when to run the program, in which way, and what to make of its answers together.

Every tick runs it anew: two quick tables, or in the slow lane the whole XML log. A child that stays and
prints by itself (`--loop-ms`) would be cheaper, but it would hold the driver open between ticks, go on with
the GPUs found at its start, and leave us to guess whether it hangs; a run that ends can be timed and killed.
A lost GPU makes nvidia-smi refuse to speak of the others, unless it is asked for those alone.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import TypeVar

from gputally.model import Description, Driver, Inventory, ProcessReading, Reading, SlowReading
from gputally.node.sources.nvidia_smi import fast
from gputally.node.sources.nvidia_smi import slow as slow_lane
from gputally.node.sources.nvidia_smi.command import NoGpus, NvidiaSmi, Until
from gputally.node.sources.nvidia_smi.known import KnownGpus, says_who_it_is
from gputally.node.sources.nvidia_smi.listing import Listing
from gputally.node.sources.nvidia_smi.xmllog import Card
from gputally.node.sources.printed import MOST_BYTES, Sheet, word
from gputally.node.sources.program import DEADLINE_SECONDS
from gputally.node.sources.protocol import GpuLost, SourceError, Unavailable
from gputally.node.sources.together import TogetherReader, reader_for

logger = logging.getLogger(__name__)
OPEN_SECONDS = 15.0  # without persistence mode the first run initialises every GPU
LOGS_PASSED_OVER = 11  # after one that took too long: about a minute
_APPS = ("gpu_uuid", "pid", "used_memory")
_CAPABILITY = "compute_cap"  # the one thing about a card that the log does not tell
_SLOW = frozenset(field.name for field in fields(SlowReading))
Answer = TypeVar("Answer")


class NvidiaSmiSource:
    """Reads NVIDIA GPUs by running nvidia-smi."""

    name = "nvidia-smi"

    def __init__(
        self,
        *,
        processes: bool = True,
        deadline_seconds: float = DEADLINE_SECONDS,
        open_seconds: float = OPEN_SECONDS,
        smi: NvidiaSmi | None = None,
    ) -> None:
        self._processes = processes
        self._deadline_seconds = deadline_seconds
        self._open_seconds = open_seconds
        self._smi = smi or NvidiaSmi()
        self._fields: tuple[str, ...] = ()
        self._tells_capability = False
        self._known = KnownGpus()
        self._listing = Listing()
        self._driver = Driver(self.name)
        self._inventory = Inventory(self._driver, ())
        self._reader: TogetherReader | None = None
        self._pass_over = 0

    def open(self) -> Inventory:
        """Learn what this version can say, and which GPUs there are. Raises Unavailable if none."""
        self.close()
        until = Until(self._open_seconds)
        known = self._smi.fields(until)
        self._fields, self._tells_capability = fast.fields_to_ask(known), _CAPABILITY in known
        try:
            self._read_log(until)
        except GpuLost as error:
            raise Unavailable(str(error), reason=error.reason) from error
        return self._inventory

    def scan(self) -> Inventory:
        """What the latest read saw; runs nothing."""
        return self._inventory

    def readers(self) -> tuple[TogetherReader, ...]:
        """One reader for all GPUs."""
        return () if self._reader is None else (self._reader,)

    def close(self) -> None:
        """Forget everything."""
        self._smi.selection = None
        self._known, self._listing, self._reader = KnownGpus(), Listing(), None
        self._inventory = Inventory(Driver(self.name), ())

    def descriptions(self) -> dict[str, Description]:
        """By UUID, of every GPU that has been in a log."""
        return self._known.descriptions()

    def read(self, *, slow: bool) -> dict[str, Reading]:
        """One tick. Raises SourceError; who is missing did not answer."""
        until = Until(self._deadline_seconds)
        try:
            readings = self._read_tables(until)
            if readings is None:  # not of the GPUs that are known: only the log says who is there
                return self._read_log(until)
            return self._with_slow_lane(readings, until) if slow and self._log_is_due() else readings
        except NoGpus:
            self._known.forget()
            self._settle()
            raise

    # The slow lane: the log.

    def _log_is_due(self) -> bool:
        """Whether to run it, after one that took longer than a read may."""
        self._pass_over = max(0, self._pass_over - 1)
        return not self._pass_over

    def _with_slow_lane(self, readings: dict[str, Reading], until: Until) -> dict[str, Reading]:
        """The same readings with the slow lane out of the log; without it where there is no log in time.

        The fast lane stays that of the tables, because the logs of some drivers have fewer values for it.
        """
        try:
            from_log = self._read_log(until)
        except NoGpus:
            raise
        except SourceError as error:
            if error.reason == "timeout":
                self._pass_over = LOGS_PASSED_OVER + 1
            failed = {"slow_lane": error.reason}
            return {uuid: replace(r, failed={**r.failed, **failed}) for uuid, r in readings.items()}
        return {uuid: _joined(reading, from_log.get(uuid)) for uuid, reading in readings.items()}

    def _read_log(self, until: Until) -> dict[str, Reading]:
        self._smi.selection = None  # look at all again: a lost GPU may be back
        log = self._with_those_that_answer(self._smi.log, until)
        self._driver = Driver(self.name, driver_version=log.driver_version, cuda_version=log.cuda_version)
        before = self._known.uuids
        cards = self._known.identify(log, self._smi.selection)
        if set(self._known.uuids) - set(before):
            self._look_up_capabilities(until)
        self._look_up_partitions(cards, until)
        self._settle()
        return {
            uuid: reading
            for uuid, card in cards.items()
            if (reading := self._from_log(uuid, card)) is not None
        }

    def _from_log(self, uuid: str, card: Card) -> Reading | None:
        known = self._known[uuid]
        sheet = Sheet()
        fast_reading = slow_lane.fast_of(card, sheet, processes=self._processes)
        partitions = self._listing.partitions.get(int(known.gpu.index), {})
        slow_reading = slow_lane.slow_of(card, sheet, partitions)
        if sheet.gone or fast.is_mute(fast_reading, sheet):
            return None
        known.memory_total_bytes = fast_reading.memory_total_bytes
        known.processes = fast_reading.processes or ()
        return Reading(fast_reading, slow_reading, rejected=tuple(sheet.rejected), failed=sheet.failed)

    def _look_up_capabilities(self, until: Until) -> None:
        if not self._tells_capability:
            return
        try:
            rows = self._smi.query("gpu", ("uuid", _CAPABILITY), until)
        except SourceError as error:
            logger.debug("no compute capabilities: %s", error)
            return
        for uuid, capability in rows:
            if (known := self._known.get(uuid)) is not None:
                known.description = replace(known.description, compute_capability=word(capability))

    def _look_up_partitions(self, cards: Mapping[str, Card], until: Until) -> None:
        layouts = {uuid: slow_lane.layout_of(card) for uuid, card in cards.items()}
        if any(layout != self._known[uuid].partitions for uuid, layout in layouts.items()):
            self._listing = self._smi.listing(until)
            for uuid, layout in layouts.items():
                self._known[uuid].partitions = layout

    def _settle(self) -> None:
        """Publish who is there; with another set of GPUs, as another reader."""
        self._reader = reader_for(self, self._known.uuids, self._reader)
        self._inventory = Inventory(self._driver, self._known.gpus)

    # The fast lane: two tables.

    def _read_tables(self, until: Until) -> dict[str, Reading] | None:
        """Readings of the GPUs that answer; None when they are not those that the log named."""
        rows = self._with_those_that_answer(self._query, until)
        expected = self._known.by_index(self._smi.selection)
        if {row["index"] for row in rows} != expected.keys():
            return None
        sheets = {uuid: Sheet() for uuid in self._known.uuids}
        running = self._running(until, sheets)
        readings: dict[str, Reading] = {}
        for row in rows:
            uuid = str(row["uuid"])
            if uuid != expected[str(row["index"])]:
                if says_who_it_is(uuid):
                    return None
                continue  # it is up no more
            sheet = sheets[uuid]
            processes = None if running is None else self._merged(uuid, running)
            reading = fast.fast_reading(row, sheet, processes)
            if not sheet.gone and not fast.is_mute(reading, sheet):
                readings[uuid] = Reading(reading, rejected=tuple(sheet.rejected), failed=sheet.failed)
        return readings

    def _query(self, until: Until) -> list[dict[str, str | None]]:
        known, rows = self._smi.query_known("gpu", self._fields, until)
        self._fields = tuple(known)
        return [fast.row_of(known, row) for row in rows]

    def _running(self, until: Until, sheets: Mapping[str, Sheet]) -> dict[str, list[ProcessReading]] | None:
        """Compute processes by UUID of the GPU; None where nvidia-smi does not say."""
        if not self._processes:
            return None
        try:
            rows = self._smi.query("compute-apps", _APPS, until)
        except SourceError as error:
            if error.reason in ("timeout", "stuck"):
                raise
            for sheet in sheets.values():
                sheet.failed["processes"] = error.reason
            return None
        found: dict[str, list[ProcessReading]] = {}
        for of, pid, memory in rows:
            uuid = self._listing.parent_of(of)
            if (known := self._known.get(uuid)) is not None:
                most_bytes = int((known.memory_total_bytes or MOST_BYTES) * 1.02)
                one = fast.process(sheets[uuid], pid, memory, most_bytes)
                found.setdefault(uuid, []).extend([] if one is None else [one])
        return found

    def _merged(self, uuid: str, running: Mapping[str, list[ProcessReading]]) -> tuple[ProcessReading, ...]:
        """The compute processes of now. What only the log tells is taken from the latest one.

        That is the kind and the MIG instance of a process, and the processes that only draw.
        """
        before = self._known[uuid].processes
        told = {process.pid: process for process in before}
        now = [
            replace(p, kind=told[p.pid].kind, gpu_instance_id=told[p.pid].gpu_instance_id)
            if p.pid in told
            else p
            for p in running.get(uuid, ())
        ]
        pids = {process.pid for process in now}
        drawing = [p for p in before if p.kind == "graphics" and p.pid not in pids]
        return fast.without_repeats([*now, *drawing])

    def _with_those_that_answer(self, run: Callable[[Until], Answer], until: Until) -> Answer:
        """Run it; where lost GPUs spoil the answer, again for those that `nvidia-smi -L` still lists."""
        try:
            return run(until)
        except GpuLost:
            selection = tuple(sorted(self._smi.listing(until).gpus))
            if not selection or selection == self._smi.selection:
                raise
            logger.debug("nvidia-smi refuses to speak of all GPUs; asking for %s alone", selection)
            self._smi.selection = selection
            return run(until)


def _joined(reading: Reading, from_log: Reading | None) -> Reading:
    if from_log is None:
        return reading
    rejected = tuple(name for name in from_log.rejected if _is_slow(name))
    failed = {name: why for name, why in from_log.failed.items() if _is_slow(name)}
    return replace(
        reading,
        slow=from_log.slow,
        rejected=(*reading.rejected, *rejected),
        failed={**reading.failed, **failed},
    )


def _is_slow(reading: str) -> bool:
    """Whether a reading belongs to the slow lane; in the log the others stand a second time."""
    return reading.partition(".")[0] in _SLOW
