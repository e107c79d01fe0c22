"""A fake libnvidia-ml.so.1 that the real pynvml loads, and the controls of its GPUs (see README.md)."""

from .build import build
from .control import FakeNvml
from .gpu import FakeGpu
from .records import Instance, Link, Process, Rate
from .waveform import Constant, Sine, Square, energy_mj

__all__ = [
    "Constant",
    "FakeGpu",
    "FakeNvml",
    "Instance",
    "Link",
    "Process",
    "Rate",
    "Sine",
    "Square",
    "build",
    "energy_mj",
]
