"""The figures as Markdown, and what stands beside them."""

from collections.abc import Sequence
from dataclasses import dataclass

from .absent import NOT_RUN
from .cost import Cost
from .faults import NAMES, Verdict
from .peers import Peer


@dataclass
class Row:
    """One peer: its figures, or why there are none, and its verdicts by fault."""

    peer: Peer
    cost: Cost | str
    faults: dict[str, Verdict | str]


def heading(gpus: int, processes: int, seconds: float, interval_s: float) -> str:
    """What was done."""
    return (
        f"\n{gpus} GPUs x {processes} processes, {seconds:.0f} s of square and sine power, 70 to 700 W, "
        f"scraped every {interval_s:.0f} s"
    )


def costs(rows: Sequence[Row]) -> str:
    """Series, CPU, memory, calls, energy."""
    lines = ["| exporter | series (of GPUs) | CPU | memory | NVML calls/GPU/s | slowest scrape | energy by |"]
    lines[0] += " error, all GPUs | worst GPU |"
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        found = row.cost
        if isinstance(found, str):
            lines.append(f"| {row.peer.name} | not run here: {found} | | | | | | | |")
            continue
        calls = "nvidia-smi" if found.calls is None else f"{found.calls:.1f}"
        lines.append(
            f"| {row.peer.name} | {found.series} ({found.of_gpus}) | {found.cpu_percent:.2f} % "
            f"| {found.memory_mib:.0f} MiB | {calls} | {found.slowest_ms:.0f} ms | {_rule(row.peer)} "
            f"| {_signed(found.all_percent)} | {_signed(found.worst_percent)} |"
        )
    return "\n".join(lines) + "\n"


def survival(rows: Sequence[Row]) -> str:
    """A table of the faults."""
    names = [name for name in NAMES if any(name in row.faults for row in rows)]
    lines = [f"| exporter | {' | '.join(names)} | survived |", "|---" * (len(names) + 2) + "|"]
    for row in rows:
        if row.faults:  # "yes" and by how much its energy was off afterwards
            cells = [_verdict(row.faults[name]) for name in names]
            lines.append(f"| {row.peer.name} | {' | '.join(cells)} | {_survival(row)} |")
    return "\n".join(lines) + "\n"


def survived(row: Row) -> int:
    """How many faults."""
    return sum(isinstance(found, Verdict) and found.survived for found in row.faults.values())


def _survival(row: Row) -> str:
    judged = "" if row.peer.power or row.peer.energy else ", energy not counted"
    return f"{survived(row)} of {len(row.faults)}{judged}"


def notes(rows: Sequence[Row]) -> str:
    """What a reader should know of each, and who is not in the table."""
    lines = [f"- {row.peer.name}: {row.peer.note}." for row in rows if row.peer.note]
    lines += [f"- not run here: {name}: {why}." for name, why in NOT_RUN]
    return "\n".join(lines) + "\n"


def short(rows: Sequence[Row]) -> str:
    """The table for README."""
    titles = ("exporter", "series of GPUs", "CPU", "memory", "NVML calls/GPU/s", "energy off by", "survived")
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for row in rows:
        found = row.cost
        if not isinstance(found, str):
            calls = "nvidia-smi" if found.calls is None else f"{found.calls:.1f}"
            off = found.worst_percent if found.worst_percent is not None else found.all_percent
            lines.append(
                f"| {row.peer.name} | {found.of_gpus} | {found.cpu_percent:.1f} % "
                f"| {found.memory_mib:.0f} MiB | {calls} | {_signed(off)} | {_survival(row)} |"
            )
    return "\n".join(lines)


def _rule(peer: Peer) -> str:
    return "its counter" if peer.energy else "gauge x interval" if peer.power else "none"


def _signed(error: float | None) -> str:
    if error is None:
        return "-"
    return _number(error, 3 if abs(error) < 1 else 1) + " %"


def _number(value: float, digits: int) -> str:
    """With its sign, unless all its digits are 0."""
    shown = f"{value:+.{digits}f}"
    return shown if float(shown) else shown[1:]


def _verdict(found: Verdict | str) -> str:
    if isinstance(found, str):
        return found
    faulty: list[tuple[bool, str]] = [
        (not found.answered, "no answer in 10 s"),
        (found.others is False, "other GPUs stand still"),
        (found.healed_s is None, f"not healed in {found.patience_s:.0f} s"),
    ]
    said = [text for is_so, text in faulty if is_so]
    if found.off_by_s is not None:
        said.append(_number(found.off_by_s, 2 if abs(found.off_by_s) < 1 else 1) + " s")
    return ("yes" if found.survived else "no") + (": " if said else "") + ", ".join(said)
