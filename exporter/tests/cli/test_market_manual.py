"""What docs/market.md says of `gputally offers` and `gputally plan` is what they take, have and print."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from gputally.cli import main
from gputally.cli.offers import COLUMNS as OFFER_COLUMNS
from gputally.cli.offers import offers
from gputally.cli.plan import COLUMNS as PLAN_COLUMNS
from gputally.cli.plan import plan
from tests.cli.marketdocument import DOCUMENT

PAGE = (Path(__file__).parents[3] / "docs" / "market.md").read_text()
SHOWN = {
    "offers": ["--card=h100", "--sort=gscore"],
    "plan": ["--tflops=2000", "--vram=48", "--hours=10", "--idle-watts=70", "--active-watts=600"],
}


def section(command: str) -> str:
    return PAGE.partition(f"## `gputally {command}`\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(
    ("command", "text", "columns"),
    [
        (offers, section("offers"), OFFER_COLUMNS),
        (plan, section("offers") + section("plan"), PLAN_COLUMNS),
    ],
    ids=["offers", "plan"],
)
def test_every_flag_variable_and_column_stands_there(
    command: click.Command, text: str, columns: tuple
) -> None:
    for parameter in command.params:
        for option in parameter.opts:
            assert f"{option}`" in text or f"{option} " in text, option
        assert parameter.envvar is None or f"`{parameter.envvar}`" in text
    for column in columns:
        assert f"`{column.name}`" in text, column.name


@pytest.mark.parametrize("command", SHOWN)
def test_the_example_is_what_is_printed(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "offers.json"
    file.write_bytes(DOCUMENT)
    with pytest.raises(SystemExit) as ended:
        main([command, f"--from-file={file}", *SHOWN[command]])
    assert not ended.value.code
    printed = capsys.readouterr().out.replace(f"from {file}", "from http://127.0.0.1:9837")
    assert f"```\n{printed}```\n" in section(command), printed
