"""Takes in what workers bring, and notices what they do not bring; says what either means for the GPUs."""

from gputally.model import Instant
from gputally.node.crew import Crew, Post, ReadResult
from gputally.node.health import Health, sentence_of, word_of
from gputally.node.labels import clean_texts
from gputally.node.occupants import Occupants
from gputally.node.roster import SUSPENDED, Roster
from gputally.node.session import Phase, Session
from gputally.node.sources.protocol import SourceError, VersionMismatch
from gputally.node.worker import Outcome


class Intake:
    """Between the readers of a session and the roster of GPUs. Used by the sampler's thread only."""

    def __init__(
        self, session: Session, crew: Crew, roster: Roster, occupants: Occupants, health: Health
    ) -> None:
        self._session, self._crew, self._roster = session, crew, roster
        self._occupants, self._health = occupants, health
        self._looked_at: Instant | None = None

    def took(self, post: Post, outcome: Outcome) -> None:
        """Count what a read brought; or what it cost, its own GPUs alone."""
        result, error = outcome.value, outcome.error
        if isinstance(result, ReadResult):
            try:
                self._integrate(post, result, outcome.finished)
            except Exception as bug:  # noqa: BLE001 - costs this GPU, not the others and not the tick
                error = bug
        if error is None:
            self._health.read(outcome.seconds)
            return
        reason = word_of(error)
        if reason == SUSPENDED:
            self._health.read(outcome.seconds)  # asleep is no fault
        else:
            self._health.count(self._source_name, reason)
            self._health.read(outcome.seconds, reason)
        if isinstance(error, VersionMismatch):
            self._session.renew_process = str(error)
        xids = error.new_xids if isinstance(error, SourceError) else ()
        for uuid in post.reader.uuids:
            self._roster.down(uuid, reason, outcome.finished, sentence_of(error), xids)

    def look_around(self, now: Instant, interval_seconds: float) -> None:
        """Mark those whose call is overdue; ask for a fresh start when nobody answers."""
        self.present(now)
        hung, choice = self._session.hangs(now), self._session.choice
        pause, self._looked_at = now.seconds_since(self._looked_at or now), now
        # After a long pause (a freezer, a suspended machine) it was not the calls that stood still.
        if choice is not None and pause <= interval_seconds + choice.deadline_seconds:
            late = self._crew.overdue(now, choice.deadline_seconds)
            for uuid in (uuid for post in late for uuid in post.reader.uuids):
                entry = self._roster.entry(uuid)
                if entry is not None and entry.present and (entry.up or entry.reason != "timeout"):
                    self._health.count(choice.name, "timeout")
                self._roster.down(uuid, "timeout", now)
            trouble = "" if self._session.phase is Phase.OPEN else self._session.reason
            self._health.judge(choice.name, trouble or ("timeout" if late or hung else ""))
        elif hung:
            self._health.note("source", 0.0, "timeout")
        if self._session.phase is Phase.OPEN and self._roster.all_down:
            self._session.reopen(now)
        elif self._roster.any_up:
            self._session.well()

    def present(self, now: Instant) -> None:
        """Tell the roster which GPUs are there."""
        if self._session.phase is Phase.OPEN:
            self._roster.present(self._session.gpus, now, "gone")
        else:
            self._roster.present((), now, self._session.reason)

    def _integrate(self, post: Post, result: ReadResult, finished: Instant) -> None:
        for uuid, description in result.descriptions.items():
            if (entry := self._roster.entry(uuid)) is not None:
                entry.description = clean_texts(description)
        for uuid in post.reader.uuids:
            if (reading := result.readings.get(uuid)) is None:
                self._roster.down(uuid, "no_reading", finished)
                continue
            for why in reading.failed.values():
                self._health.count(self._source_name, why)
            tick, entry = self._roster.took(uuid, reading, result.at), self._roster.entry(uuid)
            if tick is not None and entry is not None:
                self._occupants.took(entry, tick, result.at)

    @property
    def _source_name(self) -> str:
        return self._session.choice.name if self._session.choice is not None else "source"
