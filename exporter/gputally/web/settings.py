"""`--web.config.file` in the exporter-toolkit's format, as frozen settings.

Decides what of that format is honoured. Stricter than the toolkit where it is silent: an empty file, an
option that OpenSSL cannot carry out, a certificate check without an authority and a user without a sound hash
are errors, never ignored. Refuses to open any other file than this one; `tls` reads the certificates.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType

from gputally.config import strict
from gputally.config.strict import Section, Value
from gputally.model.clock import NS_PER_SECOND
from gputally.web.ciphers import CURVES, TLS13_SUITES, TLS_SUITES

LOWEST_GOOD_COST = 10  # bcrypt; one guess costs an attacker, and us, 64 ms
_HIGHEST_COST = 14  # 1 s of our only password thread; the next one would be 2 s
_BCRYPT = re.compile(r"\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{53}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{1,1024}")
# Header -> the values it may have; an empty tuple means any.
_HEADERS: Mapping[str, tuple[str, ...]] = {
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
    "Content-Security-Policy": (),
}
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_OLD_VERSIONS = ("TLS10", "TLS11")


class ClientAuth(IntEnum):
    """How much a client certificate is asked for; a higher number asks for more."""

    NONE = 0
    IF_GIVEN = 1
    REQUIRED = 2


_CLIENT_AUTH = {
    "NoClientCert": ClientAuth.NONE,
    "VerifyClientCertIfGiven": ClientAuth.IF_GIVEN,
    "RequireAndVerifyClientCert": ClientAuth.REQUIRED,
}
_UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")


@dataclass(frozen=True, slots=True)
class Pem:
    """Where a certificate or key stands: in a file, or in the web configuration itself."""

    value: Value = field(repr=False)  # may hold a private key
    path: Path | None


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """What `tls_server_config` asks for."""

    cert: Pem
    key: Pem
    client_auth: ClientAuth
    client_ca: Pem | None
    allowed_sans: frozenset[str]
    minimum: ssl.TLSVersion
    maximum: ssl.TLSVersion
    suites: tuple[str, ...]  # OpenSSL's names, for TLS 1.2
    curve: str | None
    server_preference: bool


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One request per interval and client address, after a burst."""

    interval_s: float
    burst: int


@dataclass(frozen=True, slots=True)
class WebSettings:
    """One web configuration file."""

    tls: TlsSettings | None = None
    headers: tuple[tuple[str, str], ...] = ()
    users: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    rate_limit: RateLimit | None = None
    notices: tuple[str, ...] = ()  # worth a warning, no reason to refuse

    @property
    def holds_secrets(self) -> bool:
        """Whether the file itself has hashes of passwords or a private key in it."""
        return bool(self.users) or (self.tls is not None and self.tls.key.path is None)

    def files(self) -> tuple[Path, ...]:
        """The files beside the web configuration that decide what is served."""
        pems = (self.tls.cert, self.tls.key, self.tls.client_ca) if self.tls else ()
        return tuple(pem.path for pem in pems if pem is not None and pem.path is not None)


def load(path: Path) -> WebSettings:
    """Read a web configuration file.

    Raises:
        ConfigError: the file cannot be honoured; the message names the line and the key.
    """
    root = strict.load(path)
    notices: list[str] = []
    tls = root.mapping("tls_server_config")
    http = root.mapping("http_server_config")
    settings = WebSettings(
        tls=_tls(tls, path.parent, notices) if tls.present else None,
        headers=_headers(http, notices),
        users=_users(root, notices),
        rate_limit=_rate_limit(root.mapping("rate_limit")),
        notices=tuple(notices),
    )
    root.finish()
    return settings


def _tls(section: Section, directory: Path, notices: list[str]) -> TlsSettings:
    minimum, maximum = _versions(section)
    suites, only_tls13 = _suites(section, notices)
    if only_tls13:
        if maximum < ssl.TLSVersion.TLSv1_3:
            raise section.error("cipher_suites", "expected a TLS 1.2 suite, as max_version is TLS12")
        minimum = ssl.TLSVersion.TLSv1_3
    client_auth, client_ca, allowed_sans = _clients(section, directory, notices)
    return TlsSettings(
        cert=_required_pem(section, "cert", directory),
        key=_required_pem(section, "key", directory),
        client_auth=client_auth,
        client_ca=client_ca,
        allowed_sans=allowed_sans,
        minimum=minimum,
        maximum=maximum,
        suites=suites,
        curve=_curve(section),
        server_preference=section.boolean("prefer_server_cipher_suites", default=True),
    )


def _pem(section: Section, key: str, directory: Path) -> Pem | None:
    inline, file = section.get(key, secret=True), section.get(f"{key}_file")
    if inline is not None and file is not None:
        raise inline.error(f"expected one of {key} and {key}_file, found both")
    if file is not None:
        return Pem(file, directory / file.string("the path of a file"))
    if inline is not None:
        inline.string("PEM text")
        return Pem(inline, None)
    return None


def _required_pem(section: Section, key: str, directory: Path) -> Pem:
    pem = _pem(section, key, directory)
    if pem is None:
        raise section.value.error(f"missing key {key}_file (or {key})")
    return pem


def _clients(
    section: Section, directory: Path, notices: list[str]
) -> tuple[ClientAuth, Pem | None, frozenset[str]]:
    kind = section.string("client_auth_type", "NoClientCert")
    if kind in _UNVERIFIED:
        raise section.error(
            "client_auth_type",
            f"{kind} is not supported, as OpenSSL always verifies: expected one of "
            + ", ".join(_CLIENT_AUTH),
        )
    client_auth = _CLIENT_AUTH[section.choice("client_auth_type", tuple(_CLIENT_AUTH), kind)]
    client_ca = _pem(section, "client_ca", directory)
    if client_ca is not None and client_auth is ClientAuth.NONE:
        raise client_ca.value.error("would be ignored: expected a client_auth_type that verifies")
    if client_ca is None and client_auth is ClientAuth.REQUIRED:
        raise section.error("client_auth_type", "missing key client_ca_file: nobody vouches for the clients")
    if client_ca is None and client_auth is ClientAuth.IF_GIVEN:
        notices.append("client_auth_type: without client_ca_file, any certificate a client gives is refused")
    return client_auth, client_ca, _sans(section, client_auth)


def _sans(section: Section, client_auth: ClientAuth) -> frozenset[str]:
    value = section.get("client_allowed_sans")
    if value is None:
        return frozenset()
    if client_auth is not ClientAuth.REQUIRED:
        raise value.error("would be ignored: expected client_auth_type RequireAndVerifyClientCert")
    names = frozenset(
        canonical_san(item.string("a DNS name, mail address, IP or URI")) for item in value.list()
    )
    if not names:
        raise value.error("expected at least one name, found an empty list; nobody could connect")
    return names


def canonical_san(name: str) -> str:
    """Write an IP address in one way; every other name stays as it is."""
    try:
        return str(ip_address(name.strip()))  # OpenSSL ends an IPv6 name with a newline
    except ValueError:
        return name


def _versions(section: Section) -> tuple[ssl.TLSVersion, ssl.TLSVersion]:
    chosen = []
    for key, default in (("min_version", "TLS12"), ("max_version", "TLS13")):
        name = section.string(key, default)
        if name in _OLD_VERSIONS:
            raise section.error(key, f"{name} is not safe any more: expected TLS12 or TLS13")
        chosen.append(_VERSIONS[section.choice(key, tuple(_VERSIONS), default)])
    if chosen[0] > chosen[1]:
        raise section.error("min_version", "expected min_version not above max_version")
    return chosen[0], chosen[1]


def _suites(section: Section, notices: list[str]) -> tuple[tuple[str, ...], bool]:
    """Give OpenSSL's names, and whether only suites of TLS 1.3 were asked for."""
    values = section.list("cipher_suites")
    if not values:
        return (), False
    names = [value.choice((*TLS_SUITES, *TLS13_SUITES)) for value in values]
    if not set(TLS13_SUITES) <= set(names):
        notices.append("cipher_suites: TLS 1.3 chooses among all of its suites, as in Go")
    suites = tuple(TLS_SUITES[name] for name in names if name in TLS_SUITES)
    return suites, not suites


def _curve(section: Section) -> str | None:
    values = section.list("curve_preferences")
    if len(values) > 1:
        raise section.error("curve_preferences", "expected one curve: OpenSSL takes no list here")
    return CURVES[values[0].choice(tuple(CURVES))] if values else None


def _headers(section: Section, notices: list[str]) -> tuple[tuple[str, str], ...]:
    if section.boolean("http2", default=False):
        notices.append("http2 is accepted and not served: clients get HTTP/1.1")
    headers = []
    for name, value in section.mapping("headers").items():
        if name not in _HEADERS:
            raise value.error("this header cannot be set, expected one of " + ", ".join(_HEADERS))
        text = value.choice(_HEADERS[name]) if _HEADERS[name] else value.string("the value of a header")
        if not _HEADER_VALUE.fullmatch(text):
            raise value.expected("one line of printable ASCII")
        headers.append((name, text))
    return tuple(headers)


def _users(root: Section, notices: list[str]) -> Mapping[str, bytes]:
    section = root.mapping("basic_auth_users", secret=True)
    users = {}
    for name, value in section.items():
        if not name or ":" in name or not name.isprintable():
            raise value.error("no client can send this user name: expected printable text without a colon")
        match = _BCRYPT.fullmatch(value.string("a bcrypt hash"))
        if match is None:
            raise value.expected("a bcrypt hash ($2a$, $2b$ or $2y$)")
        cost = int(match["cost"])
        if not 4 <= cost <= _HIGHEST_COST:
            raise value.error(f"expected a bcrypt cost from 4 to {_HIGHEST_COST}, found {cost}")
        if cost < LOWEST_GOOD_COST:
            notices.append(
                f"{value.path}: bcrypt cost {cost} is quickly guessed, expected {LOWEST_GOOD_COST}"
            )
        users[name] = match[0].encode("ascii")
    if section.present and not users:
        raise section.value.error("expected at least one user, found none")
    return MappingProxyType(users)


def _rate_limit(section: Section) -> RateLimit | None:
    interval_ns = section.duration_ns("interval", 0, maximum=3600 * NS_PER_SECOND)
    burst = section.integer("burst", 0, minimum=0, maximum=1_000_000)
    if interval_ns and not burst:
        raise section.error("burst", "expected a burst of at least 1: no request would ever pass")
    return RateLimit(interval_ns / NS_PER_SECOND, burst) if interval_ns else None
