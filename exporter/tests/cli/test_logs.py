"""Log lines: one each, readable by machines, whatever stands in them."""

import io
import json
import logging
import re
import sys
from datetime import UTC, datetime, timedelta

import pytest

from gputally.cli.logs import set_level, start_logging

HOSTILE = [
    "plain",
    "two words",
    'quote " and \\ backslash',
    "line\nfeed\r\nlevel=error",
    "\x1b[31mred\x1b[0m \x00 \x7f",
    "\u202eevil \u2028 separator",
    "naïve €",
    "",
    "=",
    "\udcff\ud800 surrogate",
    "x" * 100_000,
]
_FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^ "=]+)(?: |$)')


@pytest.fixture
def log(monkeypatch):
    """Start logging in one form into memory; the root logger is as before afterwards."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogger("tornado").level, logging.raiseExceptions
    written = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace")  # as Python opens stderr

    def start(level="debug", form="logfmt"):
        monkeypatch.setattr(sys, "stderr", written)
        start_logging(level, form)
        return logging.getLogger("gputally.some.part")

    def lines():
        written.flush()
        return written.buffer.getvalue().decode("utf-8").splitlines()

    start.lines = lines
    yield start
    root.handlers[:], level, tornado, logging.raiseExceptions = before
    root.setLevel(level)
    logging.getLogger("tornado").setLevel(tornado)


def fields(line: str, form: str) -> dict[str, str]:
    """The fields of a line, read back."""
    if form == "json":
        return json.loads(line)
    found = _FIELD.findall(line)
    assert "".join(f"{k}={v} " for k, v in found).rstrip() == line
    return {key: json.loads(value) if value.startswith('"') else value for key, value in found}


@pytest.mark.parametrize("form", ["logfmt", "json"])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_line_is_one_line_and_reads_back(text, form, log):
    log(form=form).warning("%s", text)
    (line,) = log.lines()
    assert line.isprintable()
    found = fields(line, form)
    assert list(found) == ["ts", "level", "source", "msg"]
    assert (found["level"], found["source"], found["msg"]) == ("warning", "some.part", text)
    age = datetime.now(UTC) - datetime.fromisoformat(found["ts"])
    assert timedelta(-1) < age < timedelta(minutes=1)


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_an_error_is_named_with_its_place_in_the_same_line(form, log):
    logger = log(form=form)
    try:
        json.loads("{")
    except ValueError:
        logger.exception("cannot read")
    (line,) = log.lines()
    found = fields(line, form)
    assert found["msg"] == "cannot read"
    assert found["error"].startswith("JSONDecodeError: Expecting property name")
    assert re.search(r"decoder\.py:\d+$", found["at"])


def test_the_level_can_be_changed_while_running(log):
    logger = log("warning")
    logger.info("one")
    set_level("debug")
    logger.debug("two")
    set_level("error")
    logger.warning("three")
    assert [fields(line, "logfmt")["msg"] for line in log.lines()] == ["two"]


@pytest.mark.parametrize("level", ["debug", "error"])
def test_the_web_server_may_only_log_errors(level, log):
    log(level)
    logging.getLogger("tornado.access").warning("a client's fault")
    assert log.lines() == []


def test_a_standard_error_that_is_gone_is_no_error_of_ours(log):
    logger = log()
    for handler in logging.getLogger().handlers:
        handler.stream.close()
    logger.error("nobody hears this")
