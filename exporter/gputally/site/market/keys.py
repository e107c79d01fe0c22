"""API keys: read from their file at every fetch, so that a new one needs no restart; shown nowhere."""

import re

from gputally.config.market import ProviderSettings
from gputally.config.strict import ConfigError
from gputally.config.yamltree import read_regular_file
from gputally.site.market.http import FetchFailed, is_loopback

LONGEST = 4096
_WORD = re.compile(rf"[!-~]{{1,{LONGEST}}}")


def key_of(settings: ProviderSettings, url: str) -> str | None:
    """The provider's key, to be sent to `url`; None where none is configured.

    Raises:
        FetchFailed: "auth", the file cannot be read or holds no key, or the key would travel in the open.
    """
    file = settings.api_key_file
    if file is None:
        return None
    if not url.lower().startswith("https://") and not is_loopback(url):
        raise FetchFailed("auth", "the key of api_key_file is not sent without TLS (base_url)")
    try:
        content = read_regular_file(file, LONGEST)
    except ConfigError as error:
        raise FetchFailed("auth", f"{file}: {error.message}") from None
    words = content.decode("latin-1").split()
    if len(words) != 1 or not _WORD.fullmatch(words[0]):
        raise FetchFailed("auth", f"{file}: expected one word, the key")
    return words[0]
