"""Writes the configuration of one run: the checkout's own files, with the addresses of this run put in.

Rules, alerts, templates and dashboards are used where they are, so that an edit shows at the next reload.
"""

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from scripts.stack.processes import LOOPBACK

TOP = Path(__file__).parents[2]


def write_prometheus(folder: Path, ports: dict[str, int], scrape_interval: str) -> Path:
    """Write prometheus.yml and its targets. The intervals differ from the checkout's, nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    config = _load(TOP / "prometheus" / "prometheus.yml")
    config["global"] |= {
        "scrape_interval": scrape_interval,
        "scrape_timeout": scrape_interval,
        "evaluation_interval": scrape_interval,
    }
    config["rule_files"] = [str(TOP / "prometheus" / pattern) for pattern in config["rule_files"]]
    targets = folder / "targets"
    targets.mkdir(exist_ok=True)
    for job in ("node", "site", "prometheus", "alertmanager"):
        group: dict[str, Any] = {"targets": [f"{LOOPBACK}:{ports[job]}"]}
        if job in ("node", "site"):
            group["labels"] = {"cluster": "default"}
        _dump(targets / f"{job}.yml", [group])
    return _dump(folder / "prometheus.yml", config)


def write_site(folder: Path, market_url: str, now: datetime, ledger: Path) -> Path:
    """Write what the site of the simulated GPUs declares, with a recording in place of every provider."""
    folder.mkdir(parents=True, exist_ok=True)
    declared = _load(Path(__file__).with_name("site.yml"))
    providers = declared["market"]["providers"]
    for name, settings in providers.items():
        if name != "static":
            settings.update({"base_url": f"{market_url}/{name}", "recording": True})
    for row in providers["static"]["rows"]:
        row["as_of"] = now.date()
    _write_reservations(folder / declared["reservations"]["file"], now)
    for budget in declared["budgets"]:
        for entry in (*budget.get("deposits", ()), *budget.get("corrections", ())):
            entry["date"] = now.date()
        if "carried" in budget:
            budget["carried"] = {f"{now:%Y-%m}": amount for amount in budget["carried"].values()}
    declared["ledger"]["file"] = str(ledger)
    return _dump(folder / "gputally.yml", declared)


def _write_reservations(path: Path, now: datetime) -> None:
    """Lay the example on the calendar; what somebody has booked since stays while it is of use."""
    if path.exists() and _ends(_load(path)) > now:
        return
    declared = _load(Path(__file__).with_name("reservations.yml"))
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    for row in declared["reservations"]:
        for key in row.keys() & {"start", "end", "cancelled"}:
            row[key] = (hour + timedelta(hours=row[key])).strftime("%Y-%m-%dT%H:%M:%SZ")
    _dump(path, declared)


def _ends(declared: dict[str, Any]) -> datetime:
    """When the last of the bookings is over."""
    ends = [datetime.fromisoformat(str(row["end"])) for row in declared.get("reservations", ())]
    return max(ends, default=datetime.min.replace(tzinfo=UTC))


def write_alertmanager(folder: Path, hook_url: str) -> Path:
    """Write alertmanager.yml: our routes; every receiver is this run's web hook, and nothing is mailed."""
    folder.mkdir(parents=True, exist_ok=True)
    config = _load(TOP / "alertmanager" / "alertmanager.yml")
    config["global"] = {}
    config["templates"] = [str(TOP / "alertmanager" / pattern) for pattern in config["templates"]]
    config["receivers"] = [
        {"name": receiver["name"], "webhook_configs": [{"url": hook_url, "send_resolved": True}]}
        for receiver in config["receivers"]
    ]
    return _dump(folder / "alertmanager.yml", config)


def grafana_environment(folder: Path, ports: dict[str, int], scrape_interval: str) -> dict[str, str]:
    """Settings of Grafana: our provisioning; whoever reaches the loopback address may look, not change."""
    folder.mkdir(parents=True, exist_ok=True)
    dashboards = TOP / "grafana" / "dashboards"
    return {
        "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_AUTH_ANONYMOUS_ORG_ROLE": "Viewer",
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": str(dashboards / "gputally-fleet.json"),
        "GF_DASHBOARDS_MIN_REFRESH_INTERVAL": "1s",
        "GF_PATHS_DATA": str(folder / "data"),
        "GF_PATHS_LOGS": str(folder / "log"),
        "GF_PATHS_PLUGINS": str(folder / "plugins"),
        "GF_PATHS_PROVISIONING": str(TOP / "grafana" / "provisioning"),
        "GF_PUBLIC_DASHBOARDS_ENABLED": "false",
        "GF_SECURITY_ADMIN_PASSWORD": _secret(folder / "admin_password"),
        "GF_SECURITY_DISABLE_GRAVATAR": "true",
        "GF_SECURITY_SECRET_KEY": _secret(folder / "secret_key"),
        "GF_SERVER_HTTP_ADDR": LOOPBACK,
        "GF_SERVER_HTTP_PORT": str(ports["grafana"]),
        "GF_SNAPSHOTS_EXTERNAL_ENABLED": "false",
        "GF_USERS_ALLOW_SIGN_UP": "false",
        "GPUTALLY_ALERTMANAGER_URL": f"http://{LOOPBACK}:{ports['alertmanager']}",
        "GPUTALLY_GRAFANA_DIR": str(TOP / "grafana"),
        "GPUTALLY_PROMETHEUS_URL": f"http://{LOOPBACK}:{ports['prometheus']}",
        "GPUTALLY_SCRAPE_INTERVAL": scrape_interval,
    }


def _secret(file: Path) -> str:
    """A random word that stays in its file, where Grafana reads it. Names with __FILE are its image's."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24))
    return f"$__file{{{file}}}"


def _load(path: Path) -> dict[str, Any]:
    loaded = yaml.safe_load(path.read_text())
    if not isinstance(loaded, dict):
        raise TypeError(f"{path} is not a mapping")
    return loaded


def _dump(path: Path, content: object) -> Path:
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path
