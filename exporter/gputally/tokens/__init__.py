"""Who may write to a central store and who may read what, from a file without secrets to vmauth's own."""
