"""The examples of the manual, the files that they name, and what agents say of a file like them."""

import re
from pathlib import Path

import click
import promql_parser
import yaml

import gputally
from gputally.alerts.rulefile import render
from gputally.cli.alerts import declared
from gputally.cli.options import combine
from gputally.config.settings import NodeSettings, SiteSettings
from tests.site.declaring import assert_publishes

DOCS = Path(gputally.__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^```(yaml|csv|json)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = [
    block
    for name in ("configuration", "tariffs", "market", "thresholds")
    for block in _BLOCK.findall((DOCS / f"{name}.md").read_text())
]


def put_files(folder: Path) -> None:
    """Prices, carbon and bookings beside a configuration."""
    (folder / "reservations.yml").write_text("reservations: []\n")
    for kind, text in BLOCKS:
        if kind != "yaml":
            (folder / f"{'carbon' if 'grams_per_kwh' in text else 'prices'}.{kind}").write_text(text)


def complaints(folder: Path, text: str | bytes) -> tuple[str, str]:
    """What each agent complains of; "" where the file is good. Figures of a good one are published."""
    path = folder / "gputally.yml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    lines = []
    for agent in (NodeSettings, SiteSettings):
        try:
            told = combine(path, {}, agent)
        except click.UsageError as error:
            lines.append(error.message)
        else:
            lines.append("")
            if isinstance(told, SiteSettings):
                assert_publishes(told)
                for rule in yaml.safe_load(render(declared(path).rules))["groups"][0]["rules"]:
                    promql_parser.parse(rule["expr"])
    assert all(not line or (line.startswith("/") and line.isprintable()) for line in lines)
    return lines[0], lines[1]
