"""The highest value of the last minute. Knows no units and no device.

A maximum over a sliding window by the monotonic queue: a value that came earlier and is not higher can never
be the peak again and is dropped at once, so every value is compared a constant number of times on average.
"""

from dataclasses import dataclass

from gputally.model.clock import NS_PER_SECOND

WINDOW_NS = 60 * NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Peak:
    """Values in the order of time, each lower than the one before; the first that is young enough wins."""

    values: tuple[tuple[int, float], ...] = ()  # (boot_ns, value)

    def push(self, now_ns: int, value: float | None) -> "Peak":
        """Take a value that was read now; None only lets time pass."""
        values = self.values
        first, last = 0, len(values)
        while first < last and now_ns - values[first][0] > WINDOW_NS:
            first += 1
        if value is None:
            return Peak(values[first:]) if first else self
        while last > first and values[last - 1][1] <= value:
            last -= 1
        return Peak((*values[first:last], (now_ns, value)))

    def value(self, now_ns: int) -> float | None:
        """The highest value of the window that ends now; None when nothing was read in it."""
        for at_ns, value in self.values:
            if now_ns - at_ns <= WINDOW_NS:
                return value
        return None
