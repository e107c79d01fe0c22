"""Every metric family as one typed row: name, type, unit, labels, help, source, since."""
