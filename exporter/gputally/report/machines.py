"""What teams had of each machine in a range, and what nobody had: the measured side of every charge."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, localcontext

from gputally.report import questions
from gputally.report.asking import Inquiry, Task
from gputally.report.gathering import Wanted, gather, parts
from gputally.report.sheet import Amounts

Machine = tuple[str, str]  # cluster, instance
NOTHING = Decimal(0)
DIGITS = 60  # of every computation: nothing is rounded before it is written
_SMALL = Decimal("1e-18")  # parts of money and of hours
_MACHINE = ("cluster", "instance")
_HELD = ("kwh", "cost", "gpu_hours")


@dataclass(slots=True)
class Measured:
    """Amounts as they were counted. Together they are all that the GPUs used, and all their hours."""

    # machine, team, user -> kwh, gpu_hours, cost by currency
    teams: dict[tuple[Machine, str, str], Amounts] = field(default_factory=dict)
    nobodys: dict[Machine, Amounts] = field(default_factory=dict)  # unused_kwh, unused_cost by currency
    # Name of a card -> hours that nobody held, and how many of these cards there are.
    waiting: dict[Machine, dict[str, Decimal]] = field(default_factory=dict)
    kinds: dict[Machine, dict[str, int]] = field(default_factory=dict)
    # Of machines with several kinds of cards: team -> name -> seconds, by which hours are divided among them.
    mixed: dict[Machine, dict[str, dict[str, Decimal]]] = field(default_factory=dict)

    def hours(self, machine: Machine) -> dict[str, dict[str, Decimal]]:
        """Team -> name of a card -> hours held."""
        found: dict[str, dict[str, Decimal]] = defaultdict(dict)
        for (place, team, _user), amounts in self.teams.items():
            held = amounts.numbers.get("gpu_hours", NOTHING)
            if place == machine and held:
                for name, part in self._divided(machine, team, held).items():
                    found[team][name] = found[team].get(name, NOTHING) + part
        return found

    def machines(self) -> list[Machine]:
        """All of them, by name."""
        return sorted({place for place, _, _ in self.teams} | set(self.nobodys) | set(self.waiting))

    def _divided(self, machine: Machine, team: str, held: Decimal) -> dict[str, Decimal]:
        """Hours by kind of card; parts that were not seen, by the number of cards."""
        kinds = self.kinds.get(machine, {})
        if len(kinds) < 2:
            return {next(iter(kinds), ""): held}
        seen = self.mixed.get(machine, {}).get(team, {})
        weights = seen if any(seen.values()) else {name: Decimal(count) for name, count in kinds.items()}
        return divided(held, weights)


def divided(total: Decimal, weights: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """A total by weights; the parts are the total, exactly: what a division leaves over is the last one's."""
    names = sorted(name for name, weight in weights.items() if weight > 0)
    found: dict[str, Decimal] = {}
    with localcontext() as context:
        context.prec = DIGITS
        whole, left = sum((weights[name] for name in names), NOTHING), total
        for name in names[:-1]:
            found[name] = (total * weights[name] / whole).quantize(_SMALL)
            left -= found[name]
        if names:
            found[names[-1]] = left
    return found


def measure(inquiry: Inquiry) -> Measured:
    """Ask Prometheus. Raises ReportError where it cannot be asked; nothing in it is nothing used."""
    measured = Measured()
    held = Wanted([questions.TEAM[name] for name in _HELD], (*_MACHINE, "team", "user"))
    for (cluster, instance, team, user), amounts in gather(inquiry, held).items():
        if not amounts.nothing():
            measured.teams[(cluster, instance), team, user] = amounts
    nobodys = Wanted(tuple(questions.NOBODY.values()), _MACHINE)
    for (cluster, instance), amounts in gather(inquiry, nobodys).items():
        measured.nobodys[cluster, instance] = amounts
    names = _names(inquiry)
    waiting = Wanted((questions.NOT_HELD,), (*_MACHINE, "uuid"))
    for (cluster, instance, uuid), amounts in gather(inquiry, waiting).items():
        machine, name = (cluster, instance), names.get((cluster, instance, uuid), "")
        hours = measured.waiting.setdefault(machine, {})
        hours[name] = hours.get(name, NOTHING) + amounts.numbers.get("unused_hours", NOTHING)
    for (cluster, instance, _uuid), name in sorted(names.items()):
        kinds = measured.kinds.setdefault((cluster, instance), {})
        kinds[name] = kinds.get(name, 0) + 1
    several = [machine for machine, kinds in measured.kinds.items() if len(kinds) > 1]
    if several:
        _watch_jobs(inquiry, several, names, measured)
    return measured


def data_begin_s(inquiry: Inquiry) -> int | None:
    """When the first agent was scraped in the range; None where none was."""
    step = inquiry.range.step
    for part in parts(inquiry, ()):
        found = inquiry.ask(
            lambda span: f"min(min_over_time(timestamp(gputally_build_info)[{span}:{step}]))", part
        )
        if found:
            return int(found[0].value)
    return None


def _names(inquiry: Inquiry) -> dict[tuple[str, str, str], str]:
    """Cluster, instance, uuid -> what the card is called."""
    by = (*_MACHINE, "uuid", "name")
    tasks = [
        Task("", lambda span: questions.seen_now_and_then("gpu_info", by, span, "5m"), part)
        for part in parts(inquiry, ())
    ]
    return {
        (key[0], key[1], key[2]): key[3]
        for _task, samples in inquiry.answers(tasks)
        for key in (sample.key(by) for sample in samples)
    }


def _watch_jobs(
    inquiry: Inquiry, machines: Iterable[Machine], names: Mapping[tuple[str, str, str], str], into: Measured
) -> None:
    """For how long jobs were on which kind of card: all cards of a job alike."""
    job = (*_MACHINE, "job_id")
    where = questions.matching({"instance": sorted({instance for _, instance in machines})})
    for part in parts(inquiry, ()):
        cards: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for sample in inquiry.ask(
            lambda span: questions.seen("gpu_job_energy_joules_total", (*job, "uuid"), span, where), part
        ):
            cluster, instance, _job, uuid = sample.key((*job, "uuid"))
            cards[sample.key(job)].append(names.get((cluster, instance, uuid), ""))
        teams = {
            sample.key(job): sample.labels.get("team", "")
            for sample in inquiry.ask(
                lambda span: questions.seen("gpu_job_info", (*job, "team"), span, where), part
            )
        }
        for sample in inquiry.ask(lambda span: _lasted("gpu_job_gpu_seconds_total", job, span, where), part):
            key = sample.key(job)
            if cards[key]:
                seen = into.mixed.setdefault((key[0], key[1]), {}).setdefault(teams.get(key, ""), {})
                for name in cards[key]:
                    seen[name] = seen.get(name, NOTHING) + sample.value / len(cards[key])


def _lasted(metric: str, by: Iterable[str], span: str, where: str) -> str:
    """What a counter that comes and goes has gained: `increase` would lose the beginning of short jobs."""
    series = f"{metric}{{{where}}}[{span}]"
    return f"max by ({', '.join(by)}) (max_over_time({series}) - min_over_time({series}))"
