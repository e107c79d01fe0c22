"""The metering over time: what agents could not read, how fast they are, who asks, and if sums add up."""

from grafana.gains import at_least, bars, counts, gained, lines, per_second
from grafana.panels import Look, timeseries
from grafana.queries import AGENTS, OURS, Json, series, unit_of

_SECONDS = Look("s", minimum=0)
_EVENTS = Look("short", decimals=0, minimum=0)


def troubles() -> list[Json]:
    """What could not be read."""
    errors = gained("gputally_sample_errors_total{}", "collector, reason")
    # A query of its own would mostly have no answer; ticks are counted from the first on.
    late = f'label_replace({gained("gputally_sample_gaps_total{}")}, "collector", "sampler", "", "")'
    late = f'label_replace({late}, "reason", "late", "", "")'
    return [
        bars(
            "Failed reads",
            "Reads that failed in the time of a bar, by collector and reason, ticks of the sampler that "
            "came too late, and values that drivers reported and physics forbids.",
            [
                series(f"{errors} or {late}", "{{collector}}: {{reason}}"),
                series(gained("gputally_rejected_readings_total{}", "reading"), "rejected: {{reading}}"),
            ],
            _EVENTS,
        ),
        counts(
            "Agents without a driver",
            "Agents that can open no source of readings, all together and by reason.",
            [
                series("sum(gputally_driver_up{} == bool 0)", "without"),
                series("count by (reason) (gputally_driver_down_info{})", "{{reason}}"),
            ],
            _EVENTS,
        ),
        timeseries(
            "Age of the samples",
            "How old what each agent shows is. The alert waits for two minutes.",
            [series("max by (instance) (time() - gputally_last_sample_timestamp_seconds{})", "{{instance}}")],
            Look("s", minimum=0, crowded=True),
        ),
    ]


def pace() -> list[Json]:
    """How long it takes, and how much it is."""
    return [
        timeseries(
            "Collector run time",
            "How long the slowest latest run of each collector took, over all agents.",
            [series("max by (collector) (gputally_collector_duration_seconds{})", "{{collector}}")],
            _SECONDS,
        ),
        timeseries(
            "Scrape duration",
            "How long Prometheus takes to read each agent.",
            [series(f"scrape_duration_seconds{{{AGENTS}}}", "{{instance}}")],
            Look("s", minimum=0, crowded=True),
        ),
        timeseries(
            "Series by agent",
            "Series that each agent shows in a scrape. Above 50,000 Prometheus refuses them all.",
            [series(f"scrape_samples_scraped{{{AGENTS}}}", "{{instance}}")],
            Look("short", minimum=0, crowded=True),
        ),
    ]


def server() -> list[Json]:
    """Who asks the agents."""
    return [
        lines(
            "HTTP requests",
            "Requests by the second that the agents answered, by status.",
            [series(per_second(f"gputally_http_requests_total{{{OURS}}}", "code"), "{{code}}")],
            Look("reqps", minimum=0),
        ),
        bars(
            "Clients turned away",
            "Connections that a limit or a deadline closed in the time of a bar, and requests without valid "
            "credentials.",
            [
                series(gained(f"gputally_http_refused_connections_total{{{OURS}}}", "reason"), "{{reason}}"),
                series(gained(f"gputally_http_auth_failures_total{{{OURS}}}"), "no valid credentials"),
            ],
            _EVENTS,
        ),
        bars(
            "Claims refused",
            "Claims of programs to be a job or a team that they are not, in the time of a bar, by kind.",
            [series(gained("gputally_identity_conflicts_total{}", "kind"), "{{kind}}")],
            _EVENTS,
        ),
    ]


def processes() -> list[Json]:
    """What the agents use themselves."""
    return [
        lines(
            "CPU of the agents",
            "CPU seconds by the second of each agent: 0.01 is a hundredth of a core.",
            [series(per_second(f"process_cpu_seconds_total{{{OURS}}}", "instance"), "{{instance}}")],
            Look("short", minimum=0, crowded=True),
        ),
        timeseries(
            "Memory of the agents",
            "Resident memory of each agent.",
            [series(f"process_resident_memory_bytes{{{OURS}}}", "{{instance}}")],
            Look(unit_of("process_resident_memory_bytes"), minimum=0, crowded=True),
        ),
        timeseries(
            "Open files of the agents",
            "Open files and connections of each agent: what only grows will end.",
            [series(f"process_open_fds{{{OURS}}}", "{{instance}}")],
            Look("short", decimals=0, minimum=0, crowded=True),
        ),
    ]


def prometheus() -> list[Json]:
    """What the rules cost."""
    took = "prometheus_rule_group_last_duration_seconds{}"
    every = "prometheus_rule_group_interval_seconds{}"
    return [
        timeseries(
            "Rule groups, share of their interval",
            "How much of its interval the slowest group of rules takes; beyond a tenth it is time for a "
            "larger Prometheus, at 100 % evaluations are missed.",
            [series(f"max({took} / {every})", "slowest group")],
            Look("percentunit", minimum=0, maximum=1),
        ),
        timeseries(
            "Slowest rule groups",
            "How long the latest evaluation of each group of rules took.",
            [series(f'label_replace({took}, "group", "$1", "rule_group", ".*;(.+)")', "{{group}}")],
            Look("s", minimum=0, crowded=True),
        ),
        bars(
            "Rules that failed or were missed",
            "Evaluations that ended in an error, and those that were left out because the one before took "
            "too long, in the time of a bar.",
            [
                series(gained("prometheus_rule_evaluation_failures_total{}"), "failed"),
                series(gained("prometheus_rule_group_iterations_missed_total{}"), "missed"),
            ],
            _EVENTS,
        ),
    ]


def books() -> list[Json]:
    """Whether what is charged is what was used."""
    charged = timeseries(
        "Cost, charged over declared",
        "What each machine has charged in half an hour, over its joules times the site agent's prices and "
        "PUE: 1 is right. Nothing here: there is no site agent.",
        [series("instance:gpu_energy_cost_audit:ratio30m{}", "{{instance}}")],
        Look("none", decimals=3, crowded=True),
    )
    unbelieved = bars(
        "Energy that was not believed",
        "What drivers' counters claimed in the time of a bar and physics forbids, by machine; not counted.",
        [series(gained("gpu_energy_clamped_joules_total{}", "instance"), "{{instance}}")],
        Look(unit_of("gpu_energy_clamped_joules_total"), minimum=0, crowded=True),
    )
    unmeasured = bars(
        "Time that was not measured",
        "GPU time in each bar for which no energy could be measured, by machine.",
        [series(gained("gpu_energy_unmeasured_seconds_total{}", "instance"), "{{instance}}")],
        Look("s", minimum=0, crowded=True),
    )
    return [at_least(charged, 1.01, 0.99), at_least(unbelieved, 1000), at_least(unmeasured, 60)]
