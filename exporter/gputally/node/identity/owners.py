"""Names of users by number, from whatever directory service the machine has."""

import pwd
import threading
import time
from collections.abc import Callable

from gputally.model.clock import NS_PER_SECOND
from gputally.node.labels import label_text

USER_LIMIT = 64  # characters
_WAIT_NS = NS_PER_SECOND // 10  # a second; files answer in microseconds, a healthy LDAP in milliseconds
_ASK_AGAIN_NS = 600 * NS_PER_SECOND
_REMEMBERED = 4096  # containers may use any number of uids


class OwnerNames:
    """User names by uid, remembered. A directory service that does not answer costs one thread, no tick."""

    def __init__(self, lookup: Callable[[int], str] = lambda uid: pwd.getpwuid(uid).pw_name) -> None:
        self._lookup = lookup  # raises KeyError or OSError where there is no name
        self._names: dict[int, str] = {}
        self._unknown_since_ns: dict[int, int] = {}
        self._thread: threading.Thread | None = None
        self._waits_since_ns = 0
        self._waited_ns = 0

    def name(self, uid: int, now_ns: int) -> str:
        """Say who owns a uid; the number itself while nobody knows or the answer is not yet there."""
        since_ns = self._unknown_since_ns.get(uid)
        if since_ns is not None and now_ns - since_ns > _ASK_AGAIN_NS:
            del self._unknown_since_ns[uid], self._names[uid]
        known = self._names.get(uid)
        if known is not None:
            return known
        if len(self._names) >= _REMEMBERED:
            self._make_room()
        if len(self._names) < _REMEMBERED and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._ask, args=(uid, now_ns), name="owner", daemon=True)
            self._thread.start()
            self._wait(self._thread, now_ns)
        return self._names.get(uid, str(uid))

    def _make_room(self) -> None:
        """Forget numbers that have no name, the oldest first: containers use up thousands of them."""
        for uid in list(self._unknown_since_ns)[: _REMEMBERED // 4]:
            del self._unknown_since_ns[uid], self._names[uid]

    def awaits(self, uid: int) -> bool:
        """Whether nobody has answered yet who this is, not even that nobody knows."""
        return uid not in self._names

    def _wait(self, thread: threading.Thread, now_ns: int) -> None:
        """Wait for an answer, but no longer in a second than _WAIT_NS for all of them."""
        if not 0 <= now_ns - self._waits_since_ns < NS_PER_SECOND:
            self._waits_since_ns, self._waited_ns = now_ns, 0
        left_ns = _WAIT_NS - self._waited_ns
        if left_ns > 0:
            began_ns = time.monotonic_ns()
            thread.join(left_ns / NS_PER_SECOND)
            self._waited_ns += time.monotonic_ns() - began_ns

    def _ask(self, uid: int, now_ns: int) -> None:
        try:
            self._names[uid] = label_text(self._lookup(uid), USER_LIMIT) or str(uid)
        except (KeyError, OSError, OverflowError):
            self._unknown_since_ns[uid] = now_ns
            self._names[uid] = str(uid)
