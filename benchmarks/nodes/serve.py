"""The process that answers for all machines: /17 is the page of the machine with that number.

    python benchmarks/nodes/serve.py PORT ADDRESS_OF_ONE_REAL_AGENT

It reads the real page again every few seconds, so that values move and jobs come and go; a scrape joins its
pieces and compresses them, as an agent's would be.
"""

import asyncio
import gzip
import sys
import time
from pathlib import Path

import tornado.httpserver
import tornado.web

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from measure import scrape
from nodes.names import Template

FRESH_S = 5  # less than from one scrape of a machine to the next


class Agents(tornado.web.RequestHandler):
    """Whoever asks for a number gets that machine."""

    url = ""
    taken_s = float("-inf")
    template = Template("")

    def get(self, node: str) -> None:
        """One scrape."""
        if time.monotonic() - Agents.taken_s > FRESH_S:
            Agents.taken_s, Agents.template = time.monotonic(), Template(scrape(self.url).decode())
        self.set_header("Content-Type", "text/plain; version=0.0.4")
        self.set_header("Content-Encoding", "gzip")
        self.finish(gzip.compress(Agents.template.page(int(node)).encode(), 1))


async def _serve(port: int) -> None:
    application = tornado.web.Application([(r"/(\d+)", Agents)], log_function=lambda _: None)
    tornado.httpserver.HTTPServer(application).listen(port, "127.0.0.1", backlog=4096)
    await asyncio.Event().wait()


if __name__ == "__main__":
    Agents.url = sys.argv[2]
    asyncio.run(_serve(int(sys.argv[1])))
