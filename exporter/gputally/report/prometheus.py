"""Asks Prometheus' HTTP API, within bounds of time and size; the only place that knows `requests`."""

import ipaddress
import json
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import requests
import urllib3
from requests.auth import HTTPBasicAuth
from requests.utils import get_environ_proxies, select_proxy

from gputally import __version__
from gputally.model.causes import innermost
from gputally.model.proxies import COMPLAINT, is_usable
from gputally.report.access import Access
from gputally.report.answers import Sample, read_answer, read_error
from gputally.report.failures import ReportError, TooMuch
from gputally.tables.text import printable

MOST_BYTES = 256 << 20
_PAUSES_S = (0.2, 1.0)
_CHUNK = 1 << 16
_HINTS = {
    401: "user and password are missing or wrong (--prometheus.user, --prometheus.password-file)",
    403: "this user or tenant may not ask (--prometheus.user, --tenant)",
}
_PASSING = (429, 502, 503, 504)  # a proxy's; Prometheus itself says 503 for a question that took too long


class Prometheus:
    """One server; keeps its connection open between questions."""

    def __init__(
        self,
        access: Access,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._access, self._monotonic, self._sleep = access, monotonic, sleep
        self._url = access.url.rstrip("/")
        self.warnings: dict[str, None] = {}  # what the server said beside its answers, each once
        self._session = session = requests.Session()
        session.trust_env = False  # no ~/.netrc, no CA bundle of somebody else's
        if not _is_loopback(self._url):
            session.proxies.update(_proxies(self._url))
        session.headers.update({"User-Agent": f"gputally/{__version__}", "Accept": "application/json"})
        if access.tenant is not None:
            session.headers["X-Scope-OrgID"] = access.tenant
        if access.user is not None:
            session.auth = HTTPBasicAuth(access.user.encode(), access.password.encode())
        if access.cert_file is not None:
            cert, key = str(access.cert_file), access.key_file
            session.cert = (cert, str(key)) if key is not None else cert
        session.verify = str(access.ca_file) if access.ca_file is not None else not access.insecure
        if access.insecure:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def query(self, expression: str, at_s: int) -> Sequence[Sample]:
        """The instant answer. Raises TooMuch where a shorter range may do, else ReportError."""
        form = {"query": expression, "time": str(at_s), "timeout": f"{self._access.timeout_s:g}"}
        samples, warnings = read_answer(self._url, self._post("/api/v1/query", form))
        self.warnings.update(dict.fromkeys(warnings))
        return samples

    def rules(self) -> frozenset[str] | None:
        """Names of the recording rules that are loaded; None where the server does not say."""
        try:
            answer = json.loads(self._exchange("GET", "/api/v1/rules?type=record", None))
            groups = answer["data"]["groups"]
            return frozenset(rule["name"] for group in groups for rule in group["rules"])
        except (ReportError, _Passing, ValueError, TypeError, KeyError, RecursionError):
            return None

    def _post(self, path: str, form: dict[str, str]) -> bytes:
        for pause_s in (*_PAUSES_S, None):
            try:
                return self._exchange("POST", path, form)
            except _Passing as failure:
                if pause_s is None:
                    raise ReportError(str(failure)) from None
                self._sleep(pause_s)
        raise AssertionError  # the last turn returns or raises

    def _exchange(self, method: str, path: str, form: dict[str, str] | None) -> bytes:
        timeout_s = self._access.timeout_s
        deadline = self._monotonic() + timeout_s
        try:
            with self._session.request(
                method,
                self._url + path,
                data=form,
                stream=True,
                allow_redirects=False,
                # The server gives up first, and says so.
                timeout=(min(10.0, timeout_s), timeout_s + 2),
            ) as answer:
                body = self._read(answer, deadline + 2)
        except requests.exceptions.RequestException as error:
            raise self._unanswered(error) from None
        if answer.status_code != 200:
            raise self._refused(
                answer.status_code, answer.reason or "", answer.headers.get("Location", ""), body
            )
        return body

    def _read(self, answer: requests.Response, deadline: float) -> bytes:
        """The body, for as long and as far as it is worth waiting."""
        parts, length = [], 0
        for part in answer.iter_content(_CHUNK):
            length += len(part)
            if length > MOST_BYTES:
                raise TooMuch(f"{self._url}: an answer of more than {MOST_BYTES >> 20} MiB")
            if self._monotonic() > deadline:
                raise ReportError(self._too_slow())
            parts.append(part)
        return b"".join(parts)

    def _too_slow(self) -> str:
        return f"{self._url}: no answer within {self._access.timeout_s:g} s (--timeout)"

    def _unanswered(self, error: requests.exceptions.RequestException) -> Exception:
        if isinstance(error, requests.exceptions.SSLError):
            return ReportError(f"{self._url}: TLS: {innermost(error)}; see --prometheus.ca-file")
        if isinstance(error, requests.exceptions.ConnectTimeout):
            return ReportError(f"{self._url}: nobody answers; is Prometheus running? (--prometheus.url)")
        if isinstance(error, ValueError):  # an address or a header; the library quotes passwords of proxies
            return ReportError(f"{self._url}: cannot be asked: a bad address, proxy or header")
        cause = innermost(error)
        if isinstance(error, requests.exceptions.Timeout) or "timed out" in cause:
            return ReportError(self._too_slow())
        if "refused" in cause:
            return ReportError(f"{self._url}: {cause}; is Prometheus running? (--prometheus.url)")
        return _Passing(f"{self._url}: {cause} (--prometheus.url)")

    def _refused(self, status: int, reason: str, location: str, body: bytes) -> Exception:
        said = f"{self._url}: {status} {printable(reason)}".rstrip()
        kind, message = read_error(body)
        if kind == "timeout" or "too many samples" in message:
            return TooMuch(f"{self._url}: {message}")
        if status in _PASSING and not message:
            return _Passing(said)
        if hint := _HINTS.get(status):
            return ReportError(f"{said}: {hint}")
        if message:
            return ReportError(f"{self._url}: Prometheus refuses the question: {message}")
        if 300 <= status < 400:
            said = f"{said}, moved to {printable(location) or 'nowhere'}"
        return ReportError(f"{said}: this is not Prometheus' API (--prometheus.url)")


class _Passing(Exception):
    """Something that may be over in a moment."""


def _proxies(url: str) -> dict[str, str]:
    """Of the environment. Raises ReportError for one that is none, without its password."""
    proxies: dict[str, str] = get_environ_proxies(url)
    proxy = select_proxy(url, proxies)
    if proxy is not None and not is_usable(proxy):
        raise ReportError(f"{url}: {COMPLAINT}")
    return proxies


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
