"""Asks providers over HTTP, within bounds of time and size, and says in one word why there is no answer.

Decides that nothing of a provider is trusted: it is not followed elsewhere, it cannot hold us by dripping,
and it cannot fill the memory. What the JSON means is for the file of the provider.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from gputally import __version__
from gputally.model.causes import innermost
from gputally.site.market import hushed
from gputally.site.market.cutting import LINE, Adapter, Line

TIMEOUT_SECONDS = 15.0
MOST_BYTES = 64 << 20
LONGEST_RETRY_SECONDS = 86_400.0  # whoever asks for more is asked again tomorrow
_CHUNK = 1 << 16
_REASONS = {401: "auth", 403: "auth", 429: "rate_limited"}


class FetchFailed(Exception):
    """No good reply. `reason` is one of FAILURES in gputally.model.market; the message shows no secret."""

    def __init__(
        self,
        reason: str,
        message: str,
        retry_after_seconds: float | None = None,
        status: int | None = None,
    ) -> None:
        message = hushed.shown(message)
        super().__init__(message)
        self.reason, self.message = reason, message
        self.retry_after_seconds = retry_after_seconds  # how long the provider wants to be left alone
        self.status = status  # of HTTP, where it says what went wrong


class Http:
    """May be used by several threads; `close` ends what is under way and refuses the rest."""

    def __init__(
        self,
        timeout_seconds: float = TIMEOUT_SECONDS,
        most_bytes: int = MOST_BYTES,
        ca_file: Path | None = None,
    ) -> None:
        self._timeout_seconds, self._most_bytes, self._ca_file = timeout_seconds, most_bytes, ca_file
        self._lock = threading.Lock()
        self._lines: set[Line] = set()
        self._is_closed = False

    def get_json(
        self, url: str, *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> object:
        """Ask, and read the reply as JSON. Raises FetchFailed."""
        return self._ask("GET", url, headers, {"params": params})

    def post_json(self, url: str, body: object, *, headers: Mapping[str, str] | None = None) -> object:
        """Ask with a body of JSON, and read the reply as JSON. Raises FetchFailed."""
        return self._ask("POST", url, headers, {"json": body})

    def close(self) -> None:
        """End what is under way at once; whoever asks from now on fails."""
        with self._lock:
            self._is_closed = True
            for line in self._lines:
                line.cut()

    def _ask(self, method: str, url: str, headers: Mapping[str, str] | None, what: dict[str, Any]) -> object:
        place = _place(url)
        if not is_loopback(url) and (complaint := hushed.proxy_complaint(url)):
            raise FetchFailed("network", f"{place}: {complaint}")
        with self._line(place) as line:
            try:
                with self._session(url) as session:
                    request = session.request(
                        method,
                        url,
                        headers=headers,
                        stream=True,
                        allow_redirects=False,
                        timeout=self._timeout_seconds,
                        # Said here, as a bundle of the environment comes before what a session has.
                        verify=str(self._ca_file) if self._ca_file is not None else None,
                        **what,
                    )
                    with request as answer:
                        body = self._read(answer, place)
            except OSError as error:  # every exception of requests is one
                raise self._unanswered(error, line, place) from None
            if line.is_cut:  # a body of unknown length ends like that
                raise self._too_slow(place)
        return _loaded(answer, hushed.without(body, hushed.secrets_of(headers)), place)

    @contextmanager
    def _line(self, place: str) -> Iterator[Line]:
        """The line of one exchange, cut when its time is up."""
        line = Line()
        with self._lock:
            if self._is_closed:
                raise FetchFailed("network", f"{place}: no longer asked")
            self._lines.add(line)
        alarm = threading.Timer(self._timeout_seconds, line.cut)
        alarm.daemon = True
        alarm.start()
        token = LINE.set(line)
        try:
            yield line
        finally:
            LINE.reset(token)
            alarm.cancel()
            with self._lock:
                self._lines.discard(line)
            line.close()

    def _session(self, url: str) -> requests.Session:
        """One for each exchange: no connection, cookie or password goes from one to the next."""
        session = requests.Session()
        session.auth = _as_it_is  # without one, the library looks for passwords in ~/.netrc
        session.headers.update(
            {
                "User-Agent": f"gputally/{__version__}",
                "Accept": "application/json",
                "Accept-Encoding": "gzip, deflate",
            }
        )
        if is_loopback(url):
            session.trust_env = False  # no proxy leads there
        adapter = Adapter()
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session

    def _read(self, answer: requests.Response, place: str) -> bytes:
        """The body, unpacked, as far as it is worth reading."""
        parts, length = [], 0
        for part in answer.iter_content(_CHUNK):
            length += len(part)
            if length > self._most_bytes:
                raise FetchFailed("parse", f"{place}: a reply of more than {self._most_bytes >> 20} MiB")
            parts.append(part)
        return b"".join(parts)

    def _unanswered(self, error: OSError, line: Line, place: str) -> FetchFailed:
        if line.is_cut or isinstance(error, requests.Timeout):
            return self._too_slow(place)
        if isinstance(error, requests.RequestException) and (words := hushed.about(error)):
            return FetchFailed("network", f"{place}: {words}")
        cause = innermost(error)
        if isinstance(error, requests.exceptions.SSLError):
            return FetchFailed("network", f"{place}: TLS: {cause}")
        if isinstance(error, requests.exceptions.ContentDecodingError):
            return FetchFailed("parse", f"{place}: the reply cannot be unpacked: {cause}")
        return FetchFailed("network", f"{place}: {cause}")

    def _too_slow(self, place: str) -> FetchFailed:
        if self._is_closed:
            return FetchFailed("network", f"{place}: no longer asked")
        return FetchFailed("timeout", f"{place}: no whole reply within {self._timeout_seconds:g} s")


def _loaded(answer: requests.Response, body: bytes, place: str) -> object:
    """The JSON of a good answer."""
    status = answer.status_code
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        reason = _REASONS.get(status, "http")
        raise FetchFailed(reason, f"{place}: {_status(status)}", _retry_after(answer.headers), status)
    try:
        return json.loads(body, parse_constant=_refused)
    except (ValueError, RecursionError):
        looks = "HTML" if body.lstrip()[:1] == b"<" else f"{len(body)} bytes of something else"
        raise FetchFailed("parse", f"{place}: expected JSON, found {looks}") from None


def _status(status: int) -> str:
    """What the server says, in words of ours."""
    try:
        said = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
    moved = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
    return f"{said}; nobody is followed elsewhere" if moved else said


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """How many seconds to wait. A moment is measured by the clock that wrote it: the server's own."""
    said = headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdigit():
        return min(float(said), LONGEST_RETRY_SECONDS)
    try:
        moment, now = (parsedate_to_datetime(text) for text in (said, headers.get("Date", "")))
        seconds = (moment - now).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_SECONDS)


def _refused(constant: str) -> object:
    raise ValueError(constant)  # NaN and Infinity are no JSON


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _place(url: str) -> str:
    """Where we asked, as a message may show it: a query may carry a key."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise FetchFailed("network", f"not an address: {error}") from None
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def is_loopback(url: str) -> bool:
    """Whether an address is that of this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
