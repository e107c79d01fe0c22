"""Budgets as the site agent publishes them: credit, period, and what is known of cost without Prometheus."""
