"""Workers for readers: who reads which GPU, who is due for the slow lane, who has not come back."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue

from gputally.model import Clock, Description, Instant, Reading
from gputally.node.sources.protocol import Reader
from gputally.node.worker import Outcome, Worker

SLOW_SECONDS = 5.0  # pace of the slow lane


@dataclass(frozen=True, slots=True)
class ReadResult:
    """What one read brought, and when it was begun."""

    at: Instant
    descriptions: Mapping[str, Description]
    readings: Mapping[str, Reading]


@dataclass(slots=True)
class Post:
    """A reader and the worker that it belongs to."""

    reader: Reader
    worker: Worker
    described: bool = False
    asked_at: Instant | None = None  # the tick at which it was last started
    slow_at: Instant | None = None  # when the slow lane was last asked for
    overdue: bool = False
    closing: bool = False  # its last job: the reader gives back what it holds in the driver


class Crew:
    """One worker a reader. Used by the sampler's thread only."""

    def __init__(self, outcomes: SimpleQueue[Outcome], clock: Clock) -> None:
        self._outcomes = outcomes
        self._clock = clock
        self._posts: dict[str, Post] = {}
        self._left: list[Post] = []  # readers that are gone while their worker is still at it

    def __iter__(self) -> Iterator[Post]:
        """Every post that is staffed."""
        return iter(self._posts.values())

    @property
    def idle(self) -> bool:
        """Whether no worker is inside a call."""
        return all(post.worker.idle for post in (*self._posts.values(), *self._left))

    @property
    def stuck(self) -> int:
        """How many calls are overdue."""
        return sum(post.overdue for post in (*self._posts.values(), *self._left))

    def staff(self, readers: Iterable[Reader]) -> None:
        """Give new readers a worker and let the workers of vanished ones go."""
        wanted = {reader.key: reader for reader in readers}
        for key in self._posts.keys() - wanted.keys():
            self._dismiss(self._posts.pop(key))
        inside = {uuid for post in self._left for uuid in post.reader.uuids}
        for key, reader in wanted.items():
            if key not in self._posts and inside.isdisjoint(reader.uuids):
                # never a second call on a GPU that a worker is still inside of
                self._posts[key] = Post(reader, Worker(f"gpu-{key[-12:]}", self._outcomes, self._clock))

    def start(self, now: Instant) -> None:
        """Start a read on every post whose worker is free and that has not been asked at this tick."""
        for n, post in enumerate(self._posts.values()):
            if not post.worker.idle or post.asked_at is now:
                continue
            post.asked_at = now
            slow = post.slow_at is None or now.seconds_since(post.slow_at) >= SLOW_SECONDS
            if slow:
                # After the first time the slow reads of the GPUs are spread over the ticks.
                early_ns = 0 if post.slow_at else int((n % 8) / 8 * SLOW_SECONDS * 1e9)
                post.slow_at = Instant(now.boot_ns - early_ns, now.wall_ns)
            post.worker.submit(
                partial(_read, post.reader, self._clock, slow=slow, describe=not post.described)
            )

    def take(self, outcome: Outcome) -> Post | None:
        """The post that an outcome belongs to; None if its reader has left meanwhile."""
        for post in self._left:
            if post.worker is outcome.worker:
                self._let_go(post)
                return None
        for post in self._posts.values():
            if post.worker is outcome.worker:
                post.overdue = False
                if outcome.error is None:
                    post.described = True
                else:
                    post.slow_at = None  # what was missed is read again at once
                return post
        return None

    def overdue(self, now: Instant, deadline_seconds: float) -> list[Post]:
        """Posts whose call has outlasted the deadline."""
        posts = [*self._posts.values(), *self._left]
        for post in posts:
            since = post.worker.busy_since
            post.overdue = since is not None and now.seconds_since(since) > deadline_seconds
        return [post for post in posts if post.overdue]

    def _dismiss(self, post: Post) -> None:
        self._left.append(post)
        if post.worker.idle:
            self._let_go(post)

    def _let_go(self, post: Post) -> None:
        """Have the worker close the reader, which is a call into the driver as well, and then end it."""
        if post.closing:
            self._left.remove(post)
            post.worker.stop()
        else:
            post.closing = True
            post.worker.submit(post.reader.close)


def _read(reader: Reader, clock: Clock, *, slow: bool, describe: bool) -> ReadResult:
    descriptions = reader.describe() if describe else {}
    at = clock()
    return ReadResult(at, descriptions, reader.read(slow=slow))
