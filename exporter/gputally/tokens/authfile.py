"""vmauth's configuration as text, and the tokens in one that was written before.

Only what release 1.79 of vmauth knows is written, and `max_concurrent_requests`, where it is asked for.
"""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import yaml

from gputally.tokens.holders import Holder

HEAD = """\
# Written by `gputally tokens`, and holds secrets. Who may do what is declared in another file.
"""
_WRITE = ("/api/v1/write",)
# What Grafana and scripts need. Each of them obeys extra_label; nothing else is let through.
_READ = (
    "/api/v1/(query|query_range|series|labels|export)",
    "/api/v1/label/[a-zA-Z_][a-zA-Z0-9_]*/values",
    "/federate",
)
# vmauth refuses a file without users, and would go on with those of before. Nobody has this one's token.
_NOBODY = "nobody"
_FINGERPRINT_DIGITS = 8


class DamagedError(Exception):
    """The file is not one that was written here; the message is one line."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a holder; the newest of a holder stands last."""

    holder: str  # key
    secret: str = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Names the token without telling it."""
        return hashlib.sha256(self.secret.encode()).hexdigest()[:_FINGERPRINT_DIGITS]


def make_token(holder: str) -> Token:
    """Draw a new one: 256 bits."""
    return Token(holder, secrets.token_urlsafe(32))


def render(store: str, rights: Iterable[tuple[Holder, Token]]) -> str:
    """The whole file."""
    users = [_user(store, holder, token) for holder, token in rights]
    nobody = {"name": _NOBODY, "bearer_token": make_token(_NOBODY).secret, "url_prefix": f"{store}/nowhere"}
    text: str = yaml.safe_dump({"users": users or [nobody]}, sort_keys=False, width=1000)
    return HEAD + text


def _user(store: str, holder: Holder, token: Token) -> dict[str, Any]:
    """One token's rights.

    `extra_label` and not `extra_filters`: of several labels the store wants all, of several filters any, and
    the form in a request's body can add some.
    """
    labels = urlencode([("extra_label", f"{name}={value}") for name, value in holder.labels.items()])
    user: dict[str, Any] = {
        # In vmauth's metrics: which token is in use, and whether an old one still is.
        "name": f"{holder.key}:{token.fingerprint}",
        "bearer_token": token.secret,
    }
    if holder.requests is not None:
        user["max_concurrent_requests"] = holder.requests
    paths = _WRITE if holder.writes else _READ
    user["url_map"] = [{"src_paths": list(paths), "url_prefix": f"{store}/{'?' if labels else ''}{labels}"}]
    return user


def read_tokens(text: str) -> list[Token]:
    """The tokens in a file that `render` wrote. Raises DamagedError."""
    try:
        users = yaml.safe_load(text)["users"]
        tokens = [
            Token(user["name"].rpartition(":")[0], user["bearer_token"])
            for user in users
            if user["name"] != _NOBODY
        ]
        strange = [
            user["name"] for user, token in zip(users, tokens, strict=False) if not _is_ours(user, token)
        ]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise DamagedError(f"not written by gputally tokens: {type(error).__name__}") from None
    if strange:
        raise DamagedError(f"not written by gputally tokens: user {strange[0]!r}")
    return tokens


def _is_ours(user: dict[str, Any], token: Token) -> bool:
    return user["name"] in (_NOBODY, f"{token.holder}:{token.fingerprint}")
