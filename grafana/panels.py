"""Panels as Grafana's classic JSON (schema 37): dictionaries out, their places left to the page.

Every panel has a title, a description and a unit; Grafana 12 needs `custom` even where it is empty.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grafana.queries import DATASOURCE, Json

Steps = Sequence[tuple[float | None, str]]

PLAIN: Steps = ((None, "text"),)
LOST: Steps = ((None, "green"), (1, "red"))


def thresholds(steps: Steps) -> Json:
    """Colours from a value upward; the first step has no value."""
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in steps]}


def panel(kind: str, title: str, description: str, targets: Sequence[Json], **more: Any) -> Json:  # noqa: ANN401 - JSON
    """What all panels share. Queries are lettered A, B, C, ... in their order.

    A rate of one moment is of the shortest interval that there is, however long the page's range: Grafana
    makes $__rate_interval from the number of points that it believes to draw.
    """
    if any(target["instant"] and "$__rate_interval" in target["expr"] for target in targets):
        more["maxDataPoints"] = 100_000
    return {
        "datasource": DATASOURCE,
        "description": description,
        "targets": [{**target, "refId": chr(ord("A") + number)} for number, target in enumerate(targets)],
        "title": title,
        "type": kind,
        **more,
    }


@dataclass(frozen=True)
class Look:
    """How values are shown: their unit, their colours and the range that an axis or bar spans."""

    unit: str
    steps: Steps = PLAIN
    decimals: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    sparkline: bool = True  # stat: how the number came to be
    missing: str = "no data"  # stat: what stands where there is no number
    stacked: bool = False  # timeseries
    crowded: bool = False  # timeseries: one line a GPU; names in the tooltip, no legend, no filling
    hourly: bool = False  # timeseries: bars, of hourly tiles, so no closer than an hour
    stepped: bool = False  # timeseries: holds until the next sample, as a price does
    colors: Mapping[str, str] = field(default_factory=dict)  # timeseries: legend -> colour

    def defaults(self, color_mode: str, **more: Any) -> Json:  # noqa: ANN401 - JSON
        """The part of a panel's field configuration that holds for every field."""
        optional = {"decimals": self.decimals, "max": self.maximum, "min": self.minimum}
        return {
            "color": {"mode": color_mode},
            "custom": {},
            "mappings": [],
            "thresholds": thresholds(self.steps),
            "unit": self.unit,
            **{name: value for name, value in optional.items() if value is not None},
            **more,
        }


def stat(title: str, description: str, target: Json, look: Look, *, named: bool = False) -> Json:
    """One big number, and how it came to be in the background; `named`: with its legend."""
    return panel(
        "stat",
        title,
        description,
        [target],
        fieldConfig={"defaults": look.defaults("thresholds", noValue=look.missing), "overrides": []},
        options={
            "colorMode": "value",
            "graphMode": "area" if look.sparkline else "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "value_and_name" if named else "value",
        },
    )


def timeseries(title: str, description: str, targets: Sequence[Json], look: Look) -> Json:
    """Lines over time, or areas on top of each other."""
    custom: Json = {
        "axisCenteredZero": False,
        "axisColorMode": "text",
        "axisLabel": "",
        "axisPlacement": "auto",
        "barAlignment": -1 if look.hourly else 0,  # a tile is about the time before it
        "drawStyle": "bars" if look.hourly else "line",
        "fillOpacity": 70 if look.hourly else 35 if look.stacked else 0 if look.crowded else 8,
        "gradientMode": "none",
        "hideFrom": {"legend": False, "tooltip": False, "viz": False},
        "lineInterpolation": "stepAfter" if look.stepped else "linear",
        "lineWidth": 1,
        "pointSize": 4,
        "scaleDistribution": {"type": "linear"},
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if look.stacked else "none"},
        "thresholdsStyle": {"mode": "off"},
    }
    return panel(
        "timeseries",
        title,
        description,
        targets,
        fieldConfig={
            "defaults": look.defaults("palette-classic", custom=custom),
            "overrides": [
                override(legend, {"color": {"fixedColor": color, "mode": "fixed"}})
                for legend, color in look.colors.items()
            ],
        },
        options={
            "legend": {
                "calcs": [],
                "displayMode": "list",
                "placement": "bottom",
                "showLegend": not look.crowded,
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        **({"interval": "1h", "maxDataPoints": 100} if look.hourly else {}),
    )


def override(name: str, properties: Json) -> Json:
    """What holds for the one field of this name."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }


def linked(body: Json, *to: Json) -> Json:
    """The panel, of which every number leads to another page, or lets choose among some."""
    config = body["fieldConfig"]
    return body | {"fieldConfig": config | {"defaults": config["defaults"] | {"links": list(to)}}}


def row(title: str, *, repeat: str = "") -> Json:
    """A heading across the page; with what follows it, once for each chosen value of variable `repeat`."""
    body: Json = {"collapsed": False, "panels": [], "title": title, "type": "row"}
    return body | {"repeat": repeat} if repeat else body
