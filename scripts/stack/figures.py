"""The live line: what Prometheus says about the fleet at this moment, and since the stack was started."""

import json
import time
from collections.abc import Callable
from urllib.parse import quote

from scripts.stack.processes import get

JOULES_PER_KWH = 3.6e6
RUNNING = 'gpu_job_state{state="running"}'
TEAMS = 'count(count by (team) (gpu_job_info{{team!="unassigned"}} and on (instance, job_id) ({} == 1)))'
# The rule's sum; before its first evaluation, the same of the series themselves.
TODAY = (
    "cluster:gpu_cost_today:sum",
    "sum by (cluster, currency) (gpu_cost_day and on (day) site_day_info)",
)
# The heartbeat fires while all is well: no news.
FIRING = 'count(ALERTS{alertstate="firing", alertname!="GputallyWatchdog"})'


def ask_all(port: int, query: str) -> list[tuple[dict[str, str], float]]:
    """Labels and value of every series of an answer. Raises OSError when Prometheus does not answer."""
    _, body = get(port, f"/api/v1/query?query={quote(query)}")
    result = json.loads(body).get("data", {}).get("result", [])
    return [(series["metric"], float(series["value"][1])) for series in result]


def ask(port: int, query: str) -> float | None:
    """One number from Prometheus; None while it has none. Raises OSError when it does not answer."""
    found = ask_all(port, query)
    return found[0][1] if found else None


def live_line(port: int, seconds: float) -> str:
    """GPUs, power, teams, jobs and energy in one line; empty before the first scrape. Raises OSError.

    Prometheus answers for five minutes with what the last run has left: of other GPUs, if that one's were.
    """
    window, begun_s = f"{max(1, int(seconds))}s", time.time() - seconds

    def now(series: str) -> str:
        return f"({series} and timestamp({series}) >= {begun_s:.3f})"

    if (up := ask(port, f"sum({now('gpu_up')})")) is None:
        return ""
    # Exact, where increase() would extrapolate: these counters never go backwards.
    energy = (
        f"max_over_time(gpu_energy_joules_total[{window}]) - min_over_time(gpu_energy_joules_total[{window}])"
    )
    parts = [
        f"{up:.0f} GPUs up",
        _part(ask(port, f"sum({now('gpu_up')} == bool 0)"), lambda lost: f"{lost:.0f} lost" if lost else ""),
        _part(ask(port, f"sum({now('gpu_power_watts')})"), lambda watts: f"{watts:,.0f} W"),
        _part(ask(port, f"avg({now('gpu_utilization_ratio')})"), lambda ratio: f"{ratio:.0%} utilised"),
        _jobs(ask(port, TEAMS.format(now(RUNNING))), ask(port, f"count({now(RUNNING)} == 1)")),
        _part(ask(port, f"sum({energy})"), lambda joules: f"{joules / JOULES_PER_KWH:.4f} kWh since start"),
        cost_today(port),
        _part(ask(port, FIRING), lambda count: f"{count:.0f} alert{'s' if count > 1 else ''}"),
    ]
    return "  ·  ".join(part for part in parts if part)


def cost_today(port: int) -> str:
    """What the fleet's energy has cost today by the site's calendar, and whether anybody has said a price."""
    found = next((rows for query in TODAY if (rows := ask_all(port, query))), [])
    if not found:
        return ""
    money = " + ".join(f"{cost:,.4f} {labels.get('currency', '')}" for labels, cost in found)
    default = " (default price)" if ask(port, 'count(gputally_tariff_info{source="default"})') else ""
    return f"{money} today{default}"


def _part(value: float | None, words: Callable[[float], str]) -> str:
    return "" if value is None else words(value)


def _jobs(teams: float | None, jobs: float | None) -> str:
    parts = (_part(teams, lambda n: f"{n:.0f} teams"), _part(jobs, lambda n: f"{n:.0f} jobs running"))
    return ", ".join(part for part in parts if part)
