"""All providers: who knows how to ask whom. One more is a file beside this one and a line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from gputally.config.market import ProviderSettings
from gputally.model.market import Fetched
from gputally.site.market import akash, clouds, ionet, lambdalabs, runpod, static, vast, verda
from gputally.site.market.cards import Catalogue
from gputally.site.market.http import Http

Fetch = Callable[[Http, ProviderSettings, Catalogue], Fetched]
RECORDING = "recording"


@dataclass(frozen=True, slots=True)
class Provider:
    """What is to be known of one kind of provider."""

    basis: str  # what a price is for, of BASES
    url: str  # where it answers by itself; "" where nobody is asked over HTTP
    fetch: Fetch
    source: str = ""  # instead of a host


PROVIDERS: Mapping[str, Provider] = {
    "vast": Provider(vast.BASIS, vast.DEFAULT_URL, vast.fetch),
    "akash": Provider(akash.BASIS, akash.DEFAULT_URL, akash.fetch),
    "ionet": Provider(ionet.BASIS, ionet.DEFAULT_URL, ionet.fetch),
    "runpod": Provider(runpod.BASIS, runpod.DEFAULT_URL, runpod.fetch),
    "lambda": Provider(lambdalabs.BASIS, lambdalabs.DEFAULT_URL, lambdalabs.fetch),
    "verda": Provider(verda.BASIS, verda.DEFAULT_URL, verda.fetch),
    "static": Provider(static.BASIS, static.DEFAULT_URL, static.fetch, static.SOURCE),
    "clouds": Provider(clouds.BASIS, clouds.DEFAULT_URL, clouds.fetch, clouds.SOURCE),
}


def source_of(settings: ProviderSettings) -> str:
    """Where prices come from, as a label: a recording says that it is one."""
    provider = PROVIDERS[settings.kind]
    if settings.recording:
        return RECORDING
    return provider.source or urlsplit(settings.base_url or provider.url).hostname or ""


def lacking(settings: ProviderSettings) -> str | None:
    """What this machine lacks to ask the provider, in a sentence; None where it lacks nothing."""
    return clouds.MISSING if settings.kind == "clouds" and not clouds.is_installed() else None
