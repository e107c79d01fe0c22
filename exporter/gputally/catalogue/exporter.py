"""Families of the exporter about itself: what is wrong, how old the numbers are, what it costs."""

# fmt: off
from functools import partial

from gputally.catalogue.family import Family

_gauge = partial(Family, type="gauge", section="The exporter itself")
_counter = partial(Family, type="counter", section="The exporter itself")

EXPORTER: tuple[Family, ...] = (
    _gauge("gputally_build_info", unit="", labels=("version", "python_version"), help="Always 1; version of the exporter.", source="the package"),
    _gauge("gputally_collector_success", unit="", labels=("collector",), help="1 if the collector's latest run brought all that it should.", source="the sampler"),
    _gauge("gputally_collector_duration_seconds", unit="seconds", labels=("collector",), help="How long the collector's latest run took.", source="the sampler"),
    _counter("gputally_sample_errors_total", unit="", labels=("collector", "reason"), help="Reads that failed, by collector and reason.", source="the sampler", record="report", key="sample_errors"),
    _counter("gputally_rejected_readings_total", unit="", labels=("reading",), help="Values that the driver reported and physics forbids; dropped.", source="the sources' bounds", record="report", key="rejected"),
    _gauge("gputally_last_sample_timestamp_seconds", unit="seconds", labels=(), help="When the sampler last published, as Unix time.", source="the sampler"),
    _counter("gputally_samples_total", unit="", labels=(), help="Ticks that the sampler has published.", source="the sampler", record="report", key="samples"),
    _counter("gputally_sample_gaps_total", unit="", labels=(), help="Ticks that came more than two intervals late.", source="the sampler", record="report", key="sample_gaps"),
    _gauge("gputally_sample_interval_seconds", unit="seconds", labels=(), help="Time between two ticks, as configured.", source="--sample.interval", record="report", key="interval_seconds"),
    _gauge("gputally_stuck_workers", unit="", labels=(), help="Driver calls that have not returned within their deadline.", source="the workers", record="report", key="stuck_workers"),
    _gauge("gputally_driver_up", unit="", labels=(), help="1 while the source of readings is open.", source="the source", record="report", key="driver_up"),
    _gauge("gputally_driver_down_info", unit="", labels=("reason",), help="Always 1; why no source is open. Absent while one is.", source="the source's error"),
    _gauge("gputally_state_write_success", unit="", labels=(), help="1 if the state file was written at the latest tick; absent without --state.dir.", source="the state file", record="report", key="state_write_success"),
    _gauge("gputally_state_recovered", unit="", labels=(), help="1 if the newest state file was unusable at start and the one before it was read.", source="the state file", record="report", key="state_recovered"),
    _gauge("gputally_left_out_families", unit="", labels=(), help="Families left out of this scrape because a value could not be rendered; the log says which.", source="the page"),
    _gauge("gputally_capped_items", unit="", labels=("cap",), help="Items that a cap has folded into `other` at the latest tick.", source="the sampler"),
    _counter("gputally_identity_conflicts_total", unit="", labels=("kind",), help="Claims to be a job, a team or an account that were refused: environment, team, lookalike, record.", source="the resolver"),
    _gauge("gputally_tariff_info", unit="", labels=("currency", "timezone", "source"), help="Always 1; whose prices are integrated: source is configured, or default where no tariff is.", source="the configuration"),
    _gauge("gputally_config_last_reload_success", unit="", labels=("config",), help="1 if the latest (re)load of the file succeeded: main, web, prices, carbon.", source="SIGHUP, file change", record="web", key="reload_success"),
    _gauge("gputally_config_last_reload_successful_timestamp_seconds", unit="seconds", labels=("config",), help="When the file was last loaded with success, as Unix time.", source="SIGHUP, file change", record="web", key="reload_seconds"),
    _gauge("gputally_web_certificate_expiry_timestamp_seconds", unit="seconds", labels=(), help="When the server's certificate ends, as Unix time.", source="--web.config.file", record="web", key="certificate_expiry_seconds"),
    _counter("gputally_http_requests_total", unit="", labels=("code",), help="Answered requests by status.", source="the web server", record="web", key="requests"),
    _gauge("gputally_http_connections", unit="", labels=(), help="Open connections.", source="the web server", record="web", key="connections"),
    _counter("gputally_http_refused_connections_total", unit="", labels=("reason",), help="Connections closed by a limit or a deadline.", source="the web server", record="web", key="refused"),
    _counter("gputally_http_auth_failures_total", unit="", labels=(), help="Requests without valid credentials.", source="the web server", record="web", key="auth_failures"),
    _counter("process_cpu_seconds_total", unit="seconds", labels=(), help="CPU time of the exporter.", source="/proc/self/stat", record="report", key="process.cpu_seconds"),
    _gauge("process_resident_memory_bytes", unit="bytes", labels=(), help="Resident memory of the exporter.", source="/proc/self/stat", record="report", key="process.resident_bytes"),
    _gauge("process_open_fds", unit="", labels=(), help="Open files of the exporter.", source="/proc/self/fd", record="report", key="process.open_fds"),
    _gauge("process_threads", unit="", labels=(), help="Threads of the exporter.", source="/proc/self/stat", record="report", key="process.threads"),
    _gauge("process_start_time_seconds", unit="seconds", labels=(), help="When the exporter was started, as Unix time.", source="/proc/self/stat", record="report", key="process.start_seconds"),
)
