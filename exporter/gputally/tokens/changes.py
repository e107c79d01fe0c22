"""What happens to tokens: pure, from a list to a list. The newest token of a holder stands last."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gputally.tokens.authfile import Token, make_token

Tokens = Sequence[Token]


class UnknownError(Exception):
    """Nobody has this name or this fingerprint; the message is one line."""


@dataclass(frozen=True, slots=True)
class Change:
    """Tokens after a change, and which of them are new or gone."""

    tokens: tuple[Token, ...]
    made: tuple[Token, ...] = ()
    gone: tuple[Token, ...] = ()


def apply(tokens: Tokens, declared: Iterable[str]) -> Change:
    """Give a token to everyone who is declared and has none; take those of all others."""
    keys = list(declared)
    kept = tuple(token for token in tokens if token.holder in keys)
    has = {token.holder for token in kept}
    made = tuple(make_token(key) for key in keys if key not in has)
    return Change(kept + made, made, tuple(token for token in tokens if token.holder not in keys))


def rotate(tokens: Tokens, holder: str) -> Change:
    """Give one more token: both are good until the old one is retired."""
    if holder not in {token.holder for token in tokens}:
        raise UnknownError(f"{holder} has no token")
    made = make_token(holder)
    return Change((*tokens, made), (made,))


def retire(tokens: Tokens, holder: str) -> Change:
    """Take all tokens of a holder but the newest."""
    own = [token for token in tokens if token.holder == holder]
    if not own:
        raise UnknownError(f"{holder} has no token")
    return _without(tokens, own[:-1])


def revoke(tokens: Tokens, which: str) -> Change:
    """Take every token of a holder, or the one with this fingerprint."""
    gone = [token for token in tokens if which in (token.holder, token.fingerprint)]
    if not gone:
        raise UnknownError(f"no holder and no fingerprint {which}")
    return _without(tokens, gone)


def _without(tokens: Tokens, gone: Sequence[Token]) -> Change:
    return Change(tuple(token for token in tokens if token not in gone), gone=tuple(gone))
