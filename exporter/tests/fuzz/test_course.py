"""What libFuzzer prints is understood: figures, a finding and where its input lies, an end without a word."""

from tests.fuzz.__main__ import Course, course_of

LINES = """\
INFO: seed corpus: files: 3 min: 3b max: 90b total: 130b rss: 40Mb
#4\tINITED cov: 66 ft: 80 corp: 3/130b exec/s: 0 rss: 48Mb
#812\tNEW    cov: 71 ft: 95 corp: 9/455b lim: 64 exec/s: 400 rss: 49Mb L: 50/90 MS: 1 EraseBytes-
#28255\tDONE   cov: 84 ft: 190 corp: 17/812b lim: 128 exec/s: 5651 rss: 51Mb
"""
FOUND = """

 === Uncaught Python exception: ===
RuntimeError: boom
Traceback (most recent call last):
  File "parser.py", line 3, in parse
RuntimeError: boom

==14001== ERROR: libFuzzer: fuzz target exited
artifact_prefix='x/'; Test unit written to x/crash-a999
"""


def test_a_course_without_a_finding():
    assert course_of(LINES, failed=False) == Course(28255, 66, 84, 17)


def test_a_finding_is_told_with_its_trace_and_its_input():
    finding = course_of(LINES + FOUND, failed=True).finding.splitlines()
    assert (finding[0], finding[-1]) == ("RuntimeError: boom", "Test unit written to x/crash-a999")


def test_an_end_without_a_trace_is_a_finding_too():
    assert course_of("ALARM: working on the last Unit for 11 seconds", failed=True).finding.startswith(
        "ALARM"
    )
