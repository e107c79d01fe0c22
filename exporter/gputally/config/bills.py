"""The blocks `ledger` and `bills`: where imports are kept, and how rows of bills find their team and GPU.

ledger: {file: /var/lib/gputally-site/ledger.sqlite}
bills:
  team_tag: team                       # key in the tags of a row; else
  sub_accounts: {"123456789012": vision}
  instances: {my.box: {gpu: h100-sxm5-80gb, count: 8}}  # beside those that are known
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gputally.config.checked import Check
from gputally.config.providers import read_card
from gputally.config.strict import Section, Value

TEAM_TAG = "team"
LONGEST = 128  # characters of a name
MOST_NAMES = 5000
MOST_GPUS = 1024


@dataclass(frozen=True, slots=True)
class Instance:
    """What GPUs a kind of machine has."""

    gpu: str  # card of the card catalogue
    count: int


@dataclass(frozen=True, slots=True)
class BillSettings:
    """Everything that is said of bills."""

    team_tag: str = TEAM_TAG
    sub_accounts: Mapping[str, str] = field(default_factory=dict)  # id or name -> team
    instances: Mapping[str, Instance] = field(default_factory=dict)  # in small letters


def read_ledger(root: Section, folder: Path) -> Path | None:
    """The file of the ledger; None where there is none. Raises ConfigError with file, line and key."""
    section = root.mapping("ledger")
    file = section.string("file") if section.present else None
    return None if file is None else folder / file


def read_bills(root: Section, check_card: Check) -> BillSettings | None:
    """Read the block `bills`; None where there is none. Raises ConfigError with file, line and key."""
    section = root.mapping("bills")
    team_tag = section.string("team_tag", TEAM_TAG)
    accounts = _named(section.mapping("sub_accounts"))
    teams = {name: _name(value, "the name of a team") for name, value in accounts.items()}
    boxes = _named(section.mapping("instances"))
    instances = {name.lower(): _instance(value, check_card) for name, value in boxes.items()}
    return BillSettings(team_tag, teams, instances) if section.present else None


def _named(section: Section) -> dict[str, Value]:
    values = dict(section.items())
    if len(values) > MOST_NAMES:
        raise section.value.error(f"expected at most {MOST_NAMES}, found {len(values)}")
    for name, value in values.items():
        if not name.strip() or len(name) > LONGEST:
            raise value.error(f"expected a name of at most {LONGEST} characters for it")
    return values


def _name(value: Value, what: str) -> str:
    text = value.string(what)
    if len(text) > LONGEST or text != text.strip():
        raise value.expected(f"{what}, of at most {LONGEST} characters")
    return text


def _instance(value: Value, check_card: Check) -> Instance:
    section = value.mapping()
    gpu = section.get("gpu")
    if gpu is None:
        raise value.error("missing key gpu")
    card = read_card(gpu, check_card)
    count = section.integer("count", 1, minimum=1, maximum=MOST_GPUS)
    section.finish()
    return Instance(card, count)
