"""Fixtures of the tests in this folder."""

from tests.slurm.fixtures import slurm, unified_slurm

__all__ = ["slurm", "unified_slurm"]
