"""Many machines that are one: pages of a real agent under many names, their past, what they declare."""
