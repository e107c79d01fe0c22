"""Files of prices and carbon that somebody else renews: read again by themselves when they change.

Each is a trouble of its own: one that is bad or gone keeps its old values, and the others go on. The
configuration itself is not read again with them: what stands there by now counts from the next reload on.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from gputally.config import strict
from gputally.config.intervals import read_series
from gputally.config.strict import ConfigError
from gputally.config.tariff import CARBON, PRICES, SiteDeclaration, read_site
from gputally.config.yamltree import fingerprint
from gputally.model import Clock, Instant
from gputally.tariff import Series

logger = logging.getLogger(__name__)
CARBON_COLUMN = "grams_per_kwh"
LOOK_SECONDS = 10.0  # from one look to the next
AGAIN_SECONDS = 60.0  # a file that could not be used is tried again, though it seems to be the same


@dataclass(slots=True)
class _File:
    """One file as it was read last."""

    seen: tuple[int, ...] | None = None
    tried: Instant | None = None
    series: Series | None = None  # the latest good one
    complaint: str = ""


class PriceFiles:
    """The files of one configuration. `look` may block on them, so it is called aside; one call at a time.

    `success` and `seconds` are replaced and never changed: they may be read from any thread.
    """

    def __init__(
        self, config_file: Path | None, text: bytes, declared: SiteDeclaration, clock: Clock
    ) -> None:
        self._config_file, self._text, self._declared = config_file or Path(), text, declared
        self._clock = clock
        self._files = {key: _File() for key in declared.files}
        kinds = dict.fromkeys(kind for kind, _ in declared.files)
        self.success: Mapping[str, bool] = dict.fromkeys(kinds, True)  # prices | carbon
        self.seconds: Mapping[str, float] = dict.fromkeys(kinds, clock().wall_seconds)

    @property
    def exist(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self._files)

    def look(self) -> SiteDeclaration | None:
        """What is declared now, if that is something else than before. Takes as long as the disk does."""
        now = self._clock()
        if not any(_is_due(path, file, now) for (_, path), file in self._files.items()):
            return None
        try:
            root = strict.parse(self._text, str(self._config_file))
            found = read_site(root, self._config_file.parent, self._read)
        except ConfigError:  # of a file without good values to keep; `_read` has said so
            found = self._declared
        self._judge(now)
        if found == self._declared:
            return None
        self._declared = found
        return found

    def _read(self, path: Path, column: str, scale: int, most: Decimal) -> Series:
        file, now = self._files[CARBON if column == CARBON_COLUMN else PRICES, path], self._clock()
        if file.series is not None and not _is_due(path, file, now):
            return file.series
        before, file.seen, file.tried = file.tried, fingerprint(path), now
        try:
            file.series = read_series(path, column, scale, most)
        except ConfigError as error:
            if str(error) != file.complaint:
                logger.error("the old values stay: %s", error)  # noqa: TRY400 - the line says it all
            file.complaint = str(error)
            if file.series is None:
                raise
            return file.series
        file.complaint = ""
        if before is not None:
            logger.info("read again: %s", path)
        return file.series

    def _judge(self, now: Instant) -> None:
        good = dict.fromkeys(self.success, True)
        seconds = dict(self.seconds)
        for kind, path in self._declared.files:
            file = self._files[kind, path]
            good[kind] = good[kind] and not file.complaint
            if not file.complaint and file.tried is not None and file.tried.boot_ns >= now.boot_ns:
                seconds[kind] = file.tried.wall_seconds
        self.success, self.seconds = good, seconds


def _is_due(path: Path, file: _File, now: Instant) -> bool:
    if file.tried is None or fingerprint(path) != file.seen:
        return True
    return bool(file.complaint) and now.seconds_since(file.tried) >= AGAIN_SECONDS
