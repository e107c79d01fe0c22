"""One job's account, and the account of what is nobody's. Integers inside: millijoules and nanoseconds.

What is published and what is saved is made anew only when something moved: most accounts are of jobs that
have ended, and both happen at every tick.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gputally.model import Instant, Job, JobRow, Unattributed
from gputally.model.clock import NS_PER_SECOND
from gputally.node.attribution import lifecycle
from gputally.node.attribution.bill import Bill
from gputally.node.attribution.lifecycle import ENDED, RUNNING
from gputally.node.attribution.parties import NO_PROCESS_DATA, REASONS, UNUSED_SLICES, Share
from gputally.node.attribution.teamcounters import Tally
from gputally.node.identity.protocol import End, Evidence, Sighting
from gputally.tariff import MONEY_UNITS, Priced

# The other two are for cards without process lists, and with MIG: there they are not rare, and begin early.
_ALWAYS_SHOWN = tuple(reason for reason in REASONS if reason not in (NO_PROCESS_DATA, UNUSED_SLICES))


@dataclass(slots=True)
class Account:
    """What one job has used, and what is known of it."""

    job: Job
    evidence: Evidence
    start_ns: int  # wall clock
    seen_ns: int  # wall clock: when it last had a process or an allocation
    tally: Tally  # of the team that it is booked to now
    folded: bool = False  # found no room: its shares are in the account `other`
    end_ns: int | None = None  # wall clock
    state: str = RUNNING
    exit_code: int | None = None
    moved_ns: int = 0  # boot clock: when its end was noticed, or the last that changed after it
    due_ns: int = 0  # boot clock: while it is absent there is nothing to be done before
    absent_ns: int | None = None  # boot clock: since when it is absent
    energy_mj: dict[str, tuple[int, int]] = field(default_factory=dict)  # uuid -> active, idle
    held_ns: int = 0
    busy_ns: int = 0
    bill: Bill = field(default_factory=Bill)
    sighting: Sighting | None = None  # the last, as it usually comes again
    row: JobRow | None = None  # as it is published, until something changes
    about: str = ""  # the part of `written` that rarely changes
    written: str = ""  # as it is saved, until something changes

    def book(self, uuid: str, share: Share, parts: Sequence[Priced], unused_mj: int) -> None:
        """Add a share of one GPU's tick."""
        self.bill.add(parts, unused_mj)
        active_mj, idle_mj = self.energy_mj.get(uuid, (0, 0))
        self.energy_mj[uuid] = (active_mj + share.active_mj, idle_mj + share.idle_mj)
        self.held_ns += share.held_ns
        self.busy_ns += share.busy_ns
        self.row, self.written = None, ""

    def seen(self, now: Instant) -> None:
        """It is there. One that had ended runs again and goes on counting."""
        self.seen_ns, self.absent_ns, self.due_ns, self.written = now.wall_ns, None, 0, ""
        if self.state != RUNNING:
            self.end_ns, self.state, self.exit_code = None, RUNNING, None
            self.changed()

    def ended(self, end: End, now: Instant) -> None:
        """It is over, or it is now known better how."""
        self.end_ns = lifecycle.end_ns(end, self.start_ns, self.seen_ns, now)
        self.state, self.exit_code = lifecycle.end_state(end), lifecycle.exit_code(end)
        self.moved_ns = now.boot_ns
        self.changed()

    def changed(self) -> None:
        """What is known of it is another; what was made of it before is void."""
        self.row, self.about, self.written = None, "", ""

    @property
    def improvable(self) -> bool:
        """Whether a scheduler may still say how it ended: an epilog writes after the processes are gone."""
        return self.state == ENDED and bool(self.evidence.record)

    def published(self, index: Mapping[str, str]) -> JobRow:
        """The account in SI units. `index`: uuid -> label of the GPU."""
        if self.row is None:
            energy_joules: dict[tuple[str, str, str], float] = {}
            for uuid, (active_mj, idle_mj) in self.energy_mj.items():
                gpu = index.get(uuid, "")
                energy_joules[gpu, uuid, "active"] = active_mj / 1000
                energy_joules[gpu, uuid, "idle"] = idle_mj / 1000
            self.row = JobRow(
                self.job,
                self.start_ns / NS_PER_SECOND,
                None if self.end_ns is None else self.end_ns / NS_PER_SECOND,
                self.state,
                self.exit_code,
                energy_joules,
                self.held_ns / NS_PER_SECOND,
                self.busy_ns / NS_PER_SECOND,
                self.bill.published(),
            )
        return self.row


@dataclass(slots=True)
class Nobodys:
    """What belongs to no job, by GPU."""

    energy_mj: dict[tuple[str, str], int] = field(default_factory=dict)  # (uuid, reason)
    cost: dict[tuple[str, str, str], int] = field(default_factory=dict)  # (uuid, reason, currency) -> units
    held_ns: dict[str, int] = field(default_factory=dict)
    busy_ns: dict[str, int] = field(default_factory=dict)

    def book(self, uuid: str, reason: str, share: Share, parts: Sequence[Priced]) -> None:
        """Add a share of one GPU's tick."""
        for part in parts:
            owed = uuid, reason, part.rate.currency
            self.cost[owed] = self.cost.get(owed, 0) + part.energy_mj * part.rate.cost_units
        key = uuid, reason
        self.energy_mj[key] = self.energy_mj.get(key, 0) + share.active_mj + share.idle_mj
        self.held_ns[uuid] = self.held_ns.get(uuid, 0) + share.held_ns
        self.busy_ns[uuid] = self.busy_ns.get(uuid, 0) + share.busy_ns

    def show(self, uuid: str, currency: str) -> None:
        """Publish a GPU's counters from zero on: increase() does not see what a series begins with."""
        for reason in _ALWAYS_SHOWN:
            self.energy_mj.setdefault((uuid, reason), 0)
        self.reprice(currency)
        self.held_ns.setdefault(uuid, 0)
        self.busy_ns.setdefault(uuid, 0)

    def reprice(self, currency: str) -> None:
        """Publish costs in a currency from zero on; "" = nothing is priced."""
        if currency:
            for uuid, reason in self.energy_mj:
                self.cost.setdefault((uuid, reason, currency), 0)

    def from_zero(self) -> None:
        """Begin again: a reset that rate() and increase() see as one."""
        self.energy_mj = dict.fromkeys(self.energy_mj, 0)
        self.cost = dict.fromkeys(self.cost, 0)
        self.held_ns = dict.fromkeys(self.held_ns, 0)
        self.busy_ns = dict.fromkeys(self.busy_ns, 0)

    def published(self, index: Mapping[str, str]) -> Unattributed:
        """The account in SI units. `index`: uuid -> label of the GPU."""
        return Unattributed(
            {(index.get(uuid, ""), uuid, why): mj / 1000 for (uuid, why), mj in self.energy_mj.items()},
            {
                (index.get(uuid, ""), uuid, why, currency): units / MONEY_UNITS
                for (uuid, why, currency), units in self.cost.items()
            },
            {(index.get(uuid, ""), uuid): ns / NS_PER_SECOND for uuid, ns in self.held_ns.items()},
            {(index.get(uuid, ""), uuid): ns / NS_PER_SECOND for uuid, ns in self.busy_ns.items()},
        )
