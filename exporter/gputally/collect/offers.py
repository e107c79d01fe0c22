"""The document at /offers: written when the market has changed and somebody asks, never in between."""

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING

from gputally.model.market import Market

if TYPE_CHECKING:
    from gputally.site.market.listing import Listing

Parts = tuple[Market, tuple[object, ...]]  # the market, and whatever else the document depends on


class OffersPage:
    """The latest market as JSON. Not thread safe: the web server's one thread is its only caller."""

    def __init__(
        self, parts: Callable[[], Parts], make: Callable[[], "Listing"], now_seconds: Callable[[], float]
    ) -> None:
        self._latest, self._make, self._now_seconds = parts, make, now_seconds
        self._parts: Parts | None = None
        self._fresh: tuple[bool, ...] = ()
        self._version = 0

    @property
    def version(self) -> int:
        """Changes with the market and its terms, and when a provider's last good reply gets too old."""
        parts, now_seconds = self._latest(), self._now_seconds()
        fresh = tuple(report.fresh(now_seconds) for report in parts[0].providers)
        known = self._parts
        if known is None or fresh != self._fresh or not _are_same(parts, known):
            self._parts, self._fresh = parts, fresh
            self._version += 1
        return self._version

    def render(self, _fmt: str = "") -> bytes:
        """The document; it has one form."""
        from gputally.site.market.listing import write_listing  # noqa: PLC0415 - only where somebody asks

        return write_listing(self._make())


def _are_same(parts: Parts, known: Parts) -> bool:
    """By identity: what is the same object has not been changed, and to compare offers would take long."""
    return parts[0] is known[0] and all(map(operator.is_, parts[1], known[1]))
