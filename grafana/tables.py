"""Tables: one row a thing, one query a column, joined on the labels that the queries share."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana.panels import Look, override, panel, thresholds
from grafana.queries import Json, rows

# How a cell is drawn: Grafana 9's word, and since Grafana 10 the options that it is migrated to.
PLAIN_NUMBER = Look("short")
_CELLS: dict[str, Json] = {
    "basic": {"mode": "basic", "type": "gauge"},
    "lcd-gauge": {"mode": "lcd", "type": "gauge"},
    "color-text": {"type": "color-text"},
}


@dataclass(frozen=True)
class Column:
    """One column. Without a query it shows the label `name`, which other queries bring."""

    title: str
    name: str = ""  # the label
    expr: str = ""  # or the query, of which the value is shown
    look: Look = PLAIN_NUMBER
    cell: str = ""  # basic | lcd-gauge | color-text
    width: int | None = None
    mappings: tuple[Json, ...] = ()
    hidden: bool = False  # a query that only brings labels, or a label that only joins


def table(title: str, description: str, columns: Sequence[Column], *, sort: Sequence[str] = ()) -> Json:
    """One row for each set of labels; columns stand in the order given, everything else is hidden."""
    queried = [column for column in columns if column.expr]
    fields = {column.name or _value_field(queried.index(column), len(queried)): column for column in columns}
    organize = {
        "excludeByName": {"Time": True} | {field: True for field, column in fields.items() if column.hidden},
        "indexByName": {field: place for place, field in enumerate(fields)},
        "renameByName": {field: column.title for field, column in fields.items() if not column.hidden},
    }
    return panel(
        "table",
        title,
        description,
        [rows(column.expr) for column in queried],
        fieldConfig={
            "defaults": PLAIN_NUMBER.defaults(
                "thresholds", custom={"align": "auto", "filterable": False, "inspect": False}
            ),
            "overrides": [_override(column) for column in columns if not column.hidden],
        },
        options={
            "footer": {"countRows": False, "fields": "", "reducer": ["sum"], "show": False},
            "showHeader": True,
            "sortBy": [{"desc": False, "displayName": title} for title in sort],
        },
        transformations=[
            {"id": "merge", "options": {}},
            {"id": "organize", "options": organize},
        ],
    )


def _value_field(number: int, queries: int) -> str:
    """What Grafana calls the value of the n-th query once several are merged."""
    return f"Value #{chr(ord('A') + number)}" if queries > 1 else "Value"


def _override(column: Column) -> Json:
    look = column.look
    properties: Json = {
        "decimals": look.decimals,
        "min": look.minimum,
        "max": look.maximum,
        "mappings": list(column.mappings) or None,
        "custom.width": column.width,
    }
    if not column.expr:
        properties["unit"] = "string"  # else a name of digits, such as a job's, is shown as an amount
    else:
        properties |= {"unit": look.unit, "thresholds": thresholds(look.steps)}
    if column.cell:
        properties |= {"custom.displayMode": column.cell, "custom.cellOptions": _CELLS[column.cell]}
    return override(
        column.title, {name: value for name, value in sorted(properties.items()) if value is not None}
    )
