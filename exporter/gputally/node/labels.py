"""The one gate through which foreign text becomes a label value; it does not ask what the text means.

Names of processes, users, disks and jobs are chosen by strangers. Prometheus refuses a whole scrape for one
byte that is no UTF-8, and it hands control and right-to-left characters on to terminals, mails and browsers.
"""

import hashlib
import unicodedata
from dataclasses import fields, replace
from typing import Any, TypeVar

from gputally.model import Description, Driver

Record = TypeVar("Record", Description, Driver)
LIMIT = 128  # characters
_MARK = "~"
_DIGEST_BYTES = 4
_TAIL = len(_MARK) + 2 * _DIGEST_BYTES


def label_text(raw: str | bytes, limit: int = LIMIT) -> str:
    """Turn any text into a label value of at most `limit` characters that is printable and normalised (NFC).

    Bytes that are no UTF-8 become U+FFFD; what does not print (control, format and bidirectional characters,
    surrogates, line separators, unassigned code points) becomes `_`. Longer text is cut and ends in `~` and
    eight hex digits of a hash of the whole, so that two long names stay two. Text that has been through here
    comes out unchanged. The empty text stays empty.

    Raises:
        ValueError: the limit leaves no room for the hash.
    """
    if limit <= _TAIL:
        raise ValueError(f"limit must be above {_TAIL}, is {limit}")
    text = raw.decode(errors="replace") if isinstance(raw, bytes) else raw
    # Reordering combining marks is quadratic in their number, so no more is normalised than can be kept:
    # at most four code points compose into one.
    head = text[: 4 * limit]
    if not (head.isascii() and head.isprintable()):
        head = unicodedata.normalize("NFC", "".join(c if c.isprintable() else "_" for c in head))
    if len(text) <= 4 * limit and len(head) <= limit:
        return head
    # Any prefix of NFC text is NFC, and the ASCII tail combines with nothing before it.
    return head[: limit - _TAIL] + _MARK + _digest(text)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()


def clean_texts(record: Record) -> Record:
    """A record whose texts have passed the sanitiser: names and serials are a driver's own words."""
    changes: dict[str, Any] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, str) and (text := label_text(value)) != value:
            changes[field.name] = text
    return replace(record, **changes) if changes else record
