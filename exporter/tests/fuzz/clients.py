"""What clients of the web server send, beyond HTTP itself, and the file that says who they are."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import yaml

from gputally.config.strict import ConfigError
from gputally.web import auth
from gputally.web.exposition import Format
from gputally.web.negotiate import accepts_gzip, choose_format
from gputally.web.settings import load
from tests.fuzz.target import Target, file, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

_ACCEPTS = [
    b"application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    b"text/plain;version=0.0.4;q=0.75,application/openmetrics-text; version=0.0.1; q=0.75,text/*",
    b'text/html, application/xml;q=0.9, */*;q=0.8;version="1.0.0"',
]
_ENCODINGS = [b"gzip", b"gzip;q=0, identity;q=0.5, *;q=0.1", b"deflate, x-gzip;q=1.0", b"*"]
_PASSWORD = "$2b$12$" + "abcdefghijklmnopqrstuv" + "wxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0"
_WEB = (
    f"""\
basic_auth_users:
  prometheus: {_PASSWORD}
  'a b': {_PASSWORD}
rate_limit: {{interval: 1s, burst: 5}}
""",
    """\
tls_server_config:
  {cert_file: a.pem, key_file: b.pem, client_auth_type: RequireAndVerifyClientCert, client_ca_file: c.pem,
   client_allowed_sans: [a, '::1'], min_version: TLS12, max_version: TLS13,
   cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256], curve_preferences: [CurveP256]}
""",
    """\
http_server_config:
  http2: true
  headers: {X-Frame-Options: deny, Strict-Transport-Security: max-age=1}
""",
    "{}\n",
)


def headers(data: bytes) -> bool:
    """Accept, Accept-Encoding and Authorization, a line each."""
    accept, encoding, login = (*data.decode("latin-1").split("\n", 2), "", "", "")[:3]
    chosen, packed = choose_format(accept), accepts_gzip(encoding)
    assert chosen in Format
    if "openmetrics" not in accept.lower():
        assert chosen is Format.TEXT_0_0_4
    if "gzip" not in encoding.lower() and "*" not in encoding:
        assert not packed
    # What is refused, or has never been heard of, changes nothing.
    more = ",application/openmetrics-text;q=0,x/y;q=1"
    if len(accept + more) <= 4096:
        assert choose_format(accept + more) is chosen
    if accept.isascii():
        assert choose_format(accept.swapcase()) is chosen
    return _login(login)


def _login(header: str) -> bool:
    found = auth._read(header)
    if found is None:
        return False
    assert ":" not in found.user
    again = base64.b64encode(found.user.encode() + b":" + found.password).decode()
    assert auth._read(f"basic {again}") == found
    return True


def web_file(data: bytes) -> bool:
    """A web configuration: what is taken is what stands there, and no error shows a hash."""
    path = file("web.yml", data)
    try:
        found = load(path)
    except ConfigError as error:
        one_line(str(error), without=_PASSWORD[7:])
        return False
    plain = yaml.load(data, getattr(yaml, "CBaseLoader", yaml.BaseLoader))  # noqa: S506 - makes only text
    assert set(found.users) == set(plain.get("basic_auth_users") or {})
    assert (found.tls is None) == (not isinstance(plain.get("tls_server_config"), dict))
    assert all(known.startswith(b"$2") and len(known) == 60 for known in found.users.values())
    assert all(text.isascii() and text.isprintable() for pair in found.headers for text in pair)
    if found.rate_limit is not None:
        assert found.rate_limit.interval_s > 0
        assert found.rate_limit.burst >= 1
    return True


def _lines() -> Iterator[bytes]:
    for accept in _ACCEPTS:
        for encoding in _ENCODINGS:
            yield b"\n".join([accept, encoding, b"Basic " + base64.b64encode(b"ada:a secret:of hers")])


TARGETS = (
    Target("headers", headers, _lines, 512),
    Target("web-file", web_file, lambda: [text.encode() for text in _WEB]),
)
