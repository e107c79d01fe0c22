"""NVIDIA GPUs through NVML, the management library that comes with the driver."""

from gputally.node.sources.nvml.source import NvmlSource

__all__ = ["NvmlSource"]
