"""The web front: one thread that answers scrapes from bytes rendered before, whoever else is knocking."""
