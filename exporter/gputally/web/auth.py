"""Basic authentication against bcrypt hashes, without letting a guesser starve a scraper.

One thread computes hashes; few may wait for it, fewer from one address. A password that was right once is
known again by an HMAC under a key of this process, so a scraper that comes regularly costs one hash in all.
An unknown user costs as much time as a known one.
"""

import asyncio
import base64
import binascii
import hmac
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gputally.web.settings import LOWEST_GOOD_COST

MOST_WAITING = 8
_MOST_WAITING_PER_ADDRESS = 4
_REMEMBERED = 100
_REMEMBERED_S = 600.0  # since the last use
_LONGEST_PASSWORD = 72  # bcrypt's own limit: Go cuts there too, the library raises beyond it
_LONGEST_CREDENTIALS = 4096


class TooManyLoginsError(Exception):
    """More passwords wait to be checked than the thread can soon do."""


@dataclass(frozen=True, slots=True)
class _Credentials:
    user: str
    password: bytes


def _read(header: str) -> _Credentials | None:
    """Read an Authorization header; None when it holds no user and password."""
    scheme, _space, encoded = header.partition(" ")
    if scheme.lower() != "basic" or len(encoded) > _LONGEST_CREDENTIALS:
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    # An unreadable name belongs to nobody, and is checked like any name that belongs to nobody.
    return _Credentials(user.decode("utf-8", "replace"), password) if colon else None


class Authenticator:
    """Checks Authorization headers. All methods run on the loop's thread, hashes in one worker thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._users: Mapping[str, bytes] = {}
        self._nobody = b""
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[str, tuple[bytes, float]] = OrderedDict()  # user -> HMAC, last use
        self._waiting: Counter[object] = Counter()
        self._worker: ThreadPoolExecutor | None = None

    def adopt(self, users: Mapping[str, bytes]) -> None:
        """Use these users from now on; passwords seen under the old ones are forgotten."""
        self._users = users
        self._right.clear()
        # A hash that no password has, as slow as the slowest real one.
        cost = max((int(known[4:6]) for known in users.values()), default=LOWEST_GOOD_COST)
        self._nobody = b"$2b$%02d$" % cost + b"." * 53

    @property
    def required(self) -> bool:
        """Whether anybody must log in at all."""
        return bool(self._users)

    def check(self, header: str, address: object) -> bool | asyncio.Future[bool]:
        """Say whether the header is right, at once where that is known.

        Raises:
            TooManyLoginsError: the password would have to be computed, and too many wait already.
        """
        credentials = _read(header)
        if credentials is None:
            return False
        if self._known(credentials):
            return True
        if self._waiting.total() >= MOST_WAITING or self._waiting[address] >= _MOST_WAITING_PER_ADDRESS:
            raise TooManyLoginsError
        self._waiting[address] += 1
        return asyncio.ensure_future(self._compute(credentials, address))

    async def _compute(self, credentials: _Credentials, address: object) -> bool:
        known = self._users.get(credentials.user)
        if self._worker is None:
            self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="password")
        try:
            right = await asyncio.get_running_loop().run_in_executor(
                self._worker, _matches, credentials.password, known or self._nobody
            )
        finally:
            self._waiting -= Counter([address])
        # The users may have been replaced while the thread was busy.
        if known is None or not right or self._users.get(credentials.user) != known:
            return False
        self._right[credentials.user] = self._seal(credentials, known), self._clock()
        while len(self._right) > _REMEMBERED:
            self._right.popitem(last=False)
        return True

    def _known(self, credentials: _Credentials) -> bool:
        seal, used = self._right.get(credentials.user, (b"", 0.0))
        known, now = self._users.get(credentials.user), self._clock()
        if known is None or not seal or now - used > _REMEMBERED_S:
            return False
        if not hmac.compare_digest(seal, self._seal(credentials, known)):
            return False
        self._right[credentials.user] = seal, now
        self._right.move_to_end(credentials.user)
        return True

    def _seal(self, credentials: _Credentials, known: bytes) -> bytes:
        """Bind the password to this user's hash, whose length is fixed, so no other pair reads the same."""
        return hmac.digest(self._key, known + credentials.password, "sha256")

    def close(self) -> None:
        """Let the worker thread go; what it has not begun is dropped."""
        if self._worker is not None:
            self._worker.shutdown(wait=False, cancel_futures=True)
            self._worker = None


def _matches(password: bytes, known: bytes) -> bool:
    # Imported by the first login only: an exporter without users never pays for it.
    import bcrypt  # noqa: PLC0415

    try:
        return bcrypt.checkpw(password[:_LONGEST_PASSWORD], known)
    except ValueError:  # a NUL, which older versions of the library do not take
        return False
