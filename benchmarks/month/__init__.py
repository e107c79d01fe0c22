"""A month of a fleet: made up, written into a real Prometheus, and asked."""
