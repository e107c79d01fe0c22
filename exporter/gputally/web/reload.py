"""The web configuration in force, and when another one may take its place.

Decides that the last good one stays: a file that is broken, half written or gone changes nothing but a
metric and a log line, and a file that would let in more clients than before (no TLS, no users, no client
check) is refused until a restart, as a truncated file looks just like that. A refused file is tried again at
every look, so a repair needs no nudge.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gputally.config.modes import ADVICE, open_to_all
from gputally.config.strict import ConfigError
from gputally.config.yamltree import fingerprint
from gputally.web import settings as web_settings
from gputally.web import tls
from gputally.web.auth import Authenticator
from gputally.web.limits import TokenBuckets
from gputally.web.settings import WebSettings

logger = logging.getLogger(__name__)

_Fingerprint = tuple[tuple[int, ...] | None, ...]


@dataclass(frozen=True, slots=True)
class _Loaded:
    settings: WebSettings
    identity: tls.Identity | None
    fingerprint: _Fingerprint
    open_to_all: bool = False

    def notices(self) -> tuple[str, ...]:
        own = (f"everyone may read it, and it holds secrets, {ADVICE}",) if self.open_to_all else ()
        return (*own, *self.settings.notices, *(self.identity.notices if self.identity else ()))


class WebConfig:
    """Holds what is in force. Methods run on the loop's thread; attributes may be read from any."""

    def __init__(self, path: Path | None, clock: Callable[[], float]) -> None:
        self._path, self._clock = path, clock
        self._loaded = _Loaded(WebSettings(), None, ())
        self._complaint = ""
        self.authenticator = Authenticator(clock)
        self.buckets: TokenBuckets | None = None
        self.last_reload_success = True
        self.last_reload_success_timestamp = time.time()

    @property
    def settings(self) -> WebSettings:
        """The settings in force."""
        return self._loaded.settings

    @property
    def identity(self) -> tls.Identity | None:
        """The TLS side of them; None without TLS."""
        return self._loaded.identity

    @property
    def trust(self) -> object:
        """Equal for two connections when both would be let in by the same rules."""
        return self._loaded.identity.trust if self._loaded.identity else None

    def start(self, *, quiet: bool = False) -> None:
        """Load the file for the first time; `quiet`: without a word about what is worth a warning.

        Raises:
            ConfigError: it cannot be used.
        """
        if self._path is not None:
            self._adopt(self._read(self._path), quiet=quiet)

    def look(self) -> None:
        """Reload if a file has changed since it was last looked at, or if the last reload failed."""
        if self._path is None:
            return
        if (
            not self.last_reload_success
            or self._fingerprint(self._path, self.settings) != self._loaded.fingerprint
        ):
            self.reload()

    def reload(self) -> bool:
        """Read everything again; whether it is now in force."""
        if self._path is None:
            return True
        try:
            loaded = self._read(self._path)
            self._check_loss(self._path, loaded.settings)
        except ConfigError as error:
            self._complain(str(error))
            return False
        self._adopt(loaded)
        logger.info("web configuration reloaded: %s", self._path)
        return True

    def _check_loss(self, path: Path, new: WebSettings) -> None:
        if loss := _loss(self.settings, new):
            raise ConfigError(str(path), f"would remove {loss}: that needs a restart")

    def _complain(self, complaint: str) -> None:
        if self.last_reload_success or complaint != self._complaint:
            logger.error("web configuration not reloaded, the last good one stays: %s", complaint)
        self.last_reload_success, self._complaint = False, complaint

    def _read(self, path: Path) -> _Loaded:
        before = fingerprint(path)
        settings = web_settings.load(path)
        seen = (before, *(fingerprint(file) for file in settings.files()))
        is_open = settings.holds_secrets and open_to_all(path)
        return _Loaded(settings, tls.build(settings.tls) if settings.tls else None, seen, is_open)

    def _fingerprint(self, path: Path, settings: WebSettings) -> _Fingerprint:
        return (fingerprint(path), *(fingerprint(file) for file in settings.files()))

    def _adopt(self, loaded: _Loaded, *, quiet: bool = False) -> None:
        previous, self._loaded = self._loaded, loaded
        if loaded.settings.users != previous.settings.users:
            self.authenticator.adopt(loaded.settings.users)
        rate = loaded.settings.rate_limit
        if rate != previous.settings.rate_limit:
            self.buckets = TokenBuckets(rate, self._clock) if rate else None
        for notice in loaded.notices():
            if notice not in previous.notices() and not quiet:
                logger.warning("web configuration: %s", notice)
        self.last_reload_success, self._complaint = True, ""
        self.last_reload_success_timestamp = time.time()


def _loss(old: WebSettings, new: WebSettings) -> str:
    """Name the protection that the new settings lack; empty when they protect at least as much."""
    if old.users and not new.users:
        return "all basic_auth_users"
    if old.tls is None:
        return ""
    if new.tls is None:
        return "tls_server_config"
    if new.tls.client_auth < old.tls.client_auth:
        return "the check of client certificates"
    return "client_allowed_sans" if old.tls.allowed_sans and not new.tls.allowed_sans else ""
