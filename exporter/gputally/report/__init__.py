"""Reports: what was used, what it cost, what was wasted, asked of Prometheus and laid out in tables.

The figures are those of the dashboards, because the questions are (`questions`). Amounts are Decimal from the
answer to the page, added unrounded, and rounded once, where they are written (`shown`).
"""
