"""Flags and environment become a Settings record; agents are built, signalled and ended here."""
