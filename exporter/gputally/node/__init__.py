"""The agent of a GPU node: workers read, the sampler integrates and publishes."""
