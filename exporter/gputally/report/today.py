"""The report `today`: what the day has cost so far and what yesterday did, card by card.

The nodes count days themselves, on the site's calendar; the site agent says which day it is. Nothing is cut
out of a longer range here, so nothing is lost at midnight.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import partial

from gputally.report import questions
from gputally.report.answers import Sample
from gputally.report.asking import Inquiry
from gputally.report.columns import WHICH
from gputally.report.failures import ReportError
from gputally.report.gathering import Key, require_data
from gputally.report.names import Card, find_cards
from gputally.report.questions import Measure
from gputally.report.sheet import Amounts, Sheet
from gputally.report.usage import GPU, Layout, card_labels, keys, lay_out
from gputally.tables.columns import CURRENCY, Column

_JOULES_PER_KWH = Decimal(3_600_000)
_DAYS = (("today", "25h"), ("yesterday", "49h"))  # since when a card may be gone that has used something
COLUMNS = (
    Column("kwh_today", "KWH TODAY", "kwh"),
    Column("cost_today", "COST TODAY", "money", digits=4),
    Column("kwh_yesterday", "KWH YESTERDAY", "kwh"),
    Column("cost_yesterday", "COST YESTERDAY", "money", digits=4),
    WHICH,
)


def today(inquiry: Inquiry, by: Key, where: str = "") -> Sheet:
    """Energy and cost of today and yesterday."""
    days = _days(inquiry)
    found: dict[Key, Amounts] = {}
    for name, span in _DAYS:
        back = timedelta(days=name == "yesterday")
        wanted = {cluster: (day - back).isoformat() for cluster, day in days.items()}
        for day in sorted(set(wanted.values())):
            for measure in questions.DAY.values():
                for sample in _read(inquiry, measure, day, span, where):
                    if _day_of(sample, wanted) == day:
                        _add(found, f"{measure.column}_{name}", sample)
    if not found:
        require_data(inquiry)
        names = ", ".join(sorted({str(day) for day in days.values()}))
        raise ReportError(f"no card has counted a day of {names}")
    columns = [*keys(card_labels(by)), *COLUMNS]
    if GPU not in by:
        columns.append(Column("gpus", "GPUS", "count"))
    groups = _grouped(found, find_cards(inquiry), card_labels(by))
    return lay_out(inquiry, Layout("today", columns, card_labels(by), "cost_today"), groups)


def _days(inquiry: Inquiry) -> dict[str, date]:
    """The date by cluster, as the site agents say; else by our own clock, in the site's zone."""
    said = inquiry.now("max by (cluster, day) (site_day_info)")
    days = {sample.labels.get("cluster", ""): _date(sample.labels.get("day", "")) for sample in said}
    if not days:
        ours = inquiry.range.moment(inquiry.now_s).date()
        inquiry.note(
            f"No site agent says which day it is; by this machine's clock it is {ours} in "
            f"{inquiry.range.zone}."
        )
        return {"": ours}
    return days


def _date(day: str) -> date:
    try:
        found = date.fromisoformat(day)
        found - timedelta(days=1)  # yesterday's, too
    except (ValueError, OverflowError):
        raise ReportError(f"site_day_info has the day {day!r}, which is none") from None
    return found


def _read(inquiry: Inquiry, measure: Measure, day: str, span: str, where: str) -> Sequence[Sample]:
    """What the rules hold of a day; where nobody records them, what the cards showed."""
    asked = partial(questions.of_day, measure, day, span, where)
    return inquiry.now(asked(recorded=True)) or inquiry.now(asked(recorded=False))


def _day_of(sample: Sample, wanted: Mapping[str, str]) -> str | None:
    """The day that is asked for in a cluster; a site agent without a cluster speaks for all of them."""
    only = next(iter(wanted.values())) if len(wanted) == 1 else None
    return wanted.get(sample.labels.get("cluster", ""), wanted.get("", only))


def _add(found: dict[Key, Amounts], column: str, sample: Sample) -> None:
    amounts = found.setdefault(sample.key(questions.CARD_LABELS), Amounts())
    if column.startswith("cost"):
        amounts.add(column, sample.value, sample.labels.get(CURRENCY, ""))
    else:
        amounts.add(column, sample.value / _JOULES_PER_KWH)


def _grouped(
    found: Mapping[Key, Amounts], cards: Mapping[tuple[str, str], Card], labels: Key
) -> dict[Key, Amounts]:
    """By card or what was asked for; a card that was moved today has used its energy in two machines."""
    groups: dict[Key, Amounts] = {}
    members: dict[Key, set[str]] = {}
    for (cluster, instance, uuid), amounts in found.items():
        card = cards.get((cluster, uuid), Card())
        row = {"cluster": cluster, "instance": instance, "uuid": uuid, "gpu": card.gpu}
        row |= {"name": card.name, "state": card.state if card.instance == instance else "gone"}
        group = tuple(row[label] for label in labels)
        groups.setdefault(group, Amounts()).merge(amounts)
        members.setdefault(group, set()).add(uuid)
    if "uuid" not in labels:
        for group, uuids in members.items():
            groups[group].add("gpus", Decimal(len(uuids)))
    return groups
