"""JSON that nobody has written: values of every wrong kind, at every place of a document."""

import copy
import json
from collections.abc import Iterator
from typing import Any

from tests.node.attribution.bookrig import Rig, series, share, sighting

NONSENSE = (
    None,
    -1,
    1.5,
    float("nan"),
    float("inf"),
    True,
    1 << 62,
    10**400,
    "",
    "x",
    [],
    {},
    [None],
    [-1],
    {"": -1},
)


def paths(data: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON document."""
    children = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in children:
        yield (*here, key)
        yield from paths(value, (*here, key))


def changed(data: Any, path: tuple[Any, ...], value: object) -> Any:
    """The document with another value in one place."""
    whole = copy.deepcopy(data)
    at = whole
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return whole


def without(data: Any, path: tuple[Any, ...]) -> Any:
    """The document without one place."""
    whole = copy.deepcopy(data)
    at = whole
    for key in path[:-1]:
        at = at[key]
    del at[path[-1]]
    return whole


def meters_on(rig: Rig) -> None:
    """A tick more: nothing raises, nothing is negative, and what is saved can be read again."""
    rig.tick(sighting("1"), sighting("9"), shares={"GPU-a": [share("1", 5), share("9", 1), share(None, 2)]})
    assert min(series(rig.ledger).values()) >= 0
    assert all(row.start_seconds >= 0 and (row.end_seconds or 0) >= 0 for row in rig.ledger.jobs)
    assert all((row.end_seconds is None) == (row.state == "running") for row in rig.ledger.jobs)
    json.dumps(rig.book.to_json(), allow_nan=False)
    assert "not usable" not in rig.restart()[0]
