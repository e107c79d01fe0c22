"""Coarse tiles where they will do, so that a month of a big fleet reads hundreds of series and not thousands.

A coarse tile has lost labels. All choices are asked of it nevertheless: a label that it does not have is the
empty text, which "All" (`.*`) matches and no choice does. So it answers while everything is chosen, and is
silent as soon as somebody chooses among what it has lost; from then on the fine tile is to answer, and is to
be silent before. For that it must not match the choice three times over, which forbids everything while that
is `.*` and otherwise a name that nobody has. A selector that matches nothing costs next to nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from grafana.queries import FINE, FOLDED

from gputally.alerts.recorded import RECORDED
from gputally.report.questions import Measure

_NAMES = frozenset(RECORDED)


def folded(measure: Measure, by: Iterable[str], ask: Callable[[Measure, str], str]) -> str:
    """An expression out of `ask(measure, matchers)`, asked of the coarsest tiles that have the labels."""
    level, _, rest = measure.rule.partition(":")
    for coarse, kept in FOLDED.items():
        name = f"{coarse}:{rest}"
        if level == FINE and set(by) <= set(kept) and name in _NAMES:
            lost = [label for label in ("team", "user", "model") if label not in kept]
            parts = [ask(replace(measure, rule=name), " "), *(ask(measure, _chosen(label)) for label in lost)]
            return f"({' or '.join(parts)})"
    return ask(measure, " ")


def _chosen(label: str) -> str:
    """Nothing as long as all of the label's values are chosen."""
    other = "user" if label == "team" else "team"
    return f'{other}!~"{f"${label}" * 3}"'
