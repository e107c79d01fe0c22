"""Follows counters that somebody else keeps and may start again from zero: bytes, errors, throttled time.

Decides what a difference between two readings is worth. Knows neither what is counted nor where it is read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gputally.model.clock import NS_PER_SECOND

PATIENCE_NS = NS_PER_SECOND  # readings carry no time of their own; they may be this much older than the tick


@dataclass(frozen=True, slots=True)
class Followed:
    """What has been counted, and the driver's counter up to which it is complete."""

    acc: int = 0
    hw: int | None = None  # None = no base yet: the next reading becomes one and adds nothing
    at_ns: int = 0  # boot clock at which `hw` was read

    def follow(self, hw: int | None, now_ns: int, *, most_per_s: int | None = None) -> "Followed":
        """Take a reading of the driver's counter; None leaves everything as it is.

        A counter that fell has been restarted, so all that it shows is new. `most_per_s` is what physics
        allows: no difference counts for more, so a garbled reading costs one interval and not a century.
        """
        if hw is None or hw < 0:
            return self
        if self.hw is None:
            return Followed(self.acc, hw, now_ns)
        added = hw - self.hw if hw >= self.hw else hw
        if most_per_s is not None:
            elapsed_ns = max(0, now_ns - self.at_ns) + PATIENCE_NS
            added = min(added, most_per_s * elapsed_ns // NS_PER_SECOND)
        return Followed(self.acc + added, hw, now_ns)

    def add(self, amount: int) -> "Followed":
        """Count what was measured otherwise. The base goes, or the driver would count it once more."""
        return Followed(self.acc + amount)

    def rebooted(self) -> "Followed":
        """The machine was started again: the driver counts from zero since then, whatever it shows now."""
        return self if self.hw is None else Followed(self.acc, 0, 0)

    def from_zero(self) -> "Followed":
        """Forget what was counted and go on from the same base: a reset that rate() and increase() see."""
        return Followed(0, self.hw, self.at_ns)


Family = Mapping[str, Followed]  # by label value: reason, link, severity


FROM_NOW = Followed()
FROM_START = Followed(hw=0)


def follow_all(
    family: Family,
    readings: Iterable[tuple[str, int | None]],
    now_ns: int,
    *,
    most_per_s: int | None = None,
    first: Followed = FROM_NOW,
) -> Family:
    """Follow every reading under its label; labels that are not read now keep their count.

    A label that is new counts from now on, or with `first=FROM_START` what the driver has counted before too.
    """
    followed = dict(family)
    for label, hw in readings:
        if hw is not None:
            followed[label] = followed.get(label, first).follow(hw, now_ns, most_per_s=most_per_s)
    return followed


def each_rebooted(family: Family) -> Family:
    """The machine was started again, for all of them."""
    return {label: one.rebooted() for label, one in family.items()}


def each_from_zero(family: Family) -> Family:
    """Start all of them at zero again."""
    return {label: one.from_zero() for label, one in family.items()}
