"""What an import of jobs has come to, for people and for programs; the columns of a list of them."""

import json
from typing import Any

from gputally.site.ledger.jobs import RESULTS, Imported
from gputally.tables.columns import Column
from gputally.tables.text import aligned, printable

MOST_LINES = 20  # refused rows that a table names
LEFT_OUT = {
    "step": "steps, a part of their job",
    "not_started": "not started yet, or never",
    "no_gpu": "without a GPU",
}
LISTED = (
    Column("provider", "PROVIDER"),
    Column("shown_id", "JOB"),
    Column("job_id", "ID"),
    Column("run", "RUN", "count"),
    Column("name", "NAME"),
    Column("team", "TEAM"),
    Column("user", "USER"),
    Column("model", "MODEL"),
    Column("scheduler", "SCHEDULER"),
    Column("gpu_type", "GPU"),
    Column("gpus", "GPUS", "count"),
    Column("state", "STATE"),
    Column("exit_code", "EXIT", "count"),
    Column("start", "START", "time"),
    Column("end", "END", "time"),
    Column("gpu_hours", "GPU HOURS", "hours"),
)


def as_table(path: str, imported: Imported) -> str:
    """For a person."""
    providers = sorted({provider for provider, result in imported.counts if result != "rejected"})
    heads = (Column("provider", "PROVIDER"), *(Column(name, name.upper(), "count") for name in RESULTS[:3]))
    rows = [
        [printable(provider), *(f"{imported.counts[provider, name]:,d}" for name in RESULTS[:3])]
        for provider in providers
    ]
    lines = [f"{printable(path)}: {imported.rows:,d} rows", ""]
    lines += aligned(heads, rows) if rows else ["No job in it."]
    if imported.left_out:
        parts = (f"{count:,d} {LEFT_OUT[why]}" for why, count in sorted(imported.left_out.items()))
        lines += ["", f"Left out: {', '.join(parts)}."]
    if rejected := imported.total("rejected"):
        lines += ["", f"Refused: {rejected:,d}"]
        shown = imported.refused[:MOST_LINES]
        lines += [f"  line {one.line}: {printable(one.reason)}" for one in shown]
        if rejected > len(shown):
            lines.append(
                f"  and {rejected - len(shown):,d} more; --format=json names {len(imported.refused):,d}"
            )
    return "\n".join(lines)


def as_json(path: str, imported: Imported) -> str:
    """For a program."""
    providers: dict[str, dict[str, int]] = {}
    for (provider, result), count in sorted(imported.counts.items()):
        if result != "rejected":
            providers.setdefault(provider, dict.fromkeys(RESULTS[:3], 0))[result] = count
    document: dict[str, Any] = {
        "file": path,
        "rows": imported.rows,
        **{result: imported.total(result) for result in RESULTS},
        "left_out": dict(sorted(imported.left_out.items())),
        "providers": providers,
        "refused": [{"line": one.line, "reason": one.reason} for one in imported.refused],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


FORMS = {"table": as_table, "json": as_json}
