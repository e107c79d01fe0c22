"""GPUs that are not there, for demonstrations and tests; must be asked for, and say so in their names."""

from gputally.node.sources.simulated.jobs import SimulatedJob
from gputally.node.sources.simulated.source import SimulatedFault, SimulatedSource

__all__ = ["SimulatedFault", "SimulatedJob", "SimulatedSource"]
