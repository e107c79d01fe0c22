"""Queries of pages, answered by Prometheus' own tool of series that are written down."""

import subprocess
from pathlib import Path

import yaml
from grafana.tests.chosen import filled


def check(folder: Path, query: str, series: dict[str, str], answer: dict[str, float]) -> None:
    """Fail unless the query, asked after two minutes of these series, has exactly this answer."""
    test = {
        "interval": "5s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": filled(query),
                "eval_time": "2m",
                "exp_samples": [{"labels": labels, "value": value} for labels, value in answer.items()],
            }
        ],
    }
    file = folder / "asked.yml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": [test]}))
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def constant(value: float) -> str:
    return f"{float(value)}+0x30"
