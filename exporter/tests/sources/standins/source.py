"""A source of nvidia-smi as the node uses it, in as few words as a test wants to spend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gputally.node.sources.nvidia_smi import NvidiaSmiSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gputally.model import Reading


def read(source: NvidiaSmiSource, *, slow: bool = False) -> Mapping[str, Reading]:
    (reader,) = source.readers()
    return reader.read(slow=slow)


def opened(**options: Any) -> NvidiaSmiSource:
    source = NvidiaSmiSource(**options)
    source.open()
    return source


def uuids_of(source: NvidiaSmiSource) -> list[str]:
    return [gpu.uuid for gpu in source.scan().gpus]
