"""The book: shares of energy and time become counters of jobs, of teams and of what is nobody's.

For every GPU, all accounts and what is unattributed together are what take() was given, exactly and over any
history, caps and restarts included. Two things take from it, so what holds for ever is the sum of increments:
a job that is forgotten takes its own series along (its team's counter keeps what it used), and a power cut
sets back to zero what is read with increase(). Totals of teams are the sum of all jobs that ever were.

No clock, no files: both are handed in. For the sampler's thread only. In a tick come, in this order:
saw() for each job with a process or an allocation, take() for each GPU, absent() once; then to_json() is
saved and ledger() is published.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from gputally.model import OTHER, Instant, Job, Ledger
from gputally.model.clock import NS_PER_SECOND
from gputally.node.attribution import bookjson, lifecycle
from gputally.node.attribution.accounts import Account
from gputally.node.attribution.bill import Bill, unused_mj
from gputally.node.attribution.bookjson import Contents, Json
from gputally.node.attribution.lifecycle import ENDED, RUNNING
from gputally.node.attribution.parties import UNRESOLVED, Split
from gputally.node.attribution.teamcounters import TeamCounters
from gputally.node.identity.protocol import End, Evidence, Sighting
from gputally.tariff import Priced, divide

KEEP_NS = 300 * NS_PER_SECOND
ASK_NS = 5 * NS_PER_SECOND  # a job that has been absent for so long is asked for its end no more often
EndOf = Callable[[Job, Evidence, Instant], End | None]

_OTHER_JOB = Job(OTHER, OTHER, user=OTHER, team=OTHER, identity=OTHER)


@dataclass(frozen=True, slots=True)
class Caps:
    """How much may be published and remembered."""

    jobs: int = 500  # published: running, and ended not long ago
    folded: int = 1000  # remembered of those that found no room, so that they stay where they are
    teams: int = 512  # label sets, which never vanish
    models_per_user: int = 20  # in one team


class Book:
    """The accounts of a node."""

    def __init__(
        self,
        policy: str,
        *,
        keep_ns: int = KEEP_NS,
        announce_ns: int = 0,
        caps: Caps | None = None,
        declared: Iterable[str] = (),
    ) -> None:
        self._policy, self._keep_ns, self._caps = policy, keep_ns, caps or Caps()
        self._announce_ns, self._declared = announce_ns, frozenset(declared)
        self._currency = ""  # of the tariff; "" = nothing is priced
        self._bands: tuple[str, ...] = ()
        self._has = Contents(self._no_teams())
        self._present: set[str] = set()  # jobs of this tick
        self._folded = 0  # accounts that are folded, running or not

    def declare(self, teams: Iterable[str]) -> None:
        """Other teams of the configuration: room is kept for them."""
        self._declared = self._has.teams.declared = frozenset(teams)

    def reprice(self, currency: str, bands: tuple[str, ...]) -> None:
        """Another tariff: the series of its currency and bands begin with zero."""
        self._currency, self._bands = currency, bands
        self._has.teams.reprice(currency, bands)
        self._has.nobodys.reprice(currency)

    def restore(self, data: object, now: Instant, *, clean: bool, same_boot: bool) -> list[str]:
        """Go on from what to_json() gave; None where nothing was saved. Returns lines for the log.

        `clean`: nothing was published after `data`; not so after a power cut, and where only a spare copy was
        left. A counter that goes back by little is the worst that can happen to increase(), which takes it
        for a reset and adds all that the counter shows. So what is read with increase() (teams, what is
        nobody's, `other`) begins at zero then, an honest reset. Jobs are read with max_over_time, which a
        small step back does not hurt, and keep what they have.

        Never raises: what cannot be read is not gone on from, as a whole.
        """
        if data is None:
            return []
        try:
            self._has = bookjson.from_json(data, self._no_teams())
        except ValueError as error:
            return [f"jobs and teams begin at zero, what was saved of them is not usable: {error}"]
        self.reprice(self._currency, self._bands)
        accounts = self._has.accounts.values()
        self._folded = sum(account.folded for account in accounts)
        if self._folded and self._has.other is None:
            self._has.other = self._open_other(now)
        lines = [f"{sum(a.state == RUNNING for a in accounts)} jobs go on, of {len(accounts)} known"]
        if not same_boot:
            lines = [f"the machine was started again: {len(accounts)} jobs of before have ended"]
        for account in accounts:
            self._resume(account, now, same_boot=same_boot)
        self._has.tick_ns = now.boot_ns
        if not clean:
            self._from_zero()
            lines.append("counters of teams and of what is unattributed begin at zero: some may be missing")
        return lines

    def to_json(self) -> Json:
        """Everything that must outlive the process."""
        return bookjson.to_json(self._has)

    def saw(self, sighting: Sighting, now: Instant) -> None:
        """A job has a process on a GPU or an allocation; to be called at every tick in which it has."""
        job_id = sighting.job.job_id
        self._present.add(job_id)
        account = self._has.accounts.get(job_id)
        if account is None:
            self._open(sighting, now)
            return
        if account.state != RUNNING:  # what proved its end would prove it again
            account.evidence, account.sighting = sighting.evidence, None
        account.seen(now)
        if account.sighting is not sighting:
            self._fill(account, sighting)

    def show(self, uuid: str) -> None:
        """A GPU has come into sight: what is nobody's of it is published from zero on."""
        self._has.nobodys.show(uuid, self._has.teams.currency)

    def take(
        self,
        uuid: str,
        split: Split,
        now: Instant,
        priced: Sequence[Priced] = (),
        *,
        busy_known: bool = False,
    ) -> None:
        """Book the shares of one GPU's tick. A job that is not, or no more, in the book is not resolved.

        `priced` is the tick's energy by what it costs, () where nothing is priced; `busy_known`, whether the
        driver said how busy it was.
        """
        accounts, nobodys = self._has.accounts, self._has.nobodys
        shares_mj = [share.active_mj + share.idle_mj for share in split.shares]
        parts_of = divide(priced, shares_mj) if priced else [()] * len(shares_mj)
        for share, parts in zip(split.shares, parts_of, strict=True):
            account = None if share.job_id is None else accounts.get(share.job_id)
            if account is None:
                nobodys.book(uuid, share.reason or UNRESOLVED, share, parts)
                continue
            unused = unused_mj(share, busy_known=busy_known)
            account.tally.book(share, parts, unused)
            if account.state != RUNNING and (share.active_mj or share.idle_mj or share.held_ns):
                account.moved_ns, account.written = now.boot_ns, ""  # its last values are shown from now on
            into = (account.folded and self._has.other) or account
            into.book(uuid, share, parts, unused)

    def absent(self, now: Instant, end_of: EndOf) -> None:
        """The tick's jobs are known: ask for the end of the others, forget those that were shown enough.

        An error of `end_of` is raised when all have been asked; that job goes on as if it were running.
        """
        present, self._present = self._present, set()
        self._has.tick_ns, error = now.boot_ns, None
        self._has.teams.grow(now.boot_ns)
        for job_id, account in list(self._has.accounts.items()):
            if job_id in present:
                continue
            if account.folded and self._folded > self._caps.folded:
                self._forget(account)
            elif account.due_ns <= now.boot_ns:
                try:
                    self._ask(account, now, end_of)
                except Exception as why:  # noqa: BLE001 - one job's record must not keep the others alive
                    error = why
        if error is not None:
            raise error

    def ledger(self, index_of: Mapping[str, str]) -> Ledger:
        """What is published. `index_of`: uuid -> the GPU's index now; one that is missing keeps its last."""
        has = self._has
        index = {**has.index, **index_of}
        if index != has.index:
            has.index = index
            for account in (*has.accounts.values(), *((has.other,) if has.other is not None else ())):
                account.row = None
        rows = [account.published(index) for account in has.accounts.values() if not account.folded]
        if has.other is not None:
            rows.append(has.other.published(index))
        return Ledger(
            jobs=tuple(rows),
            teams=tuple([tally.published() for tally in has.teams]),
            unattributed=has.nobodys.published(index),
            policy=self._policy,
            folded_jobs=sum(a.folded and a.state == RUNNING for a in has.accounts.values()),
        )

    def _no_teams(self) -> TeamCounters:
        caps, priced = self._caps, (self._currency, self._bands)
        return TeamCounters(caps.teams, caps.models_per_user, self._announce_ns, self._declared, *priced)

    def _open(self, sighting: Sighting, now: Instant) -> None:
        """Open an account; whether it is folded is decided here and for as long as it is remembered."""
        has, job = self._has, sighting.job
        folded = job.job_id == OTHER or len(has.accounts) - self._folded >= self._caps.jobs
        began_ns = lifecycle.start_ns(sighting.start_seconds, now)
        has.accounts[job.job_id] = Account(
            job,
            sighting.evidence,
            began_ns,
            seen_ns=now.wall_ns,
            tally=has.teams.of(job),
            folded=folded,
            bill=self._no_bill(),
            sighting=sighting,
        )
        if folded:
            self._folded += 1
            has.other = has.other or self._open_other(now)

    def _open_other(self, now: Instant) -> Account:
        tally = self._no_teams().of(_OTHER_JOB)
        return Account(_OTHER_JOB, Evidence(), now.wall_ns, now.wall_ns, tally, bill=self._no_bill())

    def _no_bill(self) -> Bill:
        """One that is published from zero on; of bands, only those that it is charged in."""
        bill = Bill()
        if self._currency:
            bill.show(self._currency)
        return bill

    def _resume(self, account: Account, now: Instant, *, same_boot: bool) -> None:
        if not same_boot and account.state == RUNNING:
            account.ended(End(None, ENDED), now)
        # Time in which nobody could scrape is no part of the time for which last values are shown.
        down_ns = max(0, now.boot_ns - self._has.tick_ns)
        account.moved_ns = min(now.boot_ns, account.moved_ns + down_ns) if same_boot else now.boot_ns
        account.written = ""

    def _fill(self, account: Account, sighting: Sighting) -> None:
        account.sighting = sighting
        job = lifecycle.filled(account.job, sighting.job)
        evidence = lifecycle.evidence_filled(account.evidence, sighting.evidence)
        if job is account.job and evidence is account.evidence:
            return
        account.job, account.evidence = job, evidence
        account.tally = self._has.teams.of(job)  # what was booked before stays where it was
        account.changed()

    def _ask(self, account: Account, now: Instant, end_of: EndOf) -> None:
        now_ns, running = now.boot_ns, account.state == RUNNING
        forget_ns = account.moved_ns + self._keep_ns
        if not running and now_ns >= forget_ns:
            self._forget(account)
            return
        if account.absent_ns is None:
            account.absent_ns = now_ns
        # At every tick for a while, and then seldom: a session that once used a GPU may go on for weeks.
        account.due_ns = now_ns + ASK_NS if now_ns - account.absent_ns >= ASK_NS else now_ns
        if not running:
            account.due_ns = min(account.due_ns, forget_ns) if account.improvable else forget_ns
        if running or account.improvable:
            end = end_of(account.job, account.evidence, now)
            if end is not None and (running or end.state != ENDED):
                account.ended(end, now)

    def _forget(self, account: Account) -> None:
        del self._has.accounts[account.job.job_id]
        self._folded -= account.folded

    def _from_zero(self) -> None:
        """Begin again with all that is read with increase(). The series stay, so that the reset is seen."""
        for tally in self._has.teams:
            tally.from_zero()
        self._has.nobodys.from_zero()
        if self._has.other is not None:
            other = self._has.other
            other.energy_mj = dict.fromkeys(other.energy_mj, (0, 0))
            other.held_ns = other.busy_ns = 0
            other.bill.from_zero()
