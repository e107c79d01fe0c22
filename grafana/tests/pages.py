"""Queries of a page by the titles of its panels and columns, and the words in which a value is said."""

from grafana.tests.conftest import Json, panels, targets


def panel_of(page: Json, title: str) -> Json:
    """The one panel of this title."""
    (found,) = (panel for panel in panels(page) if panel["title"] == title)
    return found


def query_of(page: Json, title: str, letter: str = "A") -> str:
    """A query by its letter."""
    (found,) = (
        target["expr"]
        for panel, target in targets(page)
        if (panel["title"], target["refId"]) == (title, letter)
    )
    return str(found)


def column_of(page: Json, title: str, column: str) -> str:
    """The query behind a column of a table."""
    steps = panel_of(page, title)["transformations"]
    (organize,) = (step["options"] for step in steps if step["id"] == "organize")
    (field,) = (field for field, name in organize["renameByName"].items() if name == column)
    return query_of(page, title, field.partition("#")[2] or "A")


def said(page: Json, title: str, value: float) -> str:
    """What a column or a tile shows instead of this number."""
    config = panel_of(page, title)["fieldConfig"]
    groups = [config["defaults"]["mappings"]] + [
        one["value"]
        for override in config["overrides"]
        for one in override["properties"]
        if one["id"] == "mappings"
    ]
    texts = [mapping["options"] for group in groups for mapping in group]
    (found,) = {one[f"{value:.0f}"]["text"] for one in texts if f"{value:.0f}" in one}
    return str(found)
