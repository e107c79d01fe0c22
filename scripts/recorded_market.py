"""Providers that are not there: serves their replies from files, for `make run`, tests and trying out.

The shapes are those of the providers, field by field; the figures are made up, and prices move slowly with
the time of day, so that history is not a flat line. Every reply says so in the header `X-Recording`, and so
does the log. The first part of the path is the provider: /vast/api/v0/bundles/, /runpod/graphql, ...

    python -m scripts.recorded_market --port 9840
"""

import argparse
import http.server
import json
import math
import re
import signal
import sys
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

RECORDINGS = Path(__file__).parent / "recordings"
SAYS = "recorded shapes with made-up figures that move with the time of day: nobody rents out at these prices"
PATHS = {
    "/vast/api/v0/bundles/": ("POST", "vast"),
    "/akash/v1/gpu-prices": ("GET", "akash"),
    "/ionet/v1/io-cloud/vmaas/hardware": ("GET", "ionet"),
    "/ionet/v1/io-cloud/caas/hardware": ("GET", "ionet-caas"),
    "/runpod/graphql": ("POST", "runpod"),
    "/lambda/api/v1/instance-types": ("GET", "lambda"),
    "/verda/v1/instance-types": ("GET", "verda"),
}
MOST_OFFERS = 64  # that Vast.ai shows to who has no key, whatever limit is asked for
SWING = 0.08  # of a price, up and down
GONE_BELOW = -0.75  # of the wave: what is rented out to others for a part of the day
DAY_SECONDS = 86_400.0
_PRICES = re.compile(r"(?i)dph_base|dph_total|min_bid|price_cents_per_hour|price_per_hour|.*price")
_AMOUNTS = {"min", "max", "avg", "weightedAverage", "med"}  # of Akash, below `price`

Row = dict[str, Any]


def wave(name: str, at_s: float) -> float:
    """From -1 to 1, once up and down in about a day; everything has its own hour."""
    seed = zlib.crc32(name.encode())
    period_s = DAY_SECONDS * (0.7 + (seed >> 8) % 100 / 100)
    return math.sin(2 * math.pi * (at_s / period_s + seed % 1000 / 1000))


def moved(row: Row, factor: float, below: str = "") -> Row:
    """The same row with every price in it multiplied, however deep it is."""
    found = {}
    for key, value in row.items():
        is_price = bool(_PRICES.fullmatch(key)) or (key in _AMOUNTS and below.startswith("price"))
        if isinstance(value, dict):
            found[key] = moved(value, factor, key)
        else:
            found[key] = times(value, factor) if is_price else value
    return found


def times(price: object, factor: float) -> object:
    """A price of the same type as before; what is none stays."""
    if isinstance(price, str) and price:
        return f"{float(price) * factor:.4f}"
    if isinstance(price, float):
        return round(price * factor, 6)
    return round(price * factor) if isinstance(price, int) else price


def at(row: Row, name: str, at_s: float) -> Row:
    """A row as it is at a time."""
    return moved(row, 1 + SWING * wave(name, at_s))


def is_there(name: str, at_s: float) -> bool:
    """Whether anybody may rent it at a time."""
    return wave(f"{name} is there", at_s) > GONE_BELOW


def vast(recorded: Row, asked: Row, at_s: float) -> Row:
    """Offers that match the filters, in the order that is asked for."""
    rows = [
        at(row, f"vast {row['id']}", at_s)
        for row in recorded["offers"]
        if is_there(f"vast {row['id']}", at_s) and matches(row, asked)
    ]
    for key, direction in reversed(asked.get("order", [])):
        rows.sort(key=lambda row: row.get(key) or 0, reverse=direction == "desc")
    return {"offers": rows[: min(MOST_OFFERS, int(asked.get("limit", MOST_OFFERS)))]}


def matches(row: Row, asked: Row) -> bool:
    """Whether a row has what is asked for; a filter that is not known is passed over, as there."""
    tests: dict[str, Callable[[Any, Any], bool]] = {
        "eq": lambda has, wanted: has == wanted,
        "in": lambda has, wanted: has in wanted,
        "gte": lambda has, wanted: has >= wanted,
        "lte": lambda has, wanted: has <= wanted,
    }
    known = {**row, "datacenter": row["hosting_type"] == 1, "verified": row["verification"] == "verified"}
    return all(
        tests[name](known[key], wanted)
        for key, filters in asked.items()
        if isinstance(filters, dict) and known.get(key) is not None
        for name, wanted in filters.items()
        if name in tests
    )


def akash(recorded: Row, _asked: Row, at_s: float) -> Row:
    """One row for each model, and fewer GPUs of those that are rented out."""
    models = []
    for row in recorded["models"]:
        name = f"akash {row['model']} {row['ram']} {row['interface']}"
        now = at(row, name, at_s)
        if not is_there(name, at_s):
            now["availability"] = {**now["availability"], "available": 0}
        models.append(now)
    counts = {key: sum(row["availability"][key] for row in models) for key in ("total", "available")}
    return {**recorded, "availability": counts, "models": models}


def ionet(recorded: Row, _asked: Row, at_s: float) -> Row:
    """All configurations; some are sold out for a while."""
    rows = recorded["data"]["hardware"]
    return {
        "data": {
            "hardware": [
                at(row, f"ionet {row['id']}", at_s)
                | {"sold_out": row["sold_out"] or not is_there(f"ionet {row['id']}", at_s)}
                for row in rows
            ]
        }
    }


def runpod(recorded: Row, asked: Row, at_s: float) -> Row:
    """Kinds of GPU; who asks for something else gets an error, with HTTP 200 as the provider does."""
    query = asked.get("query") if isinstance(asked, dict) else None
    if not isinstance(query, str) or "gpuTypes" not in query:
        return {"errors": [{"message": 'Cannot query field on type "Query".'}]}
    types = [at(row, f"runpod {row['id']}", at_s) for row in recorded["data"]["gpuTypes"]]
    return {"data": {"gpuTypes": types}}


def lambdalabs(recorded: Row, _asked: Row, at_s: float) -> Row:
    """Instance types; regions run out of them for a while."""
    return {
        "data": {
            name: at(entry, f"lambda {name}", at_s)
            | {
                "regions_with_capacity_available": [
                    region
                    for region in entry["regions_with_capacity_available"]
                    if is_there(f"lambda {name} {region['name']}", at_s)
                ]
            }
            for name, entry in recorded["data"].items()
        }
    }


def verda(recorded: list[Row], _asked: Row, at_s: float) -> list[Row]:
    """Instance types."""
    return [at(row, f"verda {row['instance_type']}", at_s) for row in recorded]


SPEAKERS: dict[str, Callable[..., object]] = {
    "vast": vast,
    "akash": akash,
    "ionet": ionet,
    "ionet-caas": ionet,
    "runpod": runpod,
    "lambda": lambdalabs,
    "verda": verda,
}


class RecordedMarket:
    """A server on the loopback interface; answers from its making until `stop`."""

    def __init__(
        self,
        port: int = 0,
        clock: Callable[[], float] = time.time,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._clock, self._say = clock, say
        self._recorded = {name: json.loads((RECORDINGS / f"{name}.json").read_text()) for name in SPEAKERS}
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def base_url(self, provider: str) -> str:
        """What stands in the configuration as the provider's `base_url`."""
        return f"{self.url}/{provider}"

    def reply(self, method: str, path: str, body: bytes) -> tuple[int, object]:
        """Status and content of the answer to a request."""
        path = urlsplit(path).path
        if path == "/-/ready":
            return 200, {"recording": SAYS}
        wanted, name = PATHS.get(path, ("", ""))
        if method != wanted:
            return (405 if name else 404), {"detail": f"{path} is not recorded for {method}"}
        try:
            asked = json.loads(body) if body else {}
        except ValueError:
            return 400, {"detail": "expected JSON"}
        return 200, SPEAKERS[name](self._recorded[name], asked, self._clock())

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        market = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, content = market.reply(self.command, self.path, body)
                data = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.send_header("X-Recording", SAYS)
                self.end_headers()
                self.wfile.write(data)
                market._say(f"recording: {self.command} {urlsplit(self.path).path} {status}")

            do_GET = do_POST = handle_any  # noqa: N815 - the library's names

            def log_message(self, *_arguments: object) -> None:
                """We say it ourselves."""

        return Handler


def main() -> int:
    """Serve until somebody asks to stop."""
    parser = argparse.ArgumentParser(description=f"Serves {SAYS}.")
    parser.add_argument("--port", type=int, default=9840)
    arguments = parser.parse_args()

    def say(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    market = RecordedMarket(arguments.port, say=say)
    say(f"{market.url} serves {SAYS}")
    over.wait()
    market.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
