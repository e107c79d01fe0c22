"""Fixtures that every test of the exporter may use."""

from tests.fakenvml.plugin import fake_nvml, fake_nvml_library

__all__ = ["fake_nvml", "fake_nvml_library"]
