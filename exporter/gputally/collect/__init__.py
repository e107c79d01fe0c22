"""Snapshot x catalogue -> the text of a scrape. No driver, no clock, no state."""
