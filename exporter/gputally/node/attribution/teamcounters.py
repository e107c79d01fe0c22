"""What teams, their users and their models have used since counting began. These counters never vanish.

They are what sums over weeks are made of, because a job's own series go soon after it. As nothing is ever
taken away, what can be new is capped: a user invents models, a cluster's namespaces come and go.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from gputally.model import OTHER, UNASSIGNED, Job, TeamRow
from gputally.model.clock import NS_PER_SECOND
from gputally.node.attribution.bill import Bill
from gputally.node.attribution.parties import Share
from gputally.tariff import Priced

Key = tuple[str, str, str]  # team, user, model
REST: Key = (OTHER, OTHER, OTHER)
_STRANGERS = 4  # one in so many label sets may be of teams, or of users, whom nobody has declared
_RESERVED = 8  # one in so many label sets is kept free for TEAM/other/other


@dataclass(slots=True)
class Tally:
    """One label set's counters. `row` and `written` are what is published and saved until they move."""

    key: Key
    energy_mj: int = 0
    held_ns: int = 0
    busy_ns: int = 0
    bill: Bill = field(default_factory=Bill)
    row: TeamRow | None = None
    written: str = ""
    announced: bool = True  # False: new, and published as zero for a while
    new_since_ns: int | None = None  # boot clock: since when it is published as zero

    def book(self, share: Share, parts: Sequence[Priced], unused_mj: int) -> None:
        """Add a job's share."""
        self.bill.add(parts, unused_mj)
        self.energy_mj += share.active_mj + share.idle_mj
        self.held_ns += share.held_ns
        self.busy_ns += share.busy_ns
        self.row, self.written = None, ""

    def from_zero(self) -> None:
        """Begin again: a reset that rate() and increase() see as one."""
        self.energy_mj = self.held_ns = self.busy_ns = 0
        self.bill.from_zero()
        self.row, self.written = None, ""

    def published(self) -> TeamRow:
        """The counters in SI units. A new one is zero: increase() does not see what a series begins with."""
        if not self.announced:
            return TeamRow(*self.key, 0.0, 0.0, 0.0, self.bill.zeros())
        if self.row is None:
            held_seconds, busy_seconds = self.held_ns / NS_PER_SECOND, self.busy_ns / NS_PER_SECOND
            spent = self.bill.published()
            self.row = TeamRow(*self.key, self.energy_mj / 1000, held_seconds, busy_seconds, spent)
        return self.row


@dataclass(slots=True)
class TeamCounters:
    """The counters by label set, at most `most` of them."""

    most: int
    most_models: int  # of one user in one team
    announce_ns: int = 0  # for which a new counter is published as zero
    declared: frozenset[str] = frozenset()  # teams of the configuration
    currency: str = ""  # of the tariff
    bands: tuple[str, ...] = ()  # names of its bands
    _tallies: dict[Key, Tally] = field(default_factory=dict)
    _models: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    _new: list[Tally] = field(default_factory=list)

    def __iter__(self) -> Iterator[Tally]:
        """All of them, in the order in which they came."""
        return iter(self._tallies.values())

    def add(self, tally: Tally) -> None:
        """Take in a counter that was published before. Raises ValueError when it is there already."""
        if tally.key in self._tallies:
            raise ValueError("a team is there twice")
        self._tallies[tally.key] = tally
        team, user, model = tally.key
        if model not in ("", OTHER):
            self._models.setdefault((team, user), set()).add(model)

    def of(self, job: Job) -> Tally:
        """Where a job's shares are counted."""
        key = self._key(job.team, job.user, job.model)
        tally = self._tallies.get(key)
        if tally is None:
            tally = Tally(key, announced=self.announce_ns == 0)
            self._show(tally)
            self.add(tally)
            if not tally.announced:
                self._new.append(tally)
        return tally

    def reprice(self, currency: str, bands: tuple[str, ...]) -> None:
        """Another tariff: its series begin with zero."""
        self.currency, self.bands = currency, bands
        for tally in self:
            self._show(tally)

    def _show(self, tally: Tally) -> None:
        if self.currency:
            tally.bill.show(self.currency, self.bands)
            tally.row, tally.written = None, ""

    def grow(self, now_ns: int) -> None:
        """A tick is over (boot clock): what was published as zero for long enough is shown as it is."""
        for tally in self._new:
            if tally.new_since_ns is None:
                tally.new_since_ns = now_ns
            tally.announced = now_ns - tally.new_since_ns >= self.announce_ns
        if self._new:
            self._new = [tally for tally in self._new if not tally.announced]

    def _count(self, what: Callable[[Key], bool]) -> int:
        return sum(map(what, self._tallies))

    def _key(self, team: str, user: str, model: str) -> Key:
        if (team, user, model) in self._tallies:
            return team, user, model
        if model and len(self._models.get((team, user), ())) >= self.most_models:
            model = OTHER
        if user.isdecimal() and self._count(lambda key: key[1].isdecimal()) >= self.most // _STRANGERS:
            user = OTHER  # numbers that have no name: containers use up thousands of them
        known = self.declared | {UNASSIGNED, OTHER}
        if team not in known and self._count(lambda key: key[0] not in known) >= self.most // _STRANGERS:
            return REST  # teams that users have made up must not use up the room of those that there are
        key, folded = (team, user, model), (team, OTHER, OTHER)
        left = self.most - 1 - len(self._tallies)  # one is for REST
        if key in self._tallies or left > self.most // _RESERVED:
            return key
        return folded if folded in self._tallies or left > 0 else REST
