"""Two hours of everything that the rules read, as text that Prometheus and VictoriaMetrics both take.

Two machines with two GPUs each; counters that are born, begin anew and end; scrapes that are lost. No sample
lies on the edge of a window.
"""

import random
from collections.abc import Iterable, Iterator
from itertools import product

from grafana.queries import OF_SITE
from prometheus.tests.conftest import ALERTS, RULES
from prometheus.tests.promql import metrics

from gputally.alerts.thresholds import DEFAULTS
from gputally.catalogue import FAMILIES, Family

SCRAPE_S = 15
START_S = 1_795_000_503.217  # a second that is on no edge
SPAN_S = 7200
END_S = START_S + SPAN_S
LOST = 0.02  # of all scrapes
VALUES: dict[str, tuple[str, ...]] = {
    "gpu": ("0", "1"),
    "uuid": ("GPU-{instance}-{gpu}",),
    "job_id": ("4711", "4712"),
    "team": ("nlp", "vision"),
    "tariff": ("day", "night"),
    "reason": ("idle", "gap", "hw_thermal", "hw_power_brake", "suspended"),
    "state": ("running", "failed"),
    "component": ("active", "idle"),
    "limit": ("slowdown", "shutdown"),
    "type": ("replay", "crc"),
    "severity": ("corrected", "uncorrected"),
    "xid": ("31", "79", "94"),
    "alert": tuple(DEFAULTS),
    "config": ("prices",),
    "day": ("2026-11-18",),
    "currency": ("EUR",),
    "provider": ("akash", "vast"),
    "precision": ("bf16_dense",),
    "part": ("price", "reliability", "availability"),
    "machine": ("a", "b"),
    "price_tier": ("ondemand",),
    "period": ("month",),
}
# Where values differ from those of other families. Eve is on GPUs that she may not use.
OWN_VALUES: dict[tuple[str, str], tuple[str, ...]] = {
    ("gpu_process_memory_bytes", "user"): ("ada", "eve"),
    ("gpu_reservation_active", "gpu"): ("0", "any"),
    ("gpu_reservation_active", "team"): ("nlp",),
    ("gpu_reservation_allowed", "user"): ("ada",),
    ("gpu_info", "name"): ("some-model",),  # which is owned
    ("gpu_catalog_name_info", "name"): ("some-model",),
    ("site_budget_credit", "part"): ("amount", "deposits"),
    ("site_budget_includes", "part"): ("energy", "capital"),
    ("site_budget_declared_cost", "part"): ("reservations", "bills"),
}
PERIOD_S = (START_S - 10 * 86400, END_S + 10 * 86400)  # of budgets
_NOT_THEIRS = {("4711", "vision"), ("4712", "nlp")}  # a job is one team's
SITE = {"job": "gputally-site", "cluster": "north", "instance": "site"}
NODES = tuple({"job": "gputally-node", "cluster": "north", "instance": name} for name in ("a", "b"))
# What the site's agent shows and no node does.
_SITES = ("gputally_threshold", *OF_SITE)
Labels = dict[str, str]
Rows = Iterator[tuple[float, float]]  # seconds, value


def openmetrics() -> str:
    """One family after the other."""
    names = {name for rule in RULES + ALERTS for name in metrics(rule.expr)}
    families = sorted((row for row in FAMILIES if row.name in names), key=lambda row: row.name)
    ups = "".join(_lines("up", labels, ((at, 1) for at in _instants(labels))) for labels in (*NODES, SITE))
    return f"# TYPE up gauge\n{ups}" + "".join(map(_family, families)) + "# EOF\n"


def milliseconds(text: str) -> str:
    """The same for VictoriaMetrics, whose import takes times in milliseconds and no end mark."""
    rows = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return "".join(f"{head} {round(float(at) * 1000)}\n" for head, _, at in rows)


def _family(family: Family) -> str:
    values = _counter if family.type == "counter" else _gauge
    return f"# TYPE {family.base_name} {family.type}\n" + "".join(
        _lines(family.name, labels, values(family, labels))
        for target in ((SITE,) if family.name.startswith(_SITES) else NODES)
        for labels in _label_sets(family, target)
    )


def _label_sets(family: Family, target: Labels) -> Iterator[Labels]:
    options = (
        OWN_VALUES.get((family.name, label)) or VALUES.get(label, (f"some-{label}",))
        for label in family.labels
    )
    for values in product(*options):
        labels = target | dict(zip(family.labels, values, strict=True))
        if (labels.get("job_id"), labels.get("team")) in _NOT_THEIRS:
            continue
        yield {name: value.format(**labels) for name, value in labels.items()}


def _instants(labels: Labels) -> Iterator[float]:
    """When it was scraped. GPU 1 of b is there from the half hour on, that of a leaves ten minutes early."""
    losses = random.Random(labels["instance"])  # noqa: S311 - scrapes, not secrets
    card = (labels["instance"], labels.get("gpu"))
    born = START_S + 1800 if card == ("b", "1") else START_S
    ends = END_S - 600 if card == ("a", "1") else END_S
    for step in range(SPAN_S // SCRAPE_S):
        at = START_S + step * SCRAPE_S
        if losses.random() >= LOST and born <= at <= ends:
            yield at


def _counter(family: Family, labels: Labels) -> Rows:
    """Grows by another rate every ten minutes; on b it begins anew after an hour."""
    loads = random.Random(f"{family.name}{labels}")  # noqa: S311 - a load, not a secret
    total, rate, before, renewed = 0.0, 0, 0.0, labels["instance"] != "b"
    for at in _instants(labels):
        if at // 600 != before // 600:
            rate = loads.randint(1, 300)
        total += rate * (at - before) if before else 0  # born at zero
        if not renewed and at > START_S + 3600:
            total, renewed = 0.0, True
        before = at
        yield at, round(total, 3)


def _gauge(family: Family, labels: Labels) -> Rows:
    """One for what says that something is so, a moment ago for times, the default for thresholds."""
    values = random.Random(f"{family.name}{labels}")  # noqa: S311 - as above
    top = {"ratio": 1.0, "celsius": 95.0, "watts": 700.0}.get(family.unit, 1000.0)
    for at in _instants(labels):
        if "alert" in labels:
            yield at, DEFAULTS[labels["alert"]]
        elif family.name.endswith(("_info", "_up", "_success", "_state", "_includes")):
            yield at, 1
        elif family.name.startswith("site_budget_period_"):
            yield at, round(PERIOD_S["_end_" in family.name], 3)
        elif family.name.endswith("_timestamp_seconds"):
            yield at, round(at - 7, 3)
        else:
            yield at, round(values.uniform(0.2, 1) * top, 3)


def _lines(name: str, labels: Labels, rows: Iterable[tuple[float, float]]) -> str:
    text = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return "".join(f"{name}{{{text}}} {value} {at:.3f}\n" for at, value in rows)
