"""What is neither a line nor a table: bars over categories, a sentence on a ground, a number out of two."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana.panels import Look, panel, stat
from grafana.queries import Json
from grafana.transformations import computed, hidden


@dataclass(frozen=True)
class Bars:
    """Which fields of the answer are shown, and after which transformations."""

    names: Mapping[str, str]  # field -> what it is called: the category first, then its amount
    without: Sequence[str] = ()  # the other fields
    steps: Sequence[Json] = ()
    horizontal: bool = False


def bars(title: str, description: str, targets: Sequence[Json], look: Look, shown: Bars) -> Json:
    """One bar for each row."""
    category = next(iter(shown.names.values()))
    organize = {
        "excludeByName": dict.fromkeys(("Time", *shown.without), True),
        "indexByName": {field: place for place, field in enumerate(shown.names)},
        "renameByName": dict(shown.names),
    }
    custom: Json = {
        "axisCenteredZero": False,
        "axisColorMode": "text",
        "axisLabel": "",
        "axisPlacement": "auto",
        "fillOpacity": 70,
        "gradientMode": "none",
        "hideFrom": {"legend": False, "tooltip": False, "viz": False},
        "lineWidth": 1,
        "scaleDistribution": {"type": "linear"},
        "thresholdsStyle": {"mode": "off"},
    }
    return panel(
        "barchart",
        title,
        description,
        targets,
        fieldConfig={"defaults": look.defaults("thresholds", custom=custom), "overrides": []},
        options={
            "barRadius": 0,
            "barWidth": 0.9,
            "fullHighlight": False,
            "groupWidth": 0.8,
            "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": False},
            "orientation": "horizontal" if shown.horizontal else "vertical",
            "showValue": "auto",
            "stacking": "none",
            "tooltip": {"mode": "single", "sort": "none"},
            "xField": category,
            "xTickLabelRotation": 0 if shown.horizontal else -45,
            "xTickLabelSpacing": 0,
        },
        transformations=[*shown.steps, {"id": "organize", "options": organize}],
    )


def made_of(title: str, description: str, parts: tuple[Json, str, Json], look: Look) -> Json:
    """One big number out of two: a query, an operator, a query; both need a legend."""
    left, operator, right = parts
    names = (left["legendFormat"], right["legendFormat"])
    body = stat(title, description, left, look)
    return body | {
        "targets": [*body["targets"], {**right, "refId": "B"}],
        "transformations": [computed(title, names[0], operator, names[1]), hidden(*names)],
    }


def banner(title: str, description: str, target: Json, look: Look, mappings: Sequence[Json]) -> Json:
    """A sentence on a coloured ground, chosen by the value."""
    return panel(
        "stat",
        title,
        description,
        [target],
        fieldConfig={
            "defaults": look.defaults("thresholds", noValue=look.missing) | {"mappings": list(mappings)},
            "overrides": [],
        },
        options={
            "colorMode": "background",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "text": {"valueSize": 18},
            "textMode": "value",
        },
    )
