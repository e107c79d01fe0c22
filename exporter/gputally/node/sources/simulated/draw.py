"""Chance without memory: the same key gives the same number, on every machine and in every process."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")


class Draw:
    """A source of numbers for one corner of a simulated world, named by its key."""

    def __init__(self, *key: object) -> None:
        self._key = key

    def within(self, *key: object) -> "Draw":
        """A corner of this corner."""
        return Draw(*self._key, *key)

    def number(self, below: int, *what: object) -> int:
        """A whole number from 0 up to, not including, `below`."""
        text = "/".join(map(str, (*self._key, *what)))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") % below

    def between(self, low: float, high: float, *what: object) -> float:
        """A number from low to high."""
        return low + (high - low) * self.number(1 << 53, *what) / (1 << 53)

    def one_of(self, choices: Sequence[_T], *what: object) -> _T:
        """One of several things."""
        return choices[self.number(len(choices), *what)]

    def happens(self, chance: float, *what: object) -> bool:
        """Whether something with this chance comes true."""
        return self.between(0, 1, *what) < chance
