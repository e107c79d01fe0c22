"""Whatever a record says, the agent makes of it a bounded record or none."""

import json
import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gputally.node.identity import runfile
from gputally.node.identity.runs import RunRecords

from .runrecords import BOOT, ENDED, PID, RUNNING, TICKS, path

__all__ = ["path"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    st.dictionaries(
        st.sampled_from([*ENDED, "more"]),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(),
            st.sampled_from(["running", "completed", PID, TICKS, 1, BOOT]),
            st.lists(st.integers(), max_size=3),
        ),
    ),
    st.booleans(),
)
def test_any_content_gives_a_bounded_record_or_none(path, changes, ended):
    path.write_text(json.dumps((ENDED if ended else RUNNING) | changes))
    found = RunRecords(path.parent, BOOT).find(PID, TICKS, os.geteuid())
    if found is None:
        return
    assert found.job_id == "run-4711-815000-5f3a"
    for text in (found.job_name, found.team, found.model):
        assert len(text) <= 128
        assert text == "" or text.isprintable()
    assert 0 <= found.start_seconds < 2**41
    assert found.end is None or (found.end.state in runfile.ENDED and 0 <= found.end.exit_code <= 255)


@settings(max_examples=300)
@given(st.text(max_size=60))
def test_only_names_that_a_writer_makes_are_names(name):
    process = runfile.process_of(name)
    assert process is None or runfile.file_name(*process) == name


@given(st.integers(0, 2**22), st.integers(0, 2**63))
def test_every_name_that_a_writer_makes_is_one(pid, ticks):
    assert runfile.process_of(runfile.file_name(pid, ticks)) == (pid, ticks)
