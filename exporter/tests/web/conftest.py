"""Servers that stop with the test, and one certificate authority for all of them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme

from tests.web.harness import Running


@pytest.fixture
def serve() -> Iterator[Callable[..., Running]]:
    """Start servers; they stop when the test ends."""
    running: list[Running] = []

    def start(*arguments: Any, **more: Any) -> Running:
        server = Running(*arguments, **more).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """An authority that clients trust."""
    return trustme.CA()


@pytest.fixture(scope="session")
def leaf(authority: trustme.CA) -> trustme.LeafCert:
    """A certificate of this machine."""
    return authority.issue_cert("127.0.0.1")
