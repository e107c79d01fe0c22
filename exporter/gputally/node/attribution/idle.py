"""What a GPU draws when nobody is on it: its baseline, learnt from quiet minutes. State in, state out.

The baseline is the second-lowest mean over a window of 60 quiet seconds, apart for MIG on and off. Not the
lowest, because what is learnt too low stays: one window made by a stuck counter or a garbled reading must not
count. So a baseline may rise once, at the second window, and only falls from then on.
"""

from dataclasses import dataclass
from typing import Any

from gputally.model.clock import NS_PER_SECOND

WINDOW_NS = 60 * NS_PER_SECOND
SETTLING_NS = 10 * NS_PER_SECOND  # after a process left: clocks fall in steps, what is warm draws more
# A board that answers its driver draws more than the first and, with nothing to do, less than the second: a
# window outside is no measurement. A card that sleeps deeper is not lost to that: the baseline that is taken
# off a tick never exceeds what the tick used.
LOWEST_MW = 1_000
HIGHEST_MW = 2_000_000
_MJ_PER_NS_IN_MW = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Baseline:
    """What has been learnt of one GPU, and the window that is open."""

    off_mw: tuple[int, ...] = ()  # without MIG: the lowest windows, two at most, in rising order
    on_mw: tuple[int, ...] = ()  # with MIG
    mig: bool = False  # mode of the open window
    settling_ns: int = SETTLING_NS  # of quiet that must still pass before a window may open
    window_ns: int = 0
    window_mj: int = 0

    def to_json(self) -> dict[str, list[int]]:
        """What must outlive the process: not the open window, which a restart breaks."""
        return {name: list(lows) for name, lows in (("off", self.off_mw), ("on", self.on_mw)) if lows}

    @classmethod
    def from_json(cls, data: object) -> "Baseline":
        """Read what `to_json` wrote. Raises ValueError on anything else."""
        if not isinstance(data, dict) or not data.keys() <= {"off", "on"}:
            raise ValueError(f"not a baseline: {data!r}")
        return cls(_lows(data.get("off", [])), _lows(data.get("on", [])))


def observe(state: Baseline, *, energy_mj: int, covers_ns: int, occupied: bool, mig: bool) -> Baseline:
    """Take a tick into account, with the time in which its energy was used.

    `occupied`: a process of any kind is or was there since the tick before, or may have been, as where the
    driver lists none and over a gap; or a scheduler has given the GPU to a job.
    """
    if occupied or mig is not state.mig:
        if state.settling_ns == SETTLING_NS and mig is state.mig:  # so no window is open
            return state
        return Baseline(state.off_mw, state.on_mw, mig)
    if state.settling_ns > 0:
        return Baseline(state.off_mw, state.on_mw, mig, max(0, state.settling_ns - covers_ns))
    window_ns, window_mj = state.window_ns + covers_ns, state.window_mj + energy_mj
    if window_ns < WINDOW_NS:
        return Baseline(state.off_mw, state.on_mw, mig, 0, window_ns, window_mj)
    mean_mw = window_mj * _MJ_PER_NS_IN_MW // window_ns
    if mig:
        return Baseline(state.off_mw, _lower(state.on_mw, mean_mw), mig, 0)
    return Baseline(_lower(state.off_mw, mean_mw), state.on_mw, mig, 0)


def idle_w(state: Baseline, *, mig: bool, configured: float | None) -> float:
    """Watts of the baseline: what the configuration says, else what was learnt in this mode, else 0."""
    if configured is not None:
        return configured
    lows_mw = state.on_mw if mig else state.off_mw
    return lows_mw[-1] / 1000 if lows_mw else 0.0


def _lower(lows_mw: tuple[int, ...], mean_mw: int) -> tuple[int, ...]:
    """The two lowest windows with this one among them, if it was a measurement."""
    return tuple(sorted((*lows_mw, mean_mw))[:2]) if LOWEST_MW <= mean_mw <= HIGHEST_MW else lows_mw


def _lows(data: Any) -> tuple[int, ...]:  # noqa: ANN401 - JSON
    sound = (
        isinstance(data, list)
        and len(data) <= 2
        and all(type(low) is int and LOWEST_MW <= low <= HIGHEST_MW for low in data)
        and data == sorted(data)
    )
    if not sound:
        raise ValueError(f"not the lowest windows of a baseline: {data!r}")
    return tuple(data)
