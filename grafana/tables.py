"""Tables: one row a thing, one query a column, joined on the labels that the queries share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana.panels import Look, override, panel, thresholds
from grafana.queries import Json, rows
from grafana.transformations import MERGED, computed, drop_without

# How a cell is drawn: Grafana 9's word, and since Grafana 10 the options that it is migrated to.
PLAIN_NUMBER = Look("short")
_CELLS: dict[str, Json] = {
    "basic": {"mode": "basic", "type": "gauge"},
    "lcd-gauge": {"mode": "lcd", "type": "gauge"},
    "color-text": {"type": "color-text"},
}


# Grafana 9's word for a column that is there and not drawn, and that of Grafana 12.
_UNSEEN: Json = {
    "custom.hidden": True,
    "custom.hideFrom": {"legend": False, "tooltip": False, "viz": True},
}
# Of a division by nothing: an empty cell.
NO_NUMBER: Json = {"options": {"match": "nan", "result": {"index": 0, "text": ""}}, "type": "special"}
_UNDEFINED: tuple[Json, ...] = (
    NO_NUMBER,
    {"options": {"from": 1e15, "result": {"index": 1, "text": ""}, "to": None}, "type": "range"},
)


@dataclass(frozen=True)
class Column:
    """One column: a label that queries bring, or a query's value, or what two other columns make."""

    title: str
    name: str = ""  # the label
    expr: str = ""  # or the query, of which the value is shown
    made_of: tuple[str, str, str] | None = None  # or the title of a column, an operator, another title
    look: Look = PLAIN_NUMBER
    cell: str = ""  # basic | lcd-gauge | color-text
    width: int | None = None
    mappings: tuple[Json, ...] = ()
    hidden: bool = False  # a query that only brings labels, or a label that only joins
    link: Json | None = None  # where a click on the cell leads
    needed: bool = False  # rows without a value here are left out
    unseen: bool = False  # there for links of other columns, and not drawn
    filtered: bool = False  # with a choice of its values in the header


def joined(*labels: str) -> list[Column]:
    """Labels on which queries are joined, and which nobody reads."""
    return [Column(label, name=label, hidden=True) for label in labels]


def table(
    title: str,
    description: str,
    columns: Sequence[Column],
    *,
    sort: Sequence[str] = (),
    descending: bool = False,
) -> Json:
    """One row for each set of labels; columns stand in the order given, everything else is hidden."""
    queried = [column for column in columns if column.expr]
    fields: dict[str, Column] = {}
    for column in columns:
        here = column.title if column.made_of else column.name
        fields[here or _value_field(queried.index(column), len(queried))] = column
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
                "thresholds",
                custom={"align": "auto", "filterable": False, "inspect": False},
            ),
            "overrides": [_override(column) for column in columns if not column.hidden],
        },
        options={
            "footer": {"countRows": False, "fields": "", "reducer": ["sum"], "show": False},
            "showHeader": True,
            "sortBy": [{"desc": descending, "displayName": title} for title in sort],
        },
        transformations=[
            MERGED,
            *[drop_without(field) for field, column in fields.items() if column.needed],
            *[_made(column, fields) for column in columns if column.made_of],
            {"id": "organize", "options": organize},
        ],
    )


def _made(column: Column, fields: Mapping[str, Column]) -> Json:
    if column.made_of is None:
        raise ValueError(f"{column.title} is made of nothing")
    by_title = {other.title: field for field, other in fields.items() if other.expr}
    left, operator, right = column.made_of
    # What has no query is a number, or computed before.
    return computed(column.title, by_title.get(left, left), operator, by_title.get(right, right))


def paged(body: Json) -> Json:
    """The table with as many rows as fit and a page number below: for a thousand rows."""
    options = body["options"]
    return body | {"options": options | {"footer": options["footer"] | {"enablePagination": True}}}


def or_said(body: Json, missing: str) -> Json:
    """The table, in whose place these words stand while it has no row; a cell without a value stays empty."""
    config = body["fieldConfig"]
    cells = [
        {**column, "properties": [*column["properties"], {"id": "noValue", "value": ""}]}
        for column in config["overrides"]
    ]
    return body | {"fieldConfig": {"defaults": config["defaults"] | {"noValue": missing}, "overrides": cells}}


def words(texts: Mapping[str, tuple[str, str]]) -> Json:
    """A mapping of values to (text, colour)."""
    return {
        "options": {
            value: {"color": color, "index": place, "text": text}
            for place, (value, (text, color)) in enumerate(texts.items())
        },
        "type": "value",
    }


def link(uid: str, title: str, **variables: str) -> Json:
    """To another page about the same time and clusters; by default variables take the cell's own text."""
    chosen = "".join(f"&var-{name}={value or '${__value.raw}'}" for name, value in variables.items())
    return {
        "targetBlank": False,
        "title": title,
        "url": f"/d/{uid}?${{__url_time_range}}&${{datasource:queryparam}}&${{cluster:queryparam}}{chosen}",
    }


def to_machine(title: str = "This machine") -> Json:
    """From a column of machines to the live page."""
    return link("gputally-gpu", title, instance="")


def to_gpu(title: str = "This GPU") -> Json:
    """The same from a column of GPUs, beside one that is called Machine."""
    return link("gputally-gpu", title, instance="${__data.fields.Machine}", gpu="")


def _value_field(number: int, queries: int) -> str:
    """What Grafana calls the value of the n-th query once several are merged."""
    return f"Value #{chr(ord('A') + number)}" if queries > 1 else "Value"


def _override(column: Column) -> Json:
    look = column.look
    mappings = [*column.mappings, *(_UNDEFINED if column.made_of else ())]
    properties: Json = {
        "decimals": look.decimals,
        "min": look.minimum,
        "max": look.maximum,
        "mappings": mappings or None,
        "custom.width": column.width,
        "links": [column.link] if column.link else None,
    }
    if column.name:
        properties["unit"] = "string"  # else a name of digits, such as a job's, is shown as an amount
    else:
        properties |= {"unit": look.unit, "thresholds": thresholds(look.steps)}
    if column.unseen:
        properties |= _UNSEEN
    if column.filtered:
        properties["custom.filterable"] = True
    if column.cell:
        properties |= {"custom.displayMode": column.cell, "custom.cellOptions": _CELLS[column.cell]}
    return override(
        column.title, {name: value for name, value in sorted(properties.items()) if value is not None}
    )
