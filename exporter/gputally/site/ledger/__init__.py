"""The ledger of what was imported: bills of clouds, and jobs that ran elsewhere."""
