"""Many machines that are one: the pages of a real agent under many names, their past, and what they declare."""
