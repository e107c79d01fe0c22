"""The teams block: which users, scheduler accounts, namespaces and units are whose.

teams:
  - name: nlp
    slurm_accounts: [nlp, "nlp-*"]
    namespaces: ["nlp-*"]
    units: ["nlp-*.service", team-nlp.slice]
    users: [ada, grace]
"""

from dataclasses import dataclass

from gputally.config.strict import Section, Value

LONGEST = 64  # characters of a team's name and of a pattern
_KEYS = ("slurm_accounts", "namespaces", "units", "users")
_RESERVED = ("unassigned", "other")


@dataclass(frozen=True, slots=True)
class TeamRule:
    """One team. Patterns are globs, `*` and `?` and `[...]`, that see upper and lower case as different."""

    name: str
    slurm_accounts: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    units: tuple[str, ...] = ()  # systemd units and slices
    users: tuple[str, ...] = ()


def read_teams(root: Section) -> tuple[TeamRule, ...]:
    """Read the block, in the order of the file. Raises ConfigError with file, line and key."""
    teams: dict[str, TeamRule] = {}
    for value in root.list("teams"):
        section = value.mapping()
        name = section.string("name")
        if name in teams:
            raise section.error("name", f"team {name} is there twice")
        if name in _RESERVED or len(name) > LONGEST or not name.isprintable():
            raise section.error("name", f"{name!r} cannot be the name of a team")
        patterns = {key: tuple(map(_pattern, section.list(key))) for key in _KEYS}
        section.finish()
        teams[name] = TeamRule(name, **patterns)
    return tuple(teams.values())


def _pattern(value: Value) -> str:
    text = value.string("a name or a pattern")
    if len(text) > LONGEST:
        raise value.error(f"a pattern may have {LONGEST} characters")
    return text
