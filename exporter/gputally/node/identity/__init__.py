"""Who a process works for: scheduler records, cgroups, units, wrapped commands, owners; in order of trust."""
