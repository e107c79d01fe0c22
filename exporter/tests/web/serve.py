"""A server of its own process with a made-up exposition, for tests that count memory or descriptors.

Prints its address, then every line of its log; ends when its standard input does.
"""

import argparse
import asyncio
import logging
import resource
import sys
import threading
from pathlib import Path

from gputally.web.exposition import Format
from gputally.web.landing import Landing
from gputally.web.limits import Limits
from gputally.web.server import Server


class Figures:
    """Text of a given size, the same for ever."""

    def __init__(self, size_bytes: int) -> None:
        line = 'gpu_power_watts{{gpu="{0}",uuid="GPU-{0:032x}"}} {0}.5\n'
        self.version = 0
        self._text = "".join(line.format(index) for index in range(size_bytes // 70)).encode()

    def render(self, fmt: Format) -> bytes:
        return self._text + (b"# EOF\n" if fmt is Format.OPENMETRICS_1_0_0 else b"")


class Well:
    """An agent in good health."""

    def ready(self) -> tuple[bool, str]:
        return True, "ready"

    def healthy(self) -> tuple[bool, str]:
        return True, "healthy"


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--web-config", type=Path)
    parser.add_argument("--request-s", type=float, default=10.0)
    parser.add_argument("--write-s", type=float, default=10.0)
    parser.add_argument("--size", type=int, default=300_000)
    parser.add_argument("--descriptors", type=int)
    return parser.parse_args()


async def serve(arguments: argparse.Namespace) -> None:
    server = Server(
        listen=["127.0.0.1:0"],
        telemetry_path="/metrics",
        web_config_file=arguments.web_config,
        exposition=Figures(arguments.size),
        health=Well(),
        landing=lambda: Landing("gputally test", "0", "no GPU at all"),
        limits=Limits(request_s=arguments.request_s, write_s=arguments.write_s),
    )
    server.start()
    print(server.addresses[0], flush=True)  # noqa: T201 - its parent reads it
    done, loop = asyncio.Event(), asyncio.get_running_loop()
    threading.Thread(
        target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(done.set)), daemon=True
    ).start()
    await done.wait()
    await server.stop()


def main() -> None:
    arguments = read_arguments()
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(levelname)s %(message)s")
    if arguments.descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, (arguments.descriptors,) * 2)
    asyncio.run(serve(arguments))


if __name__ == "__main__":
    main()
