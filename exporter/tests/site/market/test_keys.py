"""Keys come from files, anew every time, and travel over TLS alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gputally.config.market import ProviderSettings
from gputally.site.market.http import FetchFailed
from gputally.site.market.keys import key_of

URL = "https://prices.example.com/v1"


def told(file: Path | None) -> ProviderSettings:
    return ProviderSettings("lambda", "lambda", api_key_file=file)


def refused(file: Path, url: str = URL) -> str:
    with pytest.raises(FetchFailed) as caught:
        key_of(told(file), url)
    assert caught.value.reason == "auth"
    return str(caught.value)


def test_without_a_file_there_is_none():
    assert key_of(told(None), URL) is None


@pytest.mark.fault("key-missing")
def test_a_new_key_is_there_at_the_next_fetch(tmp_path):
    file = tmp_path / "lambda.key"
    for key in ("first-key", "second-key"):
        file.write_text(f" {key}\n")
        assert key_of(told(file), URL) == key


@pytest.mark.fault("key-missing")
@pytest.mark.parametrize("content", [b"", b" \n", b"two secrets", b"gr\xc3\xbcn", b"\x00\x01"])
def test_a_file_without_a_key_is_named_and_not_quoted(tmp_path, content):
    file = tmp_path / "lambda.key"
    file.write_bytes(content)
    assert refused(file) == f"{file}: expected one word, the key"


def test_a_file_that_is_not_there_says_so(tmp_path):
    missing = tmp_path / "lambda.key"
    assert refused(missing) == f"{missing}: cannot be read: No such file or directory"


def test_what_is_no_plain_small_file_is_not_waited_for(tmp_path):
    """Whoever opens a pipe waits for somebody to write into it: no price would ever come again."""
    pipe, large = tmp_path / "pipe", tmp_path / "large"
    os.mkfifo(pipe)
    large.write_bytes(b"secret" * 1000)
    for file in (pipe, tmp_path, Path("/dev/zero")):
        assert refused(file) == f"{file}: expected a regular file, found a directory, pipe or device"
    assert refused(large) == f"{large}: too large: expected at most 4 KiB"


@pytest.mark.parametrize("url", ["http://prices.example.com/v1", "HTTP://10.0.0.1/"])
def test_a_key_does_not_travel_in_the_open(tmp_path, url):
    file = tmp_path / "lambda.key"
    file.write_text("secret")
    assert "without TLS" in refused(file, url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "http://[::1]:9/", "http://localhost/"])
def test_it_may_go_to_this_machine(tmp_path, url):
    file = tmp_path / "lambda.key"
    file.write_text("secret")
    assert key_of(told(file), url) == "secret"
