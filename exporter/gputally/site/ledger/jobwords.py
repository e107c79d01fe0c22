"""Words that strangers chose, as the ledger keeps them."""

LONGEST = 128


class BadTable(Exception):
    """The file is no table of jobs that can be used; `str()` is why, in one line that drives no terminal."""

    def __init__(self, why: str) -> None:
        super().__init__("".join(c if c.isprintable() else "?" for c in why))


def clean(text: str) -> str:
    """The text without what does not print, and no longer than a label may be."""
    return "".join(c if c.isprintable() else "_" for c in text.strip()[:LONGEST])
