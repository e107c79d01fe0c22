"""Where offers come from: the site agent, a file that it gave, or the providers themselves."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from gputally.cli.marketflags import SITE_URL
from gputally.cli.options import combine
from gputally.config.market import MarketSettings
from gputally.config.settings import SiteSettings
from gputally.model.clock import system_clock
from gputally.site.market.asking import ask_all
from gputally.site.market.cards import Catalogue, load
from gputally.site.market.http import FetchFailed, Http
from gputally.site.market.listing import Listing, ListingError, parse_listing
from gputally.site.market.own import own_gpus
from gputally.tariff import Schedule

MOST_BYTES = 64 << 20
_PATH = "/offers"
_HINTS = {
    "network": ": is the site agent running?",
    "timeout": ": is this the site agent?",
    "auth": ": user and password are missing or wrong (--site.user, --site.password-file)",
    "http": ": this is not a site agent that knows of offers",
    "parse": ": this is not a site agent",
}


def find_listing(flags: Mapping[str, Any]) -> tuple[Listing, Catalogue, str, dict[str, str]]:
    """The offers, the catalogue of their cards, where they come from, and which providers did not answer.

    Raises click.UsageError for wrong flags or files, click.ClickException where nobody answers.
    """
    file, ask = flags["from_file"], flags["ask"]
    if file is not None and ask:
        raise click.UsageError("either --from-file or --ask")
    if ask:
        return _asked(flags["config_file"])
    if file is not None:
        return _parsed(_read(file), str(file)), load(), str(file), {}
    url = _checked(flags["site_url"])
    document = _get(url, _headers(flags["site_user"], flags["site_password_file"]), flags["site_ca_file"])
    try:
        listing = parse_listing(document)
    except ListingError as error:
        raise click.ClickException(f"{url}{_PATH}: {error} (--site.url)") from None
    if not listing.market.providers:
        raise click.ClickException(f"{url}: this site agent asks no provider: its market.providers are empty")
    return listing, load(), url, {}


def _asked(config_file: Path | None) -> tuple[Listing, Catalogue, str, dict[str, str]]:
    if config_file is None:
        raise click.UsageError("--ask: whom? Give --config.file, with market.providers")
    settings = combine(config_file, {}, SiteSettings)
    market_settings = settings.market or MarketSettings()
    if not market_settings.providers:
        raise click.UsageError(f"{config_file}: no market.providers: there is nobody to ask")
    catalogue, now = load(market_settings.aliases), system_clock()
    market, failures = ask_all(market_settings.providers, catalogue, Http(), now.wall_seconds)
    if len(failures) == len(market.providers):
        said = "; ".join(f"{name}: {message}" for name, message in failures.items())
        raise click.ClickException(f"no provider has answered: {said}")
    rate = Schedule(settings.site.tariff).at(now.wall_ns).rate
    own = own_gpus(settings.owned_gpus, rate, market_settings.rates, catalogue)
    listing = Listing(now.wall_seconds, market, market_settings.gscore, own)
    return listing, catalogue, "the providers", failures


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise click.UsageError(f"--from-file {file}: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise click.UsageError(f"--from-file {file}: more than {MOST_BYTES >> 20} MiB")
    return data


def _parsed(data: bytes, file: str) -> Listing:
    try:
        return parse_listing(json.loads(data, parse_constant=_refused))
    except ListingError as error:
        raise click.UsageError(f"--from-file {file}: {error}") from None
    except (ValueError, RecursionError):
        raise click.UsageError(f"--from-file {file}: expected the JSON that /offers gives") from None


def _refused(constant: str) -> object:
    raise ValueError(constant)


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.isascii() or not url.isprintable() or " " in url:
        raise click.UsageError(f"--site.url: expected an address such as {SITE_URL}")
    if parts.username is not None or parts.password is not None:
        raise click.UsageError("--site.url: no user and password in it: give --site.user")
    if parts.query or parts.fragment:
        raise click.UsageError("--site.url: expected an address without ? and #")
    return url.rstrip("/")


def _headers(user: str | None, password_file: Path | None) -> dict[str, str]:
    if user is None:
        if password_file is not None:
            raise click.UsageError("--site.password-file: a password without a user: give --site.user")
        return {}
    password = _password(password_file) if password_file is not None else ""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def _password(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            lines = opened.read(4096).decode().splitlines()
    except OSError as error:
        raise click.UsageError(f"--site.password-file {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        lines = []
    if len(lines) != 1:
        raise click.UsageError(f"--site.password-file {file}: expected one line with the password")
    return lines[0]


def _get(url: str, headers: Mapping[str, str], ca_file: Path | None) -> object:
    if ca_file is not None and not ca_file.is_file():
        raise click.UsageError(f"--site.ca-file {ca_file}: there is no such file")
    try:
        return Http(ca_file=ca_file).get_json(url + _PATH, headers=headers)
    except FetchFailed as failure:
        raise click.ClickException(failure.message + _hint(failure)) from None


def _hint(failure: FetchFailed) -> str:
    if ": TLS: " in failure.message:
        return " (--site.ca-file)"
    where = "" if failure.reason == "auth" else " (--site.url)"
    return _HINTS.get(failure.reason, "") + where
