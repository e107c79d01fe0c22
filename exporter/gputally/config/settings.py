"""What the agents are told, from flags, environment, file and defaults, in this order of precedence."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from gputally.alerts.thresholds import DEFAULTS
from gputally.config.alerts import read_alerts
from gputally.config.bills import BillSettings, read_bills, read_ledger
from gputally.config.budgets import read_budgets
from gputally.config.chargeback import Chargeback, read_chargeback
from gputally.config.checked import Check, checked
from gputally.config.market import MarketSettings, Plan, Rental, read_market, read_plans, read_rentals
from gputally.config.owned import OwnedGpu, read_owned
from gputally.config.reservations import ReservationSettings, read_reservations_block
from gputally.config.strict import Section, parse
from gputally.config.tariff import SiteDeclaration, read_site
from gputally.config.teams import TeamRule, read_teams
from gputally.config.yamltree import read_regular_file
from gputally.model.budget import Budget
from gputally.model.clock import NS_PER_SECOND
from gputally.model.gpu import NO_LABELS

IDLE_POLICIES = ("allocated", "used", "weighted")
SOURCES = ("auto", "nvml", "nvidia-smi", "nvtop", "simulated")
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("logfmt", "json")
INTERVAL_MIN_NS = 250_000_000
INTERVAL_MAX_NS = 60_000_000_000
JOBS_KEEP_MIN_NS = 300_000_000_000  # a scrape or two, and the retries of a remote write
JOBS_KEEP_MAX_NS = 86_400_000_000_000
JOBS_ANNOUNCE_MAX_NS = 600_000_000_000
IDLE_WATTS_MAX = 2000.0
_NOTHING_DECLARED = SiteDeclaration()
_NOT_CHARGED = Chargeback()


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Everything that `gputally node` can be told. Durations in nanoseconds."""

    web_listen_address: tuple[str, ...] = ("127.0.0.1:9836",)
    web_telemetry_path: str = "/metrics"
    web_config_file: Path | None = None
    state_dir: Path | None = None
    sample_interval_ns: int = NS_PER_SECOND
    source: str = "auto"
    collector_processes: bool = True
    collector_host: bool = True
    collector_jobs: bool = True
    collector_gpm: bool = False
    collector_nvlink_links: bool = False
    jobs_idle_policy: str = "allocated"
    jobs_keep_ns: int = JOBS_KEEP_MIN_NS
    jobs_announce_ns: int = 60_000_000_000
    jobs_environment: bool = False
    jobs_runs_dir: Path = Path("/run/gputally/runs")
    jobs_slurm_dir: Path = Path("/run/gputally/slurm")
    jobs_pod_logs_dir: Path = Path("/var/log/pods")
    jobs_kubelet_socket: Path | None = None
    idle_watts: Mapping[str, float] = NO_LABELS  # UUID or glob of a name -> baseline
    teams: tuple[TeamRule, ...] = ()
    site: SiteDeclaration = _NOTHING_DECLARED
    nvml_release_ns: int = 60_000_000_000
    simulated_gpus: int = 4
    simulated_seed: int = 1
    simulated_faults: bool = False
    simulated_visitors_dir: Path | None = None
    memory_limit_bytes: int = 192 * 2**20
    path_procfs: Path = Path("/proc")
    path_sysfs: Path = Path("/sys")
    log_level: str = "info"
    log_format: str = "logfmt"
    config_text: bytes = field(default=b"", compare=False, repr=False)  # by which prices are read again


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """Everything that `gputally site` can be told."""

    web_listen_address: tuple[str, ...] = ("127.0.0.1:9837",)
    web_telemetry_path: str = "/metrics"
    web_config_file: Path | None = None
    site: SiteDeclaration = _NOTHING_DECLARED
    owned_gpus: tuple[OwnedGpu, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=lambda: DEFAULTS)  # of every alert with one
    market: MarketSettings | None = None  # None: nobody is asked for prices
    rentals: tuple[Rental, ...] = ()
    plans: tuple[Plan, ...] = ()
    teams: tuple[TeamRule, ...] = ()  # whose members may use what their team has booked
    reservations: ReservationSettings | None = None  # None: nothing is booked here
    budgets: tuple[Budget, ...] = ()
    chargeback: Chargeback = _NOT_CHARGED
    ledger_file: Path | None = None  # None: nothing is imported here
    bills: BillSettings | None = None
    log_level: str = "info"
    log_format: str = "logfmt"
    config_text: bytes = field(default=b"", compare=False, repr=False)


# Settings that a reload may change while the agent runs; the others need a restart.
RELOADABLE = frozenset(
    (
        *("sample_interval_ns", "log_level", "config_text"),
        *("teams", "site", "owned_gpus", "thresholds", "reservations"),
        *("market", "rentals", "plans"),
        *("budgets", "chargeback"),
        *("ledger_file", "bills"),
    )
)
NAMES = frozenset(field.name for field in fields(NodeSettings))


def read_file(
    path: Path,
    check_address: Check = str,
    check_path: Check = str,
    check_card: Check = str,
    *,
    agent: type[NodeSettings] | type[SiteSettings] = NodeSettings,
) -> Mapping[str, object]:
    """Settings that the file gives an agent, by name. Raises ConfigError with file, line and key.

    All of the file is read, whoever asks: a slip of the pen is found by the first; the file of reservations
    only by the site agent, on whose machine it is. Paths are relative to the file. What an address is and
    which paths can be served, the web front knows; the market knows all cards.
    """
    text = read_regular_file(path)
    root = parse(text, str(path))
    given: dict[str, object] = {"config_text": text}
    _node(root.mapping("node"), given, path.parent)
    given["teams"] = read_teams(root) or None
    given["site"] = read_site(root, path.parent)
    given["owned_gpus"] = read_owned(root) or None
    given["thresholds"] = read_alerts(root).thresholds
    _market(root, given, path.parent, check_card)
    given["reservations"] = read_reservations_block(root, path.parent, is_read=agent is SiteSettings)
    given["ledger_file"] = read_ledger(root, path.parent)
    given["bills"] = read_bills(root, check_card)
    given["budgets"] = read_budgets(root) or None
    web = root.mapping("web")
    addresses = {
        NodeSettings: _addresses(web, "listen_addresses", check_address),
        SiteSettings: _addresses(web, "site_listen_addresses", check_address),
    }
    given["web_listen_address"] = addresses[agent] or None
    _web(web, given, path.parent, check_path)
    log = root.mapping("log")
    given["log_level"] = log.choice("level", LOG_LEVELS, None)
    given["log_format"] = log.choice("format", LOG_FORMATS, None)
    root.finish()
    own = {setting.name for setting in fields(agent)}
    return {name: value for name, value in given.items() if value is not None and name in own}


def _market(root: Section, given: dict[str, object], folder: Path, check_card: Check) -> None:
    given["market"] = read_market(root, folder, check_card)
    rentals = read_rentals(root, check_card)
    given["rentals"] = rentals or None
    given["plans"] = read_plans(root, check_card) or None
    given["chargeback"] = read_chargeback(root, {rental.name for rental in rentals})


def _node(node: Section, given: dict[str, object], folder: Path) -> None:
    given["source"] = node.choice("source", SOURCES, None)
    given["sample_interval_ns"] = node.duration_ns(
        "sample_interval", None, minimum=INTERVAL_MIN_NS, maximum=INTERVAL_MAX_NS
    )
    given["state_dir"] = _path(folder, node.string("state_dir", None))
    collectors = node.mapping("collectors")
    for key in ("processes", "host", "jobs", "gpm", "nvlink_links"):
        given[f"collector_{key}"] = collectors.boolean(key, None)
    _jobs(node.mapping("jobs"), given, folder)
    simulated = node.mapping("simulated")
    given["simulated_gpus"] = simulated.integer("gpus", None, minimum=0, maximum=64)
    given["simulated_seed"] = simulated.integer("seed", None, minimum=0, maximum=2**31)
    given["simulated_faults"] = simulated.boolean("faults", None)


def _jobs(jobs: Section, given: dict[str, object], folder: Path) -> None:
    given["jobs_idle_policy"] = jobs.choice("idle_policy", IDLE_POLICIES, None)
    given["jobs_keep_ns"] = jobs.duration_ns("keep", None, minimum=JOBS_KEEP_MIN_NS, maximum=JOBS_KEEP_MAX_NS)
    given["jobs_announce_ns"] = jobs.duration_ns("announce", None, maximum=JOBS_ANNOUNCE_MAX_NS)
    given["jobs_environment"] = jobs.boolean("environment", None)
    for key in ("runs_dir", "slurm_dir", "pod_logs_dir", "kubelet_socket"):
        given[f"jobs_{key}"] = _path(folder, jobs.string(key, None))
    given["idle_watts"] = _idle_watts(jobs.mapping("idle_watts")) or None


def _idle_watts(section: Section) -> dict[str, float]:
    return {name: value.number(0.0, IDLE_WATTS_MAX) for name, value in section.items()}


def _addresses(web: Section, key: str, check: Check) -> tuple[str, ...]:
    return tuple(checked(value, check, "an address") for value in web.list(key))


def _web(web: Section, given: dict[str, object], folder: Path, check_path: Check) -> None:
    telemetry_path = web.get("telemetry_path")
    if telemetry_path is not None:
        given["web_telemetry_path"] = checked(telemetry_path, check_path, "a path")
    given["web_config_file"] = _path(folder, web.string("config_file", None))


def _path(folder: Path, text: str | None) -> Path | None:
    return folder / text if text is not None else None
