"""Rows as text, for people and for programs. Knows no report, no offer and no agent."""
