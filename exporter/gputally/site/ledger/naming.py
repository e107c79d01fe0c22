"""Whose a charge is: by the team that a row names, spelled as the site spells it."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from gputally.config.bills import BillSettings
from gputally.model.job import UNASSIGNED
from gputally.site.ledger.fields import Rejected, label

_USER_PREFIXES = ("user:", "user_", "labels/")
_MOST_KNOWN = 20_000


class Naming:
    """Teams of rows; the same texts are read once."""

    def __init__(self, settings: BillSettings, teams: Iterable[str] = ()) -> None:
        self._tag = settings.team_tag
        self._accounts = {key.strip().lower(): team for key, team in settings.sub_accounts.items()}
        self._spelled = {team.lower(): team for team in (*teams, *settings.sub_accounts.values())}
        self._known: dict[tuple[str, str, str], str] = {}

    def team(self, text: str) -> str:
        """A team by its name; without one it is nobody's. Raises Rejected."""
        if not text.strip():
            return UNASSIGNED
        name = label("team", text).lower()
        return self._spelled.get(name, name)

    def of(self, tags: str, account: str, account_name: str) -> str:
        """The team by tag, else by sub-account, else none. Raises Rejected for tags that are no object."""
        key = tags, account, account_name
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[key] = self._find(*key)
        return found

    def _find(self, tags: str, account: str, account_name: str) -> str:
        tag = self._tagged(_object(tags))
        if tag:
            return self.team(tag)
        for name in (account, account_name):
            team = self._accounts.get(name.strip().lower()) if name else None
            if team is not None:
                return team
        return UNASSIGNED

    def _tagged(self, tags: Mapping[str, Any]) -> str:
        by_name = {key.lower(): value for key, value in tags.items()}
        for value in (
            tags.get(self._tag),
            *(by_name.get(f"{prefix}{self._tag}".lower()) for prefix in ("", *_USER_PREFIXES)),
        ):
            if isinstance(value, str) and value.strip():
                return value
        return ""


def _object(tags: str) -> dict[str, Any]:
    if not tags.strip():
        return {}
    try:
        found = json.loads(tags)
    except (ValueError, RecursionError):
        found = None
    if found is None and tags.strip() in {"null", "NULL"}:
        return {}
    if not isinstance(found, dict):
        raise Rejected("Tags: expected a JSON object")
    return found
