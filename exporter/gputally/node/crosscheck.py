"""Compares an energy counter with the power readings of the same minute.

Decides only whether the two can both be true; what follows from it is the ladder's business (energy.py).
"""

from dataclasses import dataclass

from gputally.model.clock import NS_PER_SECOND
from gputally.node.power import UW_NS_PER_MJ, Metered

WINDOW_NS = 60 * NS_PER_SECOND
FEWEST = 20  # readings; of fewer all may have met a pause, or none of the bursts
TOLERANCE_PERCENT = 20
FLOOR_W = 5  # below this difference an idle card's rounding would be taken for a fault
COARSE_FACTOR = 4
AVERAGING_NS = NS_PER_SECOND  # the driver's window behind an average: how far it lags at the window's ends
COVERED_NS = AVERAGING_NS * 3 // 2  # of a longer interval an average leaves out what may have been otherwise


@dataclass(frozen=True, slots=True)
class Window:
    """What both sides said since the window was opened."""

    counter_mj: int = 0
    power: int = 0  # microwatts times nanoseconds
    ns: int = 0
    longest_ns: int = 0
    low_uw: int = 0
    high_uw: int = 0
    coarse: bool = False

    def add(self, counter_mj: int, metered: Metered, power: int, ns: int) -> "Window":
        """Take an interval in which the counter rose by `counter_mj` and power was integrated to `power`."""
        # The counter's own rate belongs to the swing: a load that has just begun is not in the average yet.
        blind = metered.kind == "instant" or (metered.kind == "average" and ns > COVERED_NS)
        seen_uw = (metered.power_uw, counter_mj * UW_NS_PER_MJ // max(1, ns))
        return Window(
            counter_mj=self.counter_mj + counter_mj,
            power=self.power + power,
            ns=self.ns + ns,
            longest_ns=max(self.longest_ns, ns),
            low_uw=min(seen_uw) if self.ns == 0 else min(self.low_uw, *seen_uw),
            high_uw=max(self.high_uw, *seen_uw),
            coarse=self.coarse or blind,
        )

    @property
    def full(self) -> bool:
        """Whether there is enough to judge by."""
        return self.ns >= max(WINDOW_NS, FEWEST * self.longest_ns)

    @property
    def agrees(self) -> bool:
        """Whether counter and power can both be true.

        Momentary readings of cards whose sensor looks for 25 ms in 100 are off by -55..+127 % under a load
        that keeps step with it, and so are means of one second in ten: they convict a counter only of what no
        such load explains. Averages lag by their window at both ends; that is worth the swing of the power,
        times the lag.
        """
        power_mj = self.power // UW_NS_PER_MJ
        swing_mj = (self.high_uw - self.low_uw) * (AVERAGING_NS + self.longest_ns) // UW_NS_PER_MJ
        floor_mj = FLOOR_W * self.ns // 10**6
        if abs(self.counter_mj - power_mj) <= floor_mj:
            return True
        if self.coarse:
            low_mj, high_mj = power_mj // COARSE_FACTOR, power_mj * COARSE_FACTOR
        else:
            low_mj = power_mj * (100 - TOLERANCE_PERCENT) // 100
            high_mj = power_mj * (100 + TOLERANCE_PERCENT) // 100
        return low_mj - swing_mj <= self.counter_mj <= high_mj + swing_mj


NO_WINDOW = Window()
