"""From TLS settings to an OpenSSL context: certificate, key and client check, loaded as one or not at all.

Decides what is safe beyond the settings: no compression, no renegotiation, no resumption (every client is
verified at every connection). Files are read once into memory, so a certificate and a key that are being
replaced are either seen together or refused together.
"""

import hashlib
import os
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gputally.config.modes import ADVICE, open_to_all
from gputally.config.strict import ConfigError
from gputally.config.yamltree import read_regular_file
from gputally.web.settings import ClientAuth, Pem, TlsSettings, canonical_san
from gputally.web.validity import not_after

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_KEY = b"PRIVATE KEY-----"
_VERIFY = {
    ClientAuth.NONE: ssl.CERT_NONE,
    ClientAuth.IF_GIVEN: ssl.CERT_OPTIONAL,
    ClientAuth.REQUIRED: ssl.CERT_REQUIRED,
}


@dataclass(frozen=True, slots=True)
class Identity:
    """What new connections are answered with."""

    context: ssl.SSLContext
    expires: float  # seconds since 1970
    trust: tuple[object, ...]  # equal when the same clients are let in
    allowed_sans: frozenset[str]
    notices: tuple[str, ...]


def build(settings: TlsSettings) -> Identity:
    """Load the certificate, the key and the client authorities.

    Raises:
        ConfigError: a file cannot be read or used; the message names the key that led to it.
    """
    notices: list[str] = []
    context = _context(settings)
    cert, key = _read(settings.cert), _read(settings.key)
    expires = _load_pair(context, settings, cert, key)
    if expires < time.time():
        notices.append(f"{settings.cert.value.path}: the certificate has expired")
    if settings.key.path is not None and open_to_all(settings.key.path):
        notices.append(f"{settings.key.value.path}: everyone may read the key, {ADVICE}")
    authorities = _load_authorities(context, settings)
    return Identity(
        context=context,
        expires=expires,
        trust=(settings.client_auth, authorities, settings.allowed_sans),
        allowed_sans=settings.allowed_sans,
        notices=tuple(notices),
    )


def _context(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = settings.minimum, settings.maximum
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    if settings.server_preference:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if settings.suites:
        context.set_ciphers(":".join(settings.suites))
    if settings.curve:
        context.set_ecdh_curve(settings.curve)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _read(pem: Pem) -> bytes:
    if pem.path is None:
        return pem.value.string().encode()
    try:
        return read_regular_file(pem.path)
    except ConfigError as error:
        raise pem.value.error(f"{pem.path} {error.message}") from None


def _load_pair(context: ssl.SSLContext, settings: TlsSettings, cert: bytes, key: bytes) -> float:
    cert_place, key_place = settings.cert.value, settings.key.value
    if _CERTIFICATE not in cert:
        raise cert_place.error("expected a PEM certificate, found none")
    if _KEY not in key:
        raise key_place.error("expected a PEM private key, found none")
    try:
        expires = not_after(cert.decode("ascii", "replace"))
    except ValueError as error:
        raise cert_place.error(f"cannot be used as a certificate: {error}") from None
    try:
        with _in_memory(cert) as cert_name, _in_memory(key) as key_name:
            context.load_cert_chain(cert_name, key_name, password=_refuse_to_ask)
    except _EncryptedKeyError:
        raise key_place.error("the key is encrypted: expected one without a passphrase") from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise key_place.error("the key does not belong to the certificate") from None
        raise cert_place.error(
            f"OpenSSL refuses the certificate or its key ({error.reason or 'PEM'})"
        ) from None
    except OSError as error:
        raise cert_place.error(f"cannot be loaded: {error.strerror}") from None
    return expires


class _EncryptedKeyError(Exception):
    """OpenSSL wants a passphrase."""


def _refuse_to_ask() -> str:
    raise _EncryptedKeyError  # without this callback OpenSSL would ask on the terminal


@contextmanager
def _in_memory(data: bytes) -> Iterator[str]:
    """Give bytes a file name: OpenSSL's loader takes nothing else, and a key must not touch a disk."""
    descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(data)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _load_authorities(context: ssl.SSLContext, settings: TlsSettings) -> str:
    """Load the client authorities; gives their fingerprint, empty without any."""
    context.verify_mode = _VERIFY[settings.client_auth]
    if settings.client_ca is None:
        return ""
    place, data = settings.client_ca.value, _read(settings.client_ca)
    if _CERTIFICATE not in data:
        raise place.error("expected a PEM certificate, found none")
    try:
        context.load_verify_locations(cadata=data.decode("ascii", "replace"))
    except ssl.SSLError as error:
        raise place.error(f"cannot be used as client authority ({error.reason or 'PEM'})") from None
    return hashlib.sha256(data).hexdigest()


def name_is_allowed(certificate: Mapping[str, Any] | None, allowed: frozenset[str]) -> bool:
    """Whether one of the client's subject alternative names stands in the list, letter by letter."""
    if not allowed:
        return True
    names = (certificate or {}).get("subjectAltName", ())
    return any(canonical_san(name) in allowed for _kind, name in names)
