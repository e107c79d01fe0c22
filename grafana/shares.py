"""Who has which part of it: rings of the few with most, the others, and what is nobody's."""

from grafana.ledger import most, named, total
from grafana.overtime import GREYS
from grafana.panels import Look, override, panel
from grafana.queries import Json, instant

from gputally.report.questions import Measure

_FEW = 8  # whose names fit beside it


def ring(title: str, description: str, measure: Measure, label: str, nobodys: Measure | None = None) -> Json:
    """Parts of a whole, the names and percentages beside them: colours alone tell nothing."""
    few = most(measure, label, few=_FEW)
    rest = f"clamp_min(sum({total(measure)}) - sum({few}), 0)"
    parts = [instant(named(few, label), f"{{{{{label}}}}}"), instant(rest, "others")]
    if nobodys:
        parts.append(instant(total(nobodys), "nobody's"))
    return panel(
        "piechart",
        title,
        f"{description} More than {_FEW}: those with most, and the others together.",
        parts,
        fieldConfig={
            "defaults": _UNITS[measure.column].defaults("palette-classic"),
            "overrides": [
                override(part["legendFormat"], {"color": {"fixedColor": color, "mode": "fixed"}})
                for part in parts
                if (color := GREYS.get(part["legendFormat"]))
            ],
        },
        options={
            "displayLabels": [],
            "legend": {
                "calcs": [],
                "displayMode": "table",
                "placement": "right",
                "showLegend": True,
                "values": ["percent"],
            },
            "pieType": "donut",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "tooltip": {"mode": "single", "sort": "none"},
        },
    )


_UNITS = {
    "cost": Look("none", decimals=2),
    "kwh": Look("kwatth", decimals=1),
    "gpu_hours": Look("none", decimals=1),
}
