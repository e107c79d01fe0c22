"""Readings from the program nvidia-smi, for machines where the driver's library cannot be used directly."""

from gputally.node.sources.nvidia_smi.source import NvidiaSmiSource

__all__ = ["NvidiaSmiSource"]
