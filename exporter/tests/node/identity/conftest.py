"""A machine of our own making for each test."""

import pytest

from tests.node.identity.machine import Machine


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path, monkeypatch)
