"""Every exporter that PyPI or Debian offers beside gputally, on the same fake driver."""
