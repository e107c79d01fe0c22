"""What a panel does with the answers before it shows them. All of these Grafana 9.4 has, too."""

from grafana.queries import Json

MERGED: Json = {"id": "merge", "options": {}}


def computed(name: str, left: str, operator: str, right: str) -> Json:
    """A field out of two others, so that each amount is asked for once, however many fields need it."""
    binary = {"left": left, "operator": operator, "reducer": "sum", "right": right}
    options = {"alias": name, "binary": binary, "mode": "binary", "reduce": {"reducer": "sum"}}
    return {"id": "calculateField", "options": {**options, "replaceFields": False}}


def hidden(*fields: str) -> Json:
    """Without these fields."""
    options = {"excludeByName": dict.fromkeys(fields, True), "indexByName": {}, "renameByName": {}}
    return {"id": "organize", "options": options}


def drop_without(field: str) -> Json:
    """Without rows in which this field is empty."""
    empty = {"config": {"id": "isNull", "options": {}}, "fieldName": field}
    return {"id": "filterByValue", "options": {"filters": [empty], "match": "any", "type": "exclude"}}


def sort_by(field: str, *, descending: bool = False) -> Json:
    """Rows in order."""
    return {"id": "sortBy", "options": {"fields": {}, "sort": [{"desc": descending, "field": field}]}}


def first(count: int) -> Json:
    """Without all rows but the first."""
    return {"id": "limit", "options": {"limitField": count}}
