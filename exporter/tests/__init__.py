"""The tests of the exporter; a package so that they can share the fake driver."""
