"""Levels of recording rules: the first part of their names, and the labels that stand for it."""

# What a level keeps; None keeps all that the target is labelled with.
LEVELS = {
    "gpu": None,
    "instance": None,
    "instance_uuid": ("cluster", "instance", "uuid"),
    "uuid": ("cluster", "uuid"),
    "job_id": ("cluster", "job_id"),
    "job_id_names": ("cluster", "job_id", "user", "team", "job_name", "model", "scheduler"),
    "team_user_model": ("cluster", "team", "user", "model"),
    "consumer": ("cluster", "team", "user"),
    "team": ("cluster", "team"),
    "host": ("cluster", "instance"),
    "host_team": ("cluster", "instance", "team"),
    "model": ("cluster", "model"),
    "cluster": ("cluster",),
    "provider": ("cluster", "provider"),
    "offer": ("cluster", "provider", "card", "price_tier", "host_tier", "region"),
    "card_provider": ("cluster", "card", "provider", "price_tier", "host_tier"),
    "card": ("cluster", "card"),
    "machine": ("cluster", "machine"),
    "holder": ("cluster", "machine", "instance", "gpu", "uuid", "user", "holder"),
    "reservation": ("cluster", "machine", "reservation", "team"),
    "reservation_gpu": ("cluster", "machine", "instance", "gpu", "uuid", "reservation", "team"),
    "reservation_user": ("cluster", "machine", "instance", "gpu", "uuid", "reservation", "team", "user"),
    "charge": ("cluster", "provider", "card", "team"),
    "rental": ("cluster", "rental", "team", "provider", "card", "price_tier", "host_tier"),
}
