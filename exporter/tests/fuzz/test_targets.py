"""Every parser with good inputs, and a few hundred that are nearly good; `make fuzz` takes longer for it."""

import time

import pytest

from tests.fuzz.mutations import mutations
from tests.fuzz.targets import TARGETS

MUTATIONS = 300
LONGEST_S = 5.0  # of CPU for one input: a hang is a finding, too


@pytest.mark.fault("input-any")
@pytest.mark.parametrize("name", TARGETS)
def test_nearly_good_inputs_are_read_or_refused_and_nothing_else(name: str) -> None:
    target = TARGETS[name]
    seeds = list(target.seeds())
    read = [target.check(data) for data in seeds]
    assert any(read), "of what is refused at once, nothing is put to the proof"
    for data in (*seeds, *mutations(name, seeds, MUTATIONS)):
        began = time.process_time()
        try:
            target.check(data)
        except BaseException as error:
            error.add_note(f"{name} is given {data!r}"[:20_000])
            raise
        assert time.process_time() - began < LONGEST_S, data
