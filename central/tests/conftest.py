"""A store with its front, for all tests; each test that stops something has one of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from central.tests.programs import Front, Store


@dataclass
class Centre:
    """What runs on the central machine."""

    store: Store
    front: Front


@contextmanager
def centre_in(folder: Path) -> Iterator[Centre]:
    """Start everything, and end it."""
    store = Store(folder)
    front = Front(folder, store.url)
    try:
        store.start()
        front.start()
        yield Centre(store, front)
    finally:
        front.stop()
        store.program.stop()


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    with centre_in(tmp_path_factory.mktemp("centre")) as running:
        yield running
