"""The blocks `ledger` and `bills`: what they can say, and how a slip of the pen is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from gputally.cli.options import combine
from gputally.config.bills import BillSettings, Instance
from gputally.config.settings import SiteSettings

FULL = """
ledger: {file: state/ledger.sqlite}
bills:
  team_tag: costcentre
  sub_accounts: {"123456789012": vision, research: NLP}
  instances: {My.Box: {gpu: h100-sxm5-80gb, count: 8}, small: {gpu: a10-24gb}}
"""


def read(tmp_path: Path, text: str) -> SiteSettings:
    path = tmp_path / "gputally.yml"
    path.write_text(text)
    return combine(path, {}, SiteSettings)


def test_what_is_said(tmp_path):
    found = read(tmp_path, FULL)
    assert found.ledger_file == tmp_path / "state" / "ledger.sqlite"
    assert found.bills == BillSettings(
        "costcentre",
        {"123456789012": "vision", "research": "NLP"},
        {"my.box": Instance("h100-sxm5-80gb", 8), "small": Instance("a10-24gb", 1)},
    )


def test_what_is_not_said(tmp_path):
    assert (read(tmp_path, "{}\n").ledger_file, read(tmp_path, "{}\n").bills) == (None, None)
    assert read(tmp_path, "bills: {}\n").bills == BillSettings("team", {}, {})


BAD = {
    "ledger: {}": ":1:9 ledger: missing key file",
    "ledger: {file: 5, size: 3}": ":1:19 ledger.size: unknown key, expected one of file",
    "bills: {team_tags: a}": ":1:9 bills.team_tags: unknown key, did you mean team_tag?",
    "bills: {sub_accounts: {a: ''}}": ':1:27 bills.sub_accounts.a: expected the name of a team, found the quoted string ""',  # noqa: E501
    "bills: {sub_accounts: {a: ' b'}}": ':1:27 bills.sub_accounts.a: expected the name of a team, of at most 128 characters, found the quoted string " b"',  # noqa: E501
    "bills: {sub_accounts: [a]}": ":1:23 bills.sub_accounts: expected a mapping, found a list",
    "bills: {instances: {a: {count: 8}}}": ":1:24 bills.instances.a: missing key gpu",
    "bills: {instances: {a: {gpu: h100}}}": ":1:30 bills.instances.a.gpu: no card is called",
    "bills: {instances: {a: {gpu: a10-24gb, count: 0}}}": ":1:47 bills.instances.a.count: expected a whole number from 1 to 1024, found",  # noqa: E501
    "bills: {instances: {a: {gpu: a10-24gb, gpus: 1}}}": ":1:40 bills.instances.a.gpus: unknown key",
    "bills: {instances: {'': {gpu: a10-24gb}}}": ':1:25 bills.instances."": expected a name of at most 128 characters for it',  # noqa: E501
}  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_a_slip_of_the_pen_is_one_line(tmp_path, text):
    with pytest.raises(Exception, match=r"gputally\.yml:1") as refused:
        read(tmp_path, text + "\n")
    assert str(refused.value).startswith(f"{tmp_path / 'gputally.yml'}{BAD[text]}")
    assert "\n" not in str(refused.value)
