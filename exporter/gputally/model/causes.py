"""Why a connection failed, in the system's own words."""

from typing import Any


def innermost(error: BaseException) -> str:
    """The innermost reason: those around it name classes and addresses of memory."""
    found: Any = error
    seen = set()
    while id(found) not in seen:
        seen.add(id(found))
        inner = getattr(found, "reason", None)
        inner = inner if isinstance(inner, BaseException) else found.__cause__ or found.__context__
        if inner is None and found.args and isinstance(found.args[-1], BaseException):
            inner = found.args[-1]
        if not isinstance(inner, BaseException):
            break
        found = inner
    text = getattr(found, "verify_message", "") or getattr(found, "strerror", "") or str(found)
    line = " ".join("".join(c if c.isprintable() or c.isspace() else "?" for c in text).split())
    return line or type(found).__name__  # a server's own words may be in it: they drive no terminal
