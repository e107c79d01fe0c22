"""What a configuration cannot judge by itself: whoever can hands in a check; a refusal becomes one line."""

import re
from collections.abc import Callable

from gputally.config.strict import Value

Check = Callable[[str], object]  # raises ValueError with a sentence
CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


def checked(value: Value, check: Check, what: str) -> str:
    """Read text that somebody else understands. Raises ConfigError with file, line and key."""
    text = value.string(what)
    try:
        check(text)
    except ValueError as error:
        raise value.error(str(error)) from None
    return text


def matching(value: Value, pattern: re.Pattern[str], what: str) -> str:
    """Read text of one form. Raises ConfigError with file, line and key."""
    text = value.string(what)
    if not pattern.fullmatch(text):
        raise value.expected(what)
    return text
