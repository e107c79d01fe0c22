"""Amounts that are not known yet: a query answers NaN, and the panel says in words what is missing.

An empty answer could as well mean that the question was wrong.
"""

from grafana.queries import Json

BLANK: Json = {"options": {"match": "nan", "result": {"index": 0, "text": ""}}, "type": "special"}


def told(body: Json) -> Json:
    """A tile that says for NaN what it says where there is no data at all."""
    defaults = body["fieldConfig"]["defaults"]
    words = {"match": "nan", "result": {"color": "text", "index": 0, "text": defaults["noValue"]}}
    mappings = [*defaults["mappings"], {"options": words, "type": "special"}]
    return body | {"fieldConfig": body["fieldConfig"] | {"defaults": defaults | {"mappings": mappings}}}
