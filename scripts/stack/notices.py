"""The receiver of this run's alerts: a web hook that writes each message as a line of a file."""

import http.server
import json
import threading
from pathlib import Path
from typing import Any

from scripts.stack.processes import LOOPBACK

HEARTBEAT = "GputallyWatchdog"  # always fires: in the log, and no news


class Notices:
    """Listens from `start` to `stop`; `latest` is the newest message as one line, empty before the first."""

    def __init__(self, log: Path) -> None:
        self.latest = ""
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._server = http.server.ThreadingHTTPServer((LOOPBACK, 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where Alertmanager sends to."""
        return f"http://{LOOPBACK}:{self._server.server_port}/"

    def start(self) -> None:
        """Begin to listen, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def receive(self, message: dict[str, Any]) -> None:
        """Note one message of Alertmanager."""
        names = sorted({alert["labels"]["alertname"] for alert in message["alerts"]})
        where = message["groupLabels"].get("instance", "the fleet")
        notice = f"{message['status']}: {', '.join(names)} on {where}"
        if names != [HEARTBEAT]:
            self.latest = notice
        with self._log.open("a") as log:
            log.write(f"{notice} {json.dumps(message, sort_keys=True)}\n")

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        notices = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                notices.receive(json.loads(self.rfile.read(length)))
                self.send_response(http.HTTPStatus.OK)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing: messages are in the log already."""

        return Handler
