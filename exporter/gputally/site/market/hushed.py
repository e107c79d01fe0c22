"""What is kept out of messages: our own keys that a provider repeats, and passwords of a proxy's address.

A provider that refuses a key likes to quote it. So what was sent as a secret is taken out of the reply before
anybody reads it, and no library's words about an address are shown.
"""

import json
from collections.abc import Iterable, Mapping

import requests
from requests.utils import get_environ_proxies, select_proxy

from gputally.model.proxies import COMPLAINT, is_usable

INSTEAD = b"(a key)"
LONGEST_MESSAGE = 500
_CARRIERS = ("authorization", "x-api-key")  # headers that hold a secret as their last word
_SHORTEST = 8  # what is shorter stands anywhere in a reply, and is no key


def secrets_of(headers: Mapping[str, str] | None) -> tuple[bytes, ...]:
    """What must not come back, as it may stand in JSON."""
    words = [value.split()[-1:] for name, value in (headers or {}).items() if name.lower() in _CARRIERS]
    found = [word for group in words for word in group if len(word) >= _SHORTEST]
    quoted = [json.dumps(word)[1:-1] for word in found]
    return tuple({text.encode() for word in (*found, *quoted) for text in (word, word.replace("/", "\\/"))})


def without(body: bytes, secrets: Iterable[bytes]) -> bytes:
    """A reply that shows none of them."""
    for secret in secrets:
        body = body.replace(secret, INSTEAD)
    return body


def shown(message: str) -> str:
    """One line that drives no terminal, whoever wrote it."""
    line = " ".join("".join(c if c.isprintable() or c.isspace() else "?" for c in message).split())
    return line if len(line) <= LONGEST_MESSAGE else f"{line[: LONGEST_MESSAGE - 1]}…"


def proxy_complaint(url: str) -> str | None:
    """What is wrong with the proxy that the environment names for an address; its password is not shown."""
    proxy = select_proxy(url, get_environ_proxies(url))
    return None if proxy is None or is_usable(proxy) else COMPLAINT


def about(error: requests.RequestException) -> str | None:
    """Words of ours for what a library says of an address or a header; None for every other error."""
    if isinstance(error, requests.exceptions.InvalidProxyURL):
        return "the proxy of the environment cannot be used"
    if isinstance(error, requests.exceptions.InvalidSchema):
        return "neither http:// nor https://, or a proxy of another kind"
    if isinstance(error, requests.exceptions.InvalidHeader):
        return "a header that cannot be sent"
    return "not an address that can be asked" if isinstance(error, ValueError) else None
