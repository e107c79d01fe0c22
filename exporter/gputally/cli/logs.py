"""Log lines as key=value or JSON, on standard error; one line each, whatever a name or an error contains."""

import json
import logging
import sys
from datetime import UTC, datetime


def start_logging(level: str, form: str) -> None:
    """Send the package's log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else LogfmtFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(level)
    logging.raiseExceptions = False  # a full disk or closed pipe behind stderr is not our end


def set_level(level: str) -> None:
    """Change the level while running."""
    logging.getLogger().setLevel(level.upper())
    logging.getLogger("tornado").setLevel(logging.ERROR)


def _fields(record: logging.LogRecord) -> dict[str, str]:
    fields = {
        "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "source": record.name.removeprefix("gputally."),
        "msg": record.getMessage(),
    }
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        fields["error"] = f"{type(error).__name__}: {error}"
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        if trace is not None:
            fields["at"] = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    return fields


class LogfmtFormatter(logging.Formatter):
    """ts=... level=... source=... msg="..." as Prometheus itself logs."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; values quoted where they need it."""
        return " ".join(f"{key}={_quoted(value)}" for key, value in _fields(record).items())


class JsonFormatter(logging.Formatter):
    """The same fields as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return json.dumps(_fields(record))


def _quoted(value: str) -> str:
    if value and value.isprintable() and not any(c in value for c in ' "=\\'):
        return value
    return json.dumps(value)
