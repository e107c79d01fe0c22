"""Whose team a job is, by the rules of the configuration. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from gputally.config.teams import TeamRule
from gputally.model import OTHER, UNASSIGNED

_RESERVED = (OTHER, UNASSIGNED)


@dataclass(frozen=True, slots=True)
class Belonging:
    """What rules look at; "" and () where a job has none."""

    account: str = ""  # of a scheduler's record
    namespace: str = ""
    units: tuple[str, ...] = ()  # the innermost first
    user: str = ""


def decide(rules: Sequence[TeamRule], whose: Belonging) -> tuple[str | None, bool]:
    """The team that the rules name: by account, else by namespace, unit or slice, user; None = no rule does.

    And whether it was named by the user alone, so that a user of several teams may say which it is.

    On one level the first rule of the file that matches wins, whichever unit it matches.
    """
    users = [rule.users for rule in rules]
    levels = (
        ((whose.account,), [rule.slurm_accounts for rule in rules]),
        ((whose.namespace,), [rule.namespaces for rule in rules]),
        (whose.units, [rule.units for rule in rules]),
        ((whose.user,), users),
    )
    for names, patterns in levels:
        for rule, globs in zip(rules, patterns, strict=True):
            if any(name and matches(name, globs) for name in names):
                return rule.name, patterns is users
    return None, True


def team(rules: Sequence[TeamRule], whose: Belonging, claimed: str = "") -> tuple[str, bool]:
    """The team, and whether a claim to be of another one was refused.

    Where no account, namespace or unit decides, a user may claim a team that lists the user; and one that
    nobody has declared where no rule decides at all.
    """
    decided, by_user = decide(rules, whose)
    if not claimed or claimed in (decided, UNASSIGNED):
        return decided or UNASSIGNED, False
    declared = next((rule for rule in rules if rule.name == claimed), None)
    if declared is None:
        granted = decided is None and claimed not in _RESERVED
    else:
        granted = by_user and bool(whose.user) and matches(whose.user, declared.users)
    return (claimed, False) if granted else (decided or UNASSIGNED, True)


def matches(name: str, globs: Sequence[str]) -> bool:
    """Whether one of the patterns fits the whole name, upper and lower case being different."""
    return any(fnmatchcase(name, glob) for glob in globs)
