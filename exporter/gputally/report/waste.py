"""The report `waste`: what was held and not used, by whom, and what nobody held, by reason. Dearest first."""

from gputally.report import questions
from gputally.report.asking import Inquiry
from gputally.report.columns import KEYS, UNUSED_COST, UNUSED_HOURS, UNUSED_KWH, WHICH
from gputally.report.gathering import DAY, Key, Wanted, gather, require_data
from gputally.report.sheet import Amounts, Sheet
from gputally.report.usage import Filters, Layout, keys, lay_out

REASON = "reason"
# Beside the reasons of gpu_unattributed_energy_joules_total.
ALLOCATED, NOT_ALLOCATED = "allocated", "not_allocated"
_PEOPLE = ("team", "user", "model")
_ASKED = ("unused_kwh", "unused_cost", "gpu_hours", "busy_hours")


def waste(inquiry: Inquiry, by: Key, filters: Filters) -> Sheet:
    """Unused energy, its cost, and hours; what is nobody's only where nobody was asked for."""
    measures = tuple(questions.TEAM[column] for column in _ASKED)
    groups = {
        (*key, ALLOCATED): _unused(amounts)
        for key, amounts in gather(inquiry, Wanted(measures, by, questions.matching(filters))).items()
    }
    if not any(filters.get(label) for label in _PEOPLE):
        groups.update(_nobodys(inquiry, by, questions.matching(filters)))
    if not groups:
        require_data(inquiry)
    columns = (*keys(by), KEYS[REASON], UNUSED_KWH, UNUSED_COST, WHICH, UNUSED_HOURS)
    return lay_out(inquiry, Layout("waste", columns, (*by, REASON), UNUSED_COST.name), groups)


def _unused(amounts: Amounts) -> Amounts:
    amounts.settle()
    for column in ("gpu_hours", "busy_hours"):
        amounts.numbers.pop(column, None)
    return amounts


def _nobodys(inquiry: Inquiry, by: Key, where: str) -> dict[Key, Amounts]:
    """What is no job's: energy by reason, and the time in which no job held a GPU."""
    common = tuple(label for label in by if label in ("cluster", DAY))
    found: dict[Key, Amounts] = {}
    energy = Wanted(tuple(questions.NOBODY.values()), (*common, REASON), where)
    for key, amounts in gather(inquiry, energy).items():
        found[_among(by, common, key[:-1], key[-1])] = amounts
    for key, amounts in gather(inquiry, Wanted((questions.NOT_HELD,), common, where)).items():
        found[_among(by, common, key, NOT_ALLOCATED)] = amounts
    return found


def _among(by: Key, common: Key, key: Key, reason: str) -> Key:
    """The key of a row that belongs to nobody: no team, no user, no model."""
    known = dict(zip(common, key, strict=True))
    return (*(known.get(label, "") for label in by), reason)
