"""Temperatures of CPU packages, from /sys."""

from pathlib import Path

# Driver -> its labels for the whole package, best first: Tctl may carry an offset for the fans, Tdie not.
_SENSOR_DRIVERS = {
    "coretemp": ("Package id", "Physical id"),
    "k10temp": ("Tdie", "Tctl"),
    "zenpower": ("Tdie",),
}
_LOOK_AGAIN = 60  # reads until sensors are looked for again where there were none


class Sensors:
    """Temperatures of the CPU packages, from the drivers that know them (hwmon sysfs interface)."""

    def __init__(self, sys_root: Path) -> None:
        self._root = sys_root / "class/hwmon"
        self._inputs: dict[str, Path] = {}
        self._wait = 0

    def read(self) -> dict[str, float]:
        """Degrees Celsius by package. Raises FileNotFoundError where no package has a sensor."""
        if not self._inputs:
            self._wait -= 1
            if self._wait <= 0:
                self._inputs, self._wait = _find_sensors(self._root), _LOOK_AGAIN
        if not self._inputs:
            raise FileNotFoundError(2, "no CPU temperature sensor", str(self._root))
        try:
            degrees = {name: int(path.read_bytes()) / 1000 for name, path in self._inputs.items()}
        except OSError:
            self._inputs = {}
            raise
        return {name: value for name, value in degrees.items() if -50 < value < 150}


def _find_sensors(root: Path) -> dict[str, Path]:
    inputs: dict[str, Path] = {}
    for chip in sorted(root.iterdir(), key=lambda path: path.resolve()):  # packages in the order of the bus
        wanted = _SENSOR_DRIVERS.get(_text(chip / "name"), ())
        sensors = [(_text(path), path) for path in sorted(chip.glob("temp*_label"))] if wanted else []
        for start in wanted:
            found = [path for text, path in sensors if text.startswith(start)]
            for path in found:
                inputs[f"package-{len(inputs)}"] = path.with_name(path.name.replace("label", "input"))
            if found:
                break
    return inputs


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
