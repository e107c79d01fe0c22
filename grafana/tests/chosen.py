"""Queries of pages as Grafana asks them: with everything chosen that there is."""

VARIABLES = {
    "$__rate_interval": "15s",
    "$__interval": "1m",
    "$__interval_ms": "60000",
    "$__range": "5m",
    "$__range_s": "300",
    "$cluster": ".*",
    "$job": ".+",
    "$instance": ".+",
    "$team": ".*",
    "$user": ".*",
    "$top_user": ".+",
    "$model": ".*",
    "$currency": "USD",
    "$gpu": ".+",
    "$job_id": ".+",
    "$memory": ".*",
    "$card": ".+",
    "$provider": ".+",
    "$region": ".*",
    "$price_tier": ".+",
    "$host_tier": ".+",
}


def filled(text: str) -> str:
    """With everything chosen that there is."""
    text = text.replace('job_id="$job_id"', 'job_id=~"$job_id"')  # one of them on the page, any here
    longest_first = sorted(VARIABLES.items(), key=lambda one: -len(one[0]))  # $job_id before $job
    for variable, value in longest_first:
        text = text.replace(variable, value)
    return text
