"""Queries to which a sound fleet has no answer: (panel, query) -> why. test_faults.py has the sick one.

test_live.py tries all others, and sees to it that nothing stands here that a sound fleet answers.
"""

ONLY_WITH_FAULTS = {
    ("XIDs and device events", "A"): "no XID has come",
    ("GPUs lost, and why", "B"): "all of them answer",
    ("Memory rows and pages out of use", "D"): "the simulated cards replace rows and retire no pages",
    ("Memory rows and pages out of use", "E"): "as above",
    ("Failed reads", "B"): "no value was rejected",
    ("Agents without a driver", "B"): "all have one",
}
