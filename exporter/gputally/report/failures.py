"""Why there is no report: one line each, for a person."""


class ReportError(Exception):
    """Something that stands between the question and the answer: exit status 1."""


class WrongQuestion(ReportError):
    """A question that has no answer, whatever Prometheus holds: exit status 2."""


class TooMuch(ReportError):
    """More than Prometheus computes, or than we read, at once; a shorter range may do."""
