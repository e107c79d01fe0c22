"""The log of `nvidia-smi -q -x`, taken apart: one card per <gpu>, and text by path. Judges no value.

The layout has changed in every other driver; elements are looked up where any of them had it.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass

from gputally.node.sources.printed import word
from gputally.node.sources.protocol import SourceError

_DOCUMENT = re.compile(rb"<nvidia_smi_log\b.*</nvidia_smi_log\s*>", re.DOTALL)
# Thousands of lines on some cards, and nothing of it is read.
_UNREAD = re.compile(
    r"<supported_clocks>.*?</supported_clocks>|<accounted_processes>.*?</accounted_processes>", re.DOTALL
)
# What XML 1.0 does not allow: nvidia-smi escapes < and & in the name of a process, and nothing else.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Card:
    """One <gpu> of the log."""

    element: ET.Element

    @property
    def bus_id(self) -> str | None:
        """Where the GPU sits, 00000000:3B:00.0; known even of a GPU that answers nothing."""
        return word(self.element.get("id")) or self.word("pci/pci_bus_id")

    def text(self, *paths: str) -> str | None:
        """The text of the first path that there is."""
        for path in paths:
            if (text := self.element.findtext(path)) is not None:
                return text
        return None

    def word(self, *paths: str) -> str | None:
        """A name or a version; None where the log says that there is none."""
        return word(self.text(*paths))

    def parts(self, path: str) -> Iterator["Card"]:
        """The elements of a path, to be asked in the same way."""
        return (Card(element) for element in self.element.iterfind(path))


@dataclass(frozen=True, slots=True)
class Log:
    """The whole log."""

    driver_version: str | None
    cuda_version: str | None
    cards: tuple[Card, ...]


def parse(output: bytes) -> Log:
    """Take a log apart, whatever warnings stand before or behind it. Raises SourceError, reason `garbage`."""
    found = _DOCUMENT.search(output)
    if found is None:
        raise SourceError("nvidia-smi -q -x printed no complete log", reason="garbage")
    # The document type, and with it any entity of its own, has been left outside.
    text = _ILLEGAL.sub("?", _UNREAD.sub("", found[0].decode(errors="replace")))
    try:
        root = ET.fromstring(text)  # noqa: S314 - bounded in size, without document type: no entity can be declared
    except (ET.ParseError, ValueError) as error:
        raise SourceError(
            f"nvidia-smi -q -x printed a log that is no XML: {error}", reason="garbage"
        ) from None
    return Log(
        driver_version=word(root.findtext("driver_version")),
        cuda_version=word(root.findtext("cuda_version")),
        cards=tuple(Card(element) for element in root.iterfind("gpu")),
    )
