"""What a simulation can be told, as a record and as a line of text."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

GPUS_MAX = 64
SPEED_MAX = 1000.0


@dataclass(frozen=True, slots=True)
class SimulatedOptions:
    """How many GPUs, which world of the many, and how eventful.

    Raises:
        ValueError: a number is out of range; the message names it.
    """

    gpus: int = 4
    seed: int = 1
    faults: bool = False  # XIDs, throttling, a GPU that is lost for some minutes
    speed: float = 1.0  # days pass this much faster; watts, joules and rates stay those of real seconds
    visitors: Path | None = None  # folder in which real processes register: see visitors.py

    def __post_init__(self) -> None:
        if not 0 <= self.gpus <= GPUS_MAX:
            raise ValueError(f"gpus: expected 0 to {GPUS_MAX}, found {self.gpus}")
        if not 0 < self.speed <= SPEED_MAX:
            raise ValueError(f"speed: expected above 0 and up to {SPEED_MAX:g}, found {self.speed:g}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read e.g. `gpus=8,seed=7,faults=on,speed=60`; what is not named keeps its default.

        Raises:
            ValueError: an unknown or repeated key, or a value of the wrong kind; the message names the key.
        """
        given: dict[str, Any] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            key, _, value = part.partition("=")
            if key not in _KINDS:
                raise ValueError(f"{key}: unknown; known are {', '.join(_KINDS)}")
            if key in given:
                raise ValueError(f"{key}: given twice")
            kind, read = _KINDS[key]
            try:
                given[key] = read(value)
            except (ValueError, KeyError):
                raise ValueError(f"{key}: expected {kind}, found {value!r}") from None
        return cls(**given)


_KINDS: dict[str, tuple[str, Callable[[str], object]]] = {
    "gpus": ("a whole number", int),
    "seed": ("a whole number", int),
    "faults": ("on or off", {"on": True, "off": False}.__getitem__),
    "speed": ("a number", float),
    "visitors": ("a folder", Path),
}
