"""A state file with a right checksum that nobody has written: the agent starts, and counts."""

import json

import pytest

from tests.fuzz.machine import state, states
from tests.node.attribution.garbage import NONSENSE, changed, paths

(WHOLE,) = (json.loads(seed) for seed in states())
WHOLE["extra"]["ledger"] = None  # a test of its own has it


@pytest.mark.fault("state-foreign")
def test_every_place_with_every_kind_of_nonsense_is_refused_or_counted_on_from() -> None:
    """No counter is negative, infinite or beyond all floats, and none falls."""
    places = list(paths(WHOLE))
    assert len(places) > 80
    taken = sum(state(json.dumps(changed(WHOLE, path, odd)).encode()) for path in places for odd in NONSENSE)
    assert taken < len(places) * len(NONSENSE) / 2


@pytest.mark.fault("state-foreign")
@pytest.mark.parametrize("start", [b"", b'{"schema":1,"generation":'])
def test_bottomless_nesting_is_no_state(start: bytes) -> None:
    assert not state(start + b"[" * 100_000)
