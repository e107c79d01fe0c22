"""Runs agent, Prometheus, Alertmanager and Grafana together, as processes of one person on one machine."""
