"""How libraries of others may ask: HTTP and HTTPS, within bounds of time and size, and nobody is followed.

The standard library's own way follows to any host, opens files, waits for ever and reads whatever comes. Here
an answer is read to its end before it is handed on, and a packed list that would unpack to too much is none.
"""

import io
import time
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib import request
from urllib.error import URLError
from urllib.response import addinfourl

TIMEOUT_SECONDS = 60.0  # for all of an answer: lists are megabytes
MOST_BYTES = 32 << 20
MOST_UNPACKED_BYTES = 64 << 20
_CHUNK = 1 << 16


class _Refusal(request.BaseHandler):
    """Every answer but a good one, those that lead elsewhere among them."""

    def http_error_default(self, _asked: object, answer: Any, code: int, said: str, _headers: object) -> None:  # noqa: ANN401 - the library's
        """Close it. Raises URLError."""
        answer.close()
        raise URLError(f"{code} {said}")


class Narrow(request.OpenerDirector):
    """What `urllib.request.urlopen` uses once it is installed."""

    def __init__(self, timeout_seconds: float = TIMEOUT_SECONDS, most_bytes: int = MOST_BYTES) -> None:
        super().__init__()
        self._timeout_seconds, self._most_bytes = timeout_seconds, most_bytes
        self.addheaders = []  # the handlers send Python's name and version otherwise
        for handler in (
            request.ProxyHandler,
            request.UnknownHandler,
            request.HTTPHandler,
            request.HTTPSHandler,
            _Refusal,
            request.HTTPErrorProcessor,
        ):
            self.add_handler(handler())

    def open(self, fullurl: Any, data: Any = None, timeout: Any = None) -> addinfourl:  # noqa: ANN401, ARG002 - the library's
        """A whole answer, read already. Raises OSError."""
        until = time.monotonic() + self._timeout_seconds
        with super().open(fullurl, data, self._timeout_seconds) as answer:
            body = b"".join(self._parts(answer, until))
            if zipfile.is_zipfile(io.BytesIO(body)):
                _check_unpacked(body)
            return addinfourl(io.BytesIO(body), answer.headers, answer.url, answer.status)

    def _parts(self, answer: Any, until: float) -> Iterator[bytes]:  # noqa: ANN401 - as above
        length = 0
        while part := answer.read1(_CHUNK):
            length += len(part)
            if length > self._most_bytes:
                raise URLError(f"a list of more than {self._most_bytes} bytes")
            if time.monotonic() > until:
                raise URLError(f"no whole list within {self._timeout_seconds:g} s")
            yield part


def _check_unpacked(body: bytes) -> None:
    """Nothing is unpacked beyond what a list says of its sizes. Raises URLError."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            size = sum(one.file_size for one in packed.infolist())
    except zipfile.BadZipFile as error:
        raise URLError(f"a list that cannot be unpacked: {error}") from None
    if size > MOST_UNPACKED_BYTES:
        raise URLError(f"a list that would unpack to {size} bytes")


def install() -> None:
    """From now on, for whoever in this process uses `urllib.request.urlopen`; nobody of ours does."""
    request.install_opener(Narrow())
