"""Configuration of a site from text, as the agents read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gputally.config import strict
from gputally.config.owned import OwnedGpu, read_owned
from gputally.config.strict import ConfigError
from gputally.config.tariff import SiteDeclaration, read_site

ZONE = "site: {timezone: Europe/Berlin}\n"
EUR = ZONE + "tariff:\n  currency: EUR\n"


def read(text: str, folder: Path) -> SiteDeclaration:
    root = strict.parse(text.encode(), "f.yml")
    declared = read_site(root, folder)
    read_owned(root)
    root.finish()
    return declared


def owned(text: str) -> tuple[OwnedGpu, ...]:
    root = strict.parse(text.encode(), "f.yml")
    return read_owned(root)


def complaint(text: str, folder: Path) -> str:
    """The one line about what cannot be read, without the names of the files' folder."""
    with pytest.raises(ConfigError) as caught:
        read(text, folder)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{folder}/", "").removeprefix("f.yml")
