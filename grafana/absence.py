"""What a panel says where a card, a driver or an agent tells nothing: a word, and never a calm 0.

Prometheus leaves out what is not measured. A query that has to say so brings this number instead, and a
mapping makes a word of it; nothing that is counted or measured comes to it.
"""

from collections.abc import Sequence

from grafana.panels import Look, stat
from grafana.queries import Json, instant
from grafana.tables import words

ABSENT = -999
GPU_KEYS = "cluster, instance, gpu, uuid"


def or_absent(expression: str, by: str = "") -> str:
    """The expression; where there is a GPU and it is empty, the number that stands for a word."""
    gpus = f"group by ({by}) (gpu_up{{}})" if by else "group(gpu_up{})"
    return f"{expression} or {ABSENT} * {gpus}"


def said(word: str) -> Json:
    """The mapping that says it."""
    return words({str(ABSENT): (word, "text")})


def how_many(bad: Sequence[str], told: Sequence[str]) -> str:
    """GPUs of which one of the conditions holds; 0 only where one of the series is there that would tell."""
    return f"count({' or '.join(bad)}) or 0 * group({' or '.join(told)})"


def tile(title: str, description: str, expression: str, look: Look, word: str) -> Json:
    """One number, or the word."""
    body = stat(title, description, instant(or_absent(expression), title.lower()), look)
    body["fieldConfig"]["defaults"]["mappings"] = [said(word)]
    return body
