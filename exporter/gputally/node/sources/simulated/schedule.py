"""Who uses the simulated GPUs and when: four weeks, planned from the seed, that repeat for ever.

GPUs come in lanes: a pair that trains together, one that serves a model day and night, one on a desk. What
repeats keeps every counter a closed form; jobs get a new number in every round. Seconds count from the start
of the round, a Monday at midnight UTC.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

from gputally.node.sources.simulated.draw import Draw
from gputally.node.sources.simulated.shapes import Bumps, Shape, plateau, repeated

MINUTE, HOUR, DAY, WEEK = 60.0, 3600.0, 86_400.0, 604_800.0
ROUND = 4 * WEEK

PEOPLE = (
    ("amara", "vision"),
    ("bruno", "speech"),
    ("chidi", "language"),
    ("dalia", "vision"),
    ("emeka", "robotics"),
    ("freja", "language"),
    ("goran", "speech"),
    ("hana", "robotics"),
    ("ines", "language"),
    ("jonas", "vision"),
)
TRAINED = ("corvus-7b", "ursa-moe-40b", "lyra-vision-2", "vela-speech", "pyxis-policy")
SERVED = ("corvus-7b-chat", "lyra-embed", "vela-voice")
HEAT_COST = 0.1  # load that a card loses while it is too hot


@dataclass(frozen=True, slots=True)
class Stint:
    """One use of a lane's GPUs, or their rest, from `start` to `end`; all curves count from its start."""

    kind: str  # training | serving | notebook | adhoc | idle
    start: float
    end: float
    load: Shape = ()  # 0..1, how hard the GPU works
    held: Shape = ()  # 0..1, whether a program holds it
    heat: Shape = ()  # 0..1, a fault of cooling; only where faults are simulated, on the GPU that has them
    xids: tuple[tuple[float, int], ...] = ()  # second of the stint -> XID; as heat
    lost_seconds: float = 0.0  # how long the GPU with faults is lost after the end
    memory_ratio: float = 0.0
    processes: tuple[tuple[str, float], ...] = ()  # name, share of memory and work; on each GPU
    user: str = ""
    team: str = ""
    job_name: str = ""
    model: str = ""
    scheduled: bool = False  # whether a scheduler knows it as a job
    outcome: str = "completed"


@dataclass(frozen=True, slots=True)
class Lane:
    """GPUs that are used together."""

    number: int
    kind: str  # training | serving | desk
    gpus: tuple[int, ...]
    stints: tuple[Stint, ...]  # one after the other, the whole round


def plan(gpus: int, seed: int, *, faults: bool) -> tuple[Lane, ...]:
    """Divide the GPUs into lanes, four by four, and plan a round for each.

    With `faults`, the first lane's jobs run hot and break, and programs at desks crash.
    """
    lanes = []
    for number, (kind, members) in enumerate(_lanes(gpus)):
        draw = Draw(seed, kind, number)
        used = PLANS[kind](draw, faults and (number == 0 or kind == "desk"))
        lanes.append(Lane(number, kind, members, tuple(_with_rests(used))))
    return tuple(lanes)


def _lanes(gpus: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for first in range(0, gpus, 4):
        block = tuple(range(first, min(first + 4, gpus)))
        pair = 2 if len(block) == 4 else 1
        yield "training", block[:pair]
        if len(block) > 1:
            yield "serving", block[pair : pair + 1]
        if len(block) > 2:
            yield "desk", block[pair + 1 :]


def _with_rests(used: Iterator[Stint]) -> Iterator[Stint]:
    now = 0.0
    for stint in used:
        if stint.start > now:
            yield Stint("idle", now, stint.start)
        yield stint
        now = stint.end
    if now < ROUND:
        yield Stint("idle", now, ROUND)


def _training(draw: Draw, faults: bool) -> Iterator[Stint]:
    """Long runs at high load, which pause to write checkpoints; short ones that break where faults are on."""
    longest, shortest = (8 * HOUR, 3 * HOUR) if faults else (60 * HOUR, 8 * HOUR)
    end = 0.0
    for number in count():
        this = draw.within(number)
        start = round(end + this.between(15 * MINUTE, 45 * MINUTE, "rest"))
        length = round(min(this.between(shortest, longest, "length"), ROUND - HOUR - start))
        if length < HOUR:
            return
        end = start + length
        breaks = faults and number % 2 == 1
        user, team = this.one_of(PEOPLE, "who")
        model = this.one_of(TRAINED, "model")
        yield Stint(
            "training",
            start,
            end,
            load=_training_load(this, length),
            held=(plateau(1.0, length, 20.0),),
            heat=_heat(length) if faults else (),
            xids=_training_xids(length, breaks=breaks) if faults else (),
            lost_seconds=round(this.between(4 * MINUTE, 8 * MINUTE, "lost")) if breaks else 0.0,
            memory_ratio=this.between(0.8, 0.94, "memory"),
            processes=(("python3", 1.0),),
            user=user,
            team=team,
            job_name=f"{this.one_of(('pretrain', 'finetune', 'distill'), 'task')}-{model}",
            model=model,
            scheduled=True,
            outcome="failed" if breaks else this.one_of(("completed", "completed", "timeout"), "outcome"),
        )


def _training_load(draw: Draw, length: float) -> Shape:
    level, pause = draw.between(0.84, 0.91, "level"), draw.between(20 * MINUTE, 40 * MINUTE, "pause")
    step = draw.between(4.0, 12.0, "step")
    return (
        plateau(level, length, 90.0),
        repeated(Bumps(0.05, step, step / 2, 120.0, step), length - 120.0),
        repeated(Bumps(0.14 - level, 45.0, 6.0, pause, pause), length - 120.0),
    )


def _heat(length: float) -> Shape:
    """Twenty minutes of too little cooling, every two hours."""
    return (repeated(Bumps(1.0, 20 * MINUTE, 60.0, 40 * MINUTE, 2 * HOUR), length - 120.0),)


def _training_xids(length: float, *, breaks: bool) -> tuple[tuple[float, int], ...]:
    if not breaks:
        return ((length / 2, 94),)  # a memory error that was contained
    return ((length - 10.0, 79),)  # the GPU falls off the bus, and the run ends


def _serving(draw: Draw, _faults: bool) -> Iterator[Stint]:
    """One model a week, answering in bursts, more by day than by night."""
    for week in range(4):
        this = draw.within(week)
        start, end = week * WEEK + 10 * MINUTE, (week + 1) * WEEK
        length = end - start
        user, team = this.one_of(PEOPLE, "who")
        model = this.one_of(SERVED, "model")
        short, long = this.between(17.0, 29.0, "short"), this.between(70.0, 130.0, "long")
        yield Stint(
            "serving",
            start,
            end,
            load=(
                plateau(0.08, length, 120.0),
                repeated(Bumps(0.26, 16 * HOUR, 6 * HOUR, 5 * HOUR, DAY), length),
                repeated(Bumps(0.22, short * 0.4, short * 0.2, 180.0, short), length - 180.0),
                repeated(Bumps(0.18, long * 0.3, long * 0.1, 180.0, long), length - 180.0),
            ),
            held=(plateau(1.0, length, 20.0),),
            memory_ratio=this.between(0.84, 0.9, "memory"),
            processes=(("engine-core", 0.97), ("tokenizer", 0.03)),
            user=user,
            team=team,
            job_name=f"serve-{model}",
            model=model,
            scheduled=True,
            outcome="cancelled",
        )


def _desk(draw: Draw, faults: bool) -> Iterator[Stint]:
    """A notebook that holds memory and does nothing, some nights too; else a run that no scheduler knows."""
    for day in range(28):
        this = draw.within(day)
        user, team = this.one_of(PEOPLE, "who")
        morning = day * DAY + round(this.between(8 * HOUR, 9 * HOUR, "morning"))
        forgotten = day < 27 and this.happens(0.5, "forgotten")
        closed = day * DAY + round(this.between(17 * HOUR, 18 * HOUR, "closed"))
        yield _notebook(this, morning, (day + 1) * DAY + 7.5 * HOUR if forgotten else closed, user, team)
        if forgotten:
            continue
        evening, length = day * DAY + 19 * HOUR, round(this.between(2 * HOUR, 4 * HOUR, "length"))
        yield Stint(
            "adhoc",
            evening,
            evening + length,
            load=(plateau(0.7, length, 30.0), repeated(Bumps(0.2, 6.0, 3.0, 60.0, 6.0), length - 60.0)),
            held=(plateau(1.0, length, 10.0),),
            xids=((length - 5.0, 31),) if faults else (),  # a program that reads where it must not
            memory_ratio=this.between(0.5, 0.8, "run"),
            processes=(("python3", 1.0),),
            user=user,
            team=team,
        )


def _notebook(draw: Draw, start: float, end: float, user: str, team: str) -> Stint:
    return Stint(
        "notebook",
        start,
        end,
        load=(Bumps(0.4, 4 * MINUTE, MINUTE, 2 * MINUTE, 4 * MINUTE),),  # one cell is run, then nothing
        held=(plateau(1.0, end - start, 10.0),),
        memory_ratio=draw.between(0.35, 0.75, "memory"),
        processes=(("ipykernel", 1.0),),
        user=user,
        team=team,
        job_name="notebook",
        model="",
        scheduled=True,
        outcome="cancelled",
    )


PLANS: dict[str, Callable[[Draw, bool], Iterator[Stint]]] = {
    "training": _training,
    "serving": _serving,
    "desk": _desk,
}
