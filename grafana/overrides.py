"""What is said of some of a panel's fields: of a query's, or of those whose names are alike."""

from collections.abc import Sequence

from grafana.queries import Json

# One colour a GPU, the same in every panel of a page; the first two are told apart by every eye.
GPU_COLORS = ("blue", "orange", "green", "purple", "yellow", "red", "light-blue", "dark-orange")
_NOT_IN_LEGEND: Json = {"custom.hideFrom": {"legend": True, "tooltip": False, "viz": False}}


def of_query(letter: str, properties: Json) -> Json:
    """What holds for all that the query of this letter brings, whatever its labels."""
    return {
        "matcher": {"id": "byFrameRefID", "options": letter},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }


def dashed(letter: str, color: str = "") -> Json:
    """Peaks and limits: not filled; in the colour of what they stand beside not named again."""
    style: Json = {"custom.fillOpacity": 0, "custom.lineStyle": {"dash": [6, 6], "fill": "dash"}}
    if color:
        return of_query(letter, style | {"color": {"fixedColor": color, "mode": "fixed"}})
    return of_query(letter, style | _NOT_IN_LEGEND)


def downward(letter: str, *, named: bool = True) -> Json:
    """What goes out below the axis, what comes in above; `named`: in the legend too."""
    properties: Json = {"custom.transform": "negative-Y"}
    return of_query(letter, properties if named else properties | _NOT_IN_LEGEND)


def by_gpu() -> list[Json]:
    """A colour for each GPU, whatever else stands behind `GPU 0` in the name; the ninth is on its own."""
    return [
        {
            "matcher": {"id": "byRegexp", "options": f"/^GPU {number}( |$)/"},
            "properties": [
                {"id": "color", "value": {"fixedColor": color, "mode": "fixed"}},
                {"id": "custom.fillOpacity", "value": 0},  # eight on top of each other are brown
            ],
        }
        for number, color in enumerate(GPU_COLORS)
    ]


def overridden(body: Json, overrides: Sequence[Json]) -> Json:
    """The panel with more to say of some of its fields; later ones win."""
    config = body["fieldConfig"]
    return body | {"fieldConfig": config | {"overrides": [*config["overrides"], *overrides]}}
