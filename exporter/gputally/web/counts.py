"""What the web front counts about itself, for the exporter's own metrics."""

from dataclasses import dataclass, field

CODES = (200, 400, 401, 404, 405, 429, 500, 503)
REFUSALS = (
    "address_limit",  # one client has too many connections, an older one of its own had to go
    "connection_limit",  # all clients together have
    "descriptors",  # the process has none left
    "handshake",  # no TLS, or none in time
    "certificate_name",  # a client certificate without an allowed name
    "request_deadline",  # the headers took too long
    "write_deadline",  # the client does not read
)


@dataclass(slots=True)
class Counts:
    """Running totals. All keys exist from the start, so another thread may read while one counts."""

    requests: dict[int, int] = field(default_factory=lambda: dict.fromkeys(CODES, 0))
    refused: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REFUSALS, 0))
    auth_failures: int = 0
