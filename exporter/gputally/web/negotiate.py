"""Which format and encoding a client gets: pure functions of two request headers.

Weights are honoured; what cannot be understood is skipped, and when nothing is left the answer is plain text
0.0.4 without compression, which everything reads. There is no 406: a scraper that asks for a format of the
future still gets its figures.
"""

import re
from collections.abc import Iterator

from gputally.web.exposition import Format

_LONGEST_HEADER = 4096  # Prometheus 3 sends 250 bytes
_WEIGHT = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
_OPENMETRICS_VERSIONS = ("", "1.0.0", "0.0.1")  # 0.0.1 is the draft of what 1.0.0 became
_TEXT_VERSIONS = ("", "0.0.4")


def choose_format(accept: str) -> Format:
    """Read an Accept header: the heaviest type we have wins, then the one named first."""
    best, heaviest = Format.TEXT_0_0_4, 0.0
    for media_type, parameters, weight in _elements(accept):
        fmt = _format(media_type, parameters.get("version", ""))
        if fmt is not None and weight > heaviest:
            best, heaviest = fmt, weight
    return best


def _format(media_type: str, version: str) -> Format | None:
    if media_type == "application/openmetrics-text" and version in _OPENMETRICS_VERSIONS:
        return Format.OPENMETRICS_1_0_0
    if media_type == "text/plain" and version in _TEXT_VERSIONS:
        return Format.TEXT_0_0_4
    return Format.TEXT_0_0_4 if media_type in ("*/*", "text/*") else None


def accepts_gzip(accept_encoding: str) -> bool:
    """Read an Accept-Encoding header: gzip when it is wanted at least as much as no encoding at all."""
    weights = {coding: weight for coding, _parameters, weight in _elements(accept_encoding)}
    gzip = max(weights.get("gzip", -1.0), weights.get("x-gzip", -1.0))
    if gzip < 0:
        gzip = weights.get("*", 0.0)
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def _elements(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Give name, parameters and weight of each element; one with a weight that is no weight is left out."""
    if len(header) > _LONGEST_HEADER:
        return
    for element in header.lower().split(","):
        name, *rest = (part.strip() for part in element.split(";"))
        parameters = {}
        for part in rest:
            key, _equals, value = part.partition("=")
            parameters[key.strip()] = value.strip().strip('"')
        weight = parameters.pop("q", "1")
        if name and _WEIGHT.fullmatch(weight):
            yield name, parameters, float(weight)
