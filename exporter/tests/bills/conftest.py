"""A ledger for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bills.making import Books


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(tmp_path)
