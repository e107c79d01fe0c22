"""gputally meters GPUs: joules, busy seconds and cost, as Prometheus counters that stay right."""

__version__ = "0.1.0"
