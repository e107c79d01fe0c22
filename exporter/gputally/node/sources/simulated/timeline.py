"""What one simulated GPU does at an instant, and has done since the machine was booted; all pure functions.

Every quantity that is counted is the area under a curve that is shown, in closed form: sums over the stints
of a round are made once, then a reading is one look-up and a few sines.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import cos, exp, pi, sin

from gputally.model.clock import NS_PER_SECOND
from gputally.node.sources.simulated.cards import Card
from gputally.node.sources.simulated.draw import Draw
from gputally.node.sources.simulated.schedule import HEAT_COST, ROUND, Stint
from gputally.node.sources.simulated.shapes import Shape, area, height, scaled

FIRST_ROUND_NS = 345_600 * NS_PER_SECOND  # 1970-01-05, a Monday
ROUND_NS = int(ROUND) * NS_PER_SECOND
_WANDER = ((0.9, 600.0), (0.4, 7.0))  # watts, period; both periods divide the round
_LAG_SECONDS = 60.0
_LAG_EDGES = (0, 8, 20, 40, 70, 120, 240)  # seconds back; the weights between them follow exp(-t / lag)


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant in the terms of the plan."""

    turn: int  # rounds since that of the origin
    index: int  # of the stint
    round_second: float
    stint_second: float


@dataclass(frozen=True, slots=True)
class _Curve:
    """One quantity over a round: its curves by stint, and the area under all stints before each."""

    shapes: tuple[Shape, ...]
    before: tuple[float, ...]

    def at(self, moment: Moment) -> float:
        return height(self.shapes[moment.index], moment.stint_second)

    def area(self, moment: Moment) -> float:
        within = area(self.shapes[moment.index], moment.stint_second)
        return moment.turn * self.before[-1] + self.before[moment.index] + within


class Timeline:
    """The life of one GPU. `draw` is what tells this card from its sisters; only a faulty one shows faults.

    Counts begin at `origin_ns`. Rounds are numbered from there too, which keeps joules small enough for
    floating point to hold every microjoule.
    """

    def __init__(
        self, card: Card, stints: tuple[Stint, ...], origin_ns: int, draw: Draw, *, faulty: bool
    ) -> None:
        self.card = card
        self.stints = stints
        self.faulty = faulty
        self._starts = [stint.start for stint in stints]
        self._phase = draw.between(0.0, 2 * pi, "phase")
        self._span_w = (card.limit_w - card.idle_w - card.held_w) * draw.between(0.95, 1.01, "gain")
        heat = [stint.heat if faulty else () for stint in stints]
        self._heat = self._curve(heat)
        self._load = self._curve([s.load + scaled(h, -HEAT_COST) for s, h in zip(stints, heat, strict=True)])
        self._held = self._curve([stint.held for stint in stints])
        own = (stint for stint in stints if faulty or stint.kind == "adhoc")
        self._xids = sorted((stint.start + second, xid) for stint in own for second, xid in stint.xids)
        self._lost = [(s.end, s.end + s.lost_seconds) for s in stints if faulty and s.lost_seconds]
        self._first_turn = _turn(origin_ns)
        self._origin = self.moment(origin_ns)
        self._origin_j = self._energy_j(self._origin)

    def _curve(self, shapes: list[Shape]) -> _Curve:
        areas = [area(shape, s.end - s.start) for shape, s in zip(shapes, self.stints, strict=True)]
        return _Curve(tuple(shapes), tuple(accumulate(areas, initial=0.0)))

    def moment(self, at_ns: int) -> Moment:
        """Find an instant in the plan."""
        turn, within_ns = divmod(at_ns - FIRST_ROUND_NS, ROUND_NS)
        second = within_ns / NS_PER_SECOND
        index = bisect_right(self._starts, second) - 1
        return Moment(turn - self._first_turn, index, second, second - self._starts[index])

    def stint(self, at_ns: int) -> Stint:
        """What is going on."""
        return self.stints[self.moment(at_ns).index]

    def power_w(self, at_ns: int) -> float:
        """Power of the board at this instant."""
        moment = self.moment(at_ns)
        wander = sum(w * sin(2 * pi * moment.round_second / p + self._phase) for w, p in _WANDER)
        return (
            self.card.idle_w
            + wander
            + self.card.held_w * self._held.at(moment)
            + self._span_w * self._load.at(moment)
        )

    def energy_j(self, at_ns: int) -> float:
        """Joules since the origin: the integral of `power_w`, in closed form."""
        return self._energy_j(self.moment(at_ns)) - self._origin_j

    def _energy_j(self, moment: Moment) -> float:
        wander = -sum(
            w * p / (2 * pi) * cos(2 * pi * moment.round_second / p + self._phase) for w, p in _WANDER
        )
        return (
            self.card.idle_w * (moment.turn * ROUND + moment.round_second)
            + wander
            + self.card.held_w * self._held.area(moment)
            + self._span_w * self._load.area(moment)
        )

    def load(self, at_ns: int) -> float:
        """How hard it works, 0..1."""
        return self._load.at(self.moment(at_ns))

    def load_seconds(self, at_ns: int) -> float:
        """The integral of `load` since the origin."""
        return self._load.area(self.moment(at_ns)) - self._load.area(self._origin)

    def held(self, at_ns: int) -> bool:
        """Whether a program holds the card, working or not."""
        return self._held.at(self.moment(at_ns)) > 0

    def heat(self, at_ns: int) -> float:
        """How much it is slowed down by heat, 0..1."""
        return self._heat.at(self.moment(at_ns))

    def heat_seconds(self, at_ns: int) -> float:
        """The integral of `heat` since the origin."""
        return self._heat.area(self.moment(at_ns)) - self._heat.area(self._origin)

    def warmth_w(self, at_ns: int) -> float:
        """Power as the heat sink feels it: averaged over the last minutes, the latest counting most."""
        energies = [self.energy_j(at_ns - seconds * NS_PER_SECOND) for seconds in _LAG_EDGES]
        weights = [exp(-seconds / _LAG_SECONDS) for seconds in _LAG_EDGES]
        total = 0.0
        for index, (near, far) in enumerate(pairwise(_LAG_EDGES)):
            mean_w = (energies[index] - energies[index + 1]) / (far - near)
            total += mean_w * (weights[index] - weights[index + 1])
        return total / (weights[0] - weights[-1])

    def lost(self, at_ns: int) -> bool:
        """Whether it has fallen off the bus."""
        second = self.moment(at_ns).round_second
        return any(start <= second < end for start, end in self._lost)

    def xids(self, after_ns: int, until_ns: int) -> tuple[int, ...]:
        """XIDs after the one instant, up to and including the other; at most one round's."""
        if not self._xids or until_ns <= after_ns:
            return ()
        after, until = self.moment(after_ns), self.moment(until_ns)
        if until.turn == after.turn:
            return tuple(x for at, x in self._xids if after.round_second < at <= until.round_second)
        rest = tuple(x for at, x in self._xids if at > after.round_second)
        return rest + tuple(x for at, x in self._xids if at <= until.round_second)

    def xid_count(self, at_ns: int, xid: int) -> int:
        """How often this XID has come since the origin."""
        times = [at for at, number in self._xids if number == xid]
        then, origin = self.moment(at_ns), self._origin
        come = then.turn * len(times) + bisect_right(times, then.round_second)
        return come - bisect_right(times, origin.round_second)

    def faults(self, since_ns: int, until_ns: int) -> Iterator[tuple[str, int, int, int | None]]:
        """Faults that begin in a span, as kind, start, end (simulated nanoseconds) and XID."""
        planned: list[tuple[str, float, float, int | None]] = [("xid", at, at, xid) for at, xid in self._xids]
        planned += [("lost", start, end, None) for start, end in self._lost]
        for turn in range(_turn(since_ns), _turn(until_ns) + 1):
            base_ns = FIRST_ROUND_NS + turn * ROUND_NS
            for kind, start, end, xid in planned:
                start_ns, end_ns = (base_ns + round(second * NS_PER_SECOND) for second in (start, end))
                if since_ns < start_ns <= until_ns:
                    yield kind, start_ns, end_ns, xid


def _turn(at_ns: int) -> int:
    return (at_ns - FIRST_ROUND_NS) // ROUND_NS
