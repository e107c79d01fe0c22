"""When a certificate ends: the one field of X.509 that the standard library does not give for a server's own.

Reads just enough DER to walk to `notAfter`; whether the certificate is any good is OpenSSL's business.
"""

import ssl
from datetime import UTC, datetime

_SEQUENCE = 0x30
_INTEGER = 0x02
_EXPLICIT_VERSION = 0xA0
_TIME_FORMATS = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}  # UTCTime, GeneralizedTime
_FOOTER = "-----END CERTIFICATE-----"


def not_after(pem: str) -> float:
    """Give the end of the first certificate in PEM text, as seconds since 1970.

    Raises:
        ValueError: there is no certificate, or not one of X.509.
    """
    start = pem.find("-----BEGIN CERTIFICATE-----")
    end = pem.find(_FOOTER, start)
    if start < 0 or end < 0:
        raise ValueError("no PEM certificate")
    der = ssl.PEM_cert_to_DER_cert(pem[start : end + len(_FOOTER)])
    certificate, _rest = _take(der, _SEQUENCE)
    body, _rest = _take(certificate, _SEQUENCE)
    if body[:1] == bytes([_EXPLICIT_VERSION]):
        _version, body = _take(body, _EXPLICIT_VERSION)
    for tag in (_INTEGER, _SEQUENCE, _SEQUENCE):  # serial number, signature algorithm, issuer
        _skipped, body = _take(body, tag)
    validity, _rest = _take(body, _SEQUENCE)
    _not_before, validity = _take(validity, validity[0] if validity else 0)
    tag = validity[0] if validity else 0
    if tag not in _TIME_FORMATS:
        raise ValueError("no time where a certificate has its end")
    text, _rest = _take(validity, tag)
    return datetime.strptime(text.decode("ascii"), _TIME_FORMATS[tag]).replace(tzinfo=UTC).timestamp()


def _take(der: bytes, tag: int) -> tuple[bytes, bytes]:
    """Split one element from the front: its content, and what follows it."""
    if len(der) < 2 or der[0] != tag:
        raise ValueError("not a certificate")
    length, start = der[1], 2
    if length & 0x80:  # the length has that many bytes of its own
        start += length & 0x7F
        length = int.from_bytes(der[2:start], "big")
    if start + length > len(der):
        raise ValueError("a certificate cut short")
    return der[start : start + length], der[start + length :]
