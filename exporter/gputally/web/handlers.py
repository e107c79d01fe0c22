"""From one request to one response: the paths, their methods, and who may ask.

Decides codes, headers and bodies; every body it writes is its own words or the exposition's, never a part of
the request. Refuses to know sockets, limits on connections and files.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus

from tornado.httputil import HTTPHeaders, RequestStartLine, format_timestamp

from gputally.web import landing as landing_page
from gputally.web.auth import TooManyLoginsError
from gputally.web.counts import Counts
from gputally.web.exposition import BodyCache, Exposition, Format, Health
from gputally.web.landing import Landing
from gputally.web.negotiate import accepts_gzip, choose_format
from gputally.web.reload import WebConfig

logger = logging.getLogger(__name__)

_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json; charset=utf-8"
_METHODS = ("GET", "HEAD")
HEALTHY_PATH, READY_PATH, LANDING_PATH = "/-/healthy", "/-/ready", "/"
OFFERS_PATH = "/offers"

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, complete."""

    code: HTTPStatus
    body: bytes
    content_type: str = _TEXT
    headers: tuple[Header, ...] = ()


def _refusal(code: HTTPStatus, *headers: Header) -> Response:
    return Response(code, f"{code.phrase}\n".encode(), headers=headers)


_BAD_REQUEST = _refusal(HTTPStatus.BAD_REQUEST, ("Connection", "close"))
_NOT_FOUND = _refusal(HTTPStatus.NOT_FOUND)
_NOT_ALLOWED = _refusal(HTTPStatus.METHOD_NOT_ALLOWED, ("Allow", ", ".join(_METHODS)))
_TOO_MANY = _refusal(HTTPStatus.TOO_MANY_REQUESTS, ("Retry-After", "1"))
_INTERNAL = _refusal(HTTPStatus.INTERNAL_SERVER_ERROR)
_UNAUTHORIZED = _refusal(
    HTTPStatus.UNAUTHORIZED, ("WWW-Authenticate", 'Basic realm="gputally", charset="UTF-8"')
)


def check_telemetry_path(path: str) -> str:
    """Give the path back if the exposition can be served there.

    Raises:
        ValueError: it cannot; the message is one line.
    """
    if (
        not path.startswith("/")
        or not path.isascii()
        or not path.isprintable()
        or set(path) & set(' ?#%"<>\\')
    ):
        raise ValueError(f"{path!a}: expected a plain path such as /metrics")
    if path in (HEALTHY_PATH, READY_PATH):
        raise ValueError(f"{path}: this path is taken by the health checks")
    if path == OFFERS_PATH:
        raise ValueError(f"{path}: this path is taken by the offers of the market")
    return path


def path_of(target: str) -> str:
    """Give the path of a request target, without the query and the origin a proxy may put in front."""
    path = target.partition("?")[0]
    for scheme in ("http://", "https://"):
        if path[: len(scheme)].lower() == scheme:
            return "/" + path[len(scheme) :].partition("/")[2]
    return path


@dataclass(frozen=True, slots=True)
class Agent:
    """What the rest of the program has to show."""

    exposition: Exposition
    health: Health
    landing: Callable[[], Landing]
    documents: Mapping[str, Exposition] = field(default_factory=dict)  # path -> JSON


class Site:
    """Everything that can be asked for."""

    def __init__(self, telemetry_path: str, agent: Agent, config: WebConfig, counts: Counts) -> None:
        self._telemetry_path = check_telemetry_path(telemetry_path)
        self._bodies = BodyCache(agent.exposition)
        self._health, self._landing = agent.health, agent.landing
        self._config, self._counts = config, counts
        self._routes: dict[str, Callable[[HTTPHeaders], Response]] = {
            LANDING_PATH: self._page,
            HEALTHY_PATH: lambda _headers: _report(self._health.healthy()),
            READY_PATH: lambda _headers: _report(self._health.ready()),
            self._telemetry_path: self._metrics,
        }
        for path, document in agent.documents.items():
            self._routes[path] = partial(_document, BodyCache(document))

    def admit(
        self, line: RequestStartLine, headers: HTTPHeaders, address: object
    ) -> Response | asyncio.Future[bool] | None:
        """Say who is turned away: a refusal, a future that tells whether the password is right, or None."""
        if line.version == "HTTP/1.1" and len(headers.get_list("Host")) != 1:
            return _BAD_REQUEST
        if self._config.buckets is not None and not self._config.buckets.take(address):
            return _TOO_MANY
        return self._authenticate(headers, address) if self._config.authenticator.required else None

    def _authenticate(self, headers: HTTPHeaders, address: object) -> Response | asyncio.Future[bool] | None:
        credentials = headers.get_list("Authorization")
        if not credentials:
            return _UNAUTHORIZED
        try:
            right = (
                self._config.authenticator.check(credentials[0], address) if len(credentials) == 1 else False
            )
        except TooManyLoginsError:
            return _TOO_MANY
        if isinstance(right, bool):
            return None if right else self.wrong_password()
        return right

    def wrong_password(self) -> Response:
        """Count and refuse."""
        self._counts.auth_failures += 1
        return _UNAUTHORIZED

    def respond(self, line: RequestStartLine, headers: HTTPHeaders) -> Response:
        """Answer a request that was let in. Whatever goes wrong inside is a 500, never a lost connection."""
        route = self._routes.get(path_of(line.path))
        if route is None:
            return _NOT_FOUND
        if line.method not in _METHODS:
            return _NOT_ALLOWED
        try:
            return route(headers)
        except Exception:
            logger.exception("cannot answer a request")
            return _INTERNAL

    def headers(self, response: Response) -> HTTPHeaders:
        """Write a response's headers; the operator's own replace ours of the same name."""
        headers = HTTPHeaders()
        headers["Date"] = format_timestamp(time.time())
        headers["Content-Type"] = response.content_type
        headers["Content-Length"] = str(len(response.body))
        headers["Cache-Control"] = "no-store"
        headers["X-Content-Type-Options"] = "nosniff"
        for name, value in (*response.headers, *self._config.settings.headers):
            headers[name] = value
        return headers

    def _metrics(self, headers: HTTPHeaders) -> Response:
        fmt = choose_format(headers.get("Accept", ""))
        return _packed(self._bodies, fmt, headers, fmt.content_type, "Accept, Accept-Encoding")

    def _page(self, _headers: HTTPHeaders) -> Response:
        body = landing_page.render(self._landing(), self._telemetry_path, self._health.ready())
        policy = ("Content-Security-Policy", landing_page.CONTENT_SECURITY_POLICY)
        return Response(HTTPStatus.OK, body, "text/html; charset=utf-8", (policy,))


def _document(bodies: BodyCache, headers: HTTPHeaders) -> Response:
    return _packed(bodies, Format.TEXT_0_0_4, headers, _JSON, "Accept-Encoding")


def _packed(bodies: BodyCache, fmt: Format, headers: HTTPHeaders, content_type: str, vary: str) -> Response:
    compressed = accepts_gzip(headers.get("Accept-Encoding", ""))
    more = (("Vary", vary), *((("Content-Encoding", "gzip"),) if compressed else ()))
    return Response(HTTPStatus.OK, bodies.body(fmt, compressed=compressed), content_type, more)


def _report(state: tuple[bool, str]) -> Response:
    good, reason = state
    code = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return Response(code, f"{reason}\n".encode("utf-8", "replace"))
