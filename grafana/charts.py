"""What is neither a line nor a table: bars over categories, sentences, tiles of numbers, states."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grafana.overrides import of_query
from grafana.panels import Look, panel, stat, thresholds
from grafana.queries import Json
from grafana.transformations import computed, hidden


@dataclass(frozen=True)
class Part:
    """One number of several in a tile; how it looks where that is not as the tile."""

    target: Json
    look: Look | None = None
    mappings: tuple[Json, ...] = ()


@dataclass(frozen=True)
class Lettering:
    """What a tile writes, as large as fits into its line: `value`, `name`, or both."""

    mode: str
    size: int = 16


BOTH = Lettering("value_and_name")


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


def tile(
    title: str,
    description: str,
    parts: Sequence[Part],
    look: Look,
    lettering: Lettering = BOTH,
) -> Json:
    """A few numbers below each other, each with its name and, in its background, how it came to be."""
    lettered = [(chr(ord("A") + place), part) for place, part in enumerate(parts)]
    return panel(
        "stat",
        title,
        description,
        [part.target for part in parts],
        fieldConfig={
            "defaults": look.defaults("thresholds", noValue=look.missing),
            "overrides": [
                of_query(letter, own) for letter, part in lettered if (own := _differences(part, look))
            ],
        },
        options={
            "colorMode": "value",
            "graphMode": "area" if look.sparkline else "none",
            "justifyMode": "auto",
            "orientation": "horizontal",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "text": {"titleSize": 12, "valueSize": lettering.size},
            "textMode": lettering.mode,
        },
    )


def beside(title: str, description: str, parts: Sequence[Part], look: Look) -> Json:
    """The same numbers next to each other, as large as there is room."""
    body = tile(title, description, parts, look)
    options = {name: value for name, value in body["options"].items() if name != "text"}
    return body | {"options": options | {"orientation": "vertical"}}


def named(
    title: str, description: str, targets: Sequence[Json], *, missing: str = "not known", size: int = 16
) -> Json:
    """What the legends say, in words; the values are not shown."""
    look = Look("none", sparkline=False, missing=missing)
    return tile(title, description, [Part(target) for target in targets], look, Lettering("name", size))


def _differences(part: Part, common: Look) -> Json:
    own = part.look or common
    properties: Json = {"mappings": list(part.mappings)} if part.mappings else {}
    if own.unit != common.unit:
        properties["unit"] = own.unit
    if own.steps != common.steps:
        properties["thresholds"] = thresholds(own.steps)
    if own.decimals != common.decimals:
        properties["decimals"] = own.decimals
    if (own.minimum, own.maximum) != (common.minimum, common.maximum):
        properties |= {"min": own.minimum, "max": own.maximum}
    return properties


def state_timeline(
    title: str, description: str, targets: Sequence[Json], look: Look, mappings: Sequence[Json]
) -> Json:
    """A bar for each series, from left to right: a word on a colour for as long as it holds."""
    return panel(
        "state-timeline",
        title,
        description,
        targets,
        fieldConfig={
            "defaults": look.defaults("thresholds", custom={"fillOpacity": 70, "lineWidth": 0})
            | {"mappings": list(mappings)},
            "overrides": [],
        },
        options={
            "alignValue": "left",
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "mergeValues": True,
            "rowHeight": 0.85,
            "showValue": "auto",
            "tooltip": {"mode": "single", "sort": "none"},
        },
    )
