"""The book as plain JSON and back. What the file around it looks like is node/state.py's business.

It is written at every tick and most accounts are at rest, so a row stands in it as a text that is made again
only when something in it moved: to encode 500 accounts anew costs 5 to 10 ms of each second.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gputally.model import Job
from gputally.node.attribution.accounts import Account, Nobodys
from gputally.node.attribution.bill import Bill
from gputally.node.attribution.lifecycle import MOST_EXIT_CODE, RUNNING, STATES
from gputally.node.attribution.teamcounters import Tally, TeamCounters
from gputally.node.identity.protocol import Evidence
from gputally.node.labels import label_text

Json = dict[str, Any]
SCHEMA = 2
READABLE = (1, 2)  # 1: before there was money
_quoted = json.encoder.encode_basestring_ascii
MOST_UNITS = 1 << 160  # of money or emissions, which are counted in very small ones
MOST = 1 << 62  # no counter gets there; and below it every sum becomes a float without an error
LONGEST = 4096  # characters of a path


@dataclass(slots=True)
class Contents:
    """Everything that the book remembers."""

    teams: TeamCounters
    accounts: dict[str, Account] = field(default_factory=dict)  # by job_id, in the order of opening
    other: Account | None = None  # of all jobs that found no room
    nobodys: Nobodys = field(default_factory=Nobodys)
    index: dict[str, str] = field(default_factory=dict)  # uuid -> the GPU's last known index
    tick_ns: int = 0  # boot clock


def to_json(contents: Contents) -> Json:
    """Everything, in rows."""
    nobodys, other = contents.nobodys, contents.other
    return {
        "schema": SCHEMA,
        "tick_ns": contents.tick_ns,
        "index": dict(contents.index),
        "jobs": [account.written or _account_row(account) for account in contents.accounts.values()],
        "other": None if other is None else other.written or _account_row(other),
        "teams": [tally.written or _team_row(tally) for tally in contents.teams],
        "nobodys_mj": [[uuid, reason, mj] for (uuid, reason), mj in nobodys.energy_mj.items()],
        "nobodys_cost": [[*key, units] for key, units in nobodys.cost.items()],
        "nobodys_held_ns": dict(nobodys.held_ns),
        "nobodys_busy_ns": dict(nobodys.busy_ns),
    }


def from_json(data: object, empty: TeamCounters) -> Contents:
    """The book again; the counters of teams go into `empty`.

    Raises ValueError on anything that `to_json` cannot have written.
    """
    try:
        return _contents(data, empty)
    except (KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__} in it") from error


def _account_row(account: Account) -> str:
    if not account.about:
        job, evidence = account.job, account.evidence
        texts = [job.job_id, job.scheduler, job.user, job.team, job.job_name, job.model, job.identity]
        found_by = [evidence.record, evidence.cgroup, evidence.leader, evidence.boot_id]
        life = [account.start_ns, account.end_ns, account.state, account.exit_code, account.folded]
        account.about = json.dumps([texts, found_by, life], separators=(",", ":"))
    used = ",".join([f"{_quoted(uuid)}:[{a},{i}]" for uuid, (a, i) in account.energy_mj.items()])
    account.written = (
        f"[{account.about},{account.seen_ns},{account.moved_ns}"
        f",{account.held_ns},{account.busy_ns},{{{used}}},{_bill_row(account.bill)}]"
    )
    return account.written


def _team_row(tally: Tally) -> str:
    texts = ",".join(map(_quoted, tally.key))
    counts = f"{tally.energy_mj},{tally.held_ns},{tally.busy_ns}"
    tally.written = f"[{texts},{counts},{_bill_row(tally.bill)}]"
    return tally.written


def _bill_row(bill: Bill) -> str:
    counts = f"{_amounts_row(bill.by_tariff_mj)},{bill.emissions},{bill.unused_mj}"
    return f"[{_amounts_row(bill.cost)},{counts},{_amounts_row(bill.unused_cost)}]"


def _amounts_row(amounts: Mapping[str, int]) -> str:
    return f"{{{','.join([f'{_quoted(name)}:{amount}' for name, amount in amounts.items()])}}}"


def _contents(data: Any, teams: TeamCounters) -> Contents:  # noqa: ANN401 - anything can stand in a file
    if data["schema"] not in READABLE:
        raise ValueError("another schema")
    for row in data["teams"]:
        team, user, model, energy_mj, held_ns, busy_ns, *bill = json.loads(row)
        key = _label(team), _label(user), _label(model)
        teams.add(Tally(key, _count(energy_mj), _count(held_ns), _count(busy_ns), _bill(bill)))
    contents = Contents(teams, tick_ns=_count(data["tick_ns"]))
    for row in data["jobs"]:
        account = _account(row, teams)
        if account.job.job_id in contents.accounts:
            raise ValueError("a job is there twice")
        contents.accounts[account.job.job_id] = account
    if data["other"] is not None:
        contents.other = _account(data["other"], TeamCounters(1, 1))  # each share has its own job's team
    contents.index = {_uuid(uuid): _label(index) for uuid, index in data["index"].items()}
    contents.nobodys = Nobodys(
        {(_uuid(uuid), _label(reason)): _count(mj) for uuid, reason, mj in data["nobodys_mj"]},
        {
            (_uuid(uuid), _label(reason), _label(currency)): _count(units, MOST_UNITS)
            for uuid, reason, currency, units in data.get("nobodys_cost", ())
        },
        {_uuid(uuid): _count(ns) for uuid, ns in data["nobodys_held_ns"].items()},
        {_uuid(uuid): _count(ns) for uuid, ns in data["nobodys_busy_ns"].items()},
    )
    return contents


def _account(row: str, teams: TeamCounters) -> Account:
    (texts, found_by, life), seen_ns, moved_ns, held_ns, busy_ns, energy_mj, *bill = json.loads(row)
    begun_ns, end_ns, state, code, folded = life
    if state not in STATES or (state == RUNNING) != (end_ns is None):
        raise ValueError("no state of a job")
    if type(folded) is not bool:
        raise ValueError("neither folded nor not")
    job = Job(*map(_label, texts))
    return Account(
        job,
        _evidence(found_by),
        start_ns=_count(begun_ns),
        seen_ns=_count(seen_ns),
        tally=teams.of(job),
        folded=folded,
        end_ns=None if end_ns is None else _count(end_ns),
        state=state,
        exit_code=None if code is None else _count(code, MOST_EXIT_CODE + 1),
        moved_ns=_count(moved_ns),
        energy_mj=_energy(energy_mj),
        held_ns=_count(held_ns),
        busy_ns=_count(busy_ns),
        bill=_bill(bill),
    )


def _bill(data: list[Any]) -> Bill:
    """The bill at the end of a row; none in a file from before there was money."""
    if not data:
        return Bill()
    ((cost, by_tariff_mj, emissions, unused_mj, unused_cost),) = data
    return Bill(
        _amounts(cost, MOST_UNITS),
        _amounts(by_tariff_mj, MOST),
        _count(emissions, MOST_UNITS),
        _count(unused_mj),
        _amounts(unused_cost, MOST_UNITS),
    )


def _amounts(data: Mapping[str, Any], most: int) -> dict[str, int]:
    return {_label(name): _count(amount, most) for name, amount in data.items()}


def _energy(data: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    energy_mj: dict[str, tuple[int, int]] = {}
    for uuid, parts in data.items():
        active_mj, idle_mj = _counts(parts, 2)
        energy_mj[_uuid(uuid)] = (active_mj, idle_mj)
    return energy_mj


def _evidence(data: list[Any]) -> Evidence:
    record, cgroup, leader, boot_id = data
    if leader is not None:
        pid, start_ticks = _counts(leader, 2)
        leader = pid, start_ticks
    return Evidence(_text(record), _text(cgroup), leader, _text(boot_id))


def _counts(data: list[Any], length: int) -> list[int]:
    if len(data) != length:
        raise ValueError(f"expected {length} counts, not {len(data)}")
    return [_count(number) for number in data]


def _count(value: object, most: int = MOST) -> int:
    """A number that is no float, no bool and not negative: no clock or counter here ever is."""
    if type(value) is not int or not 0 <= value < most:
        raise ValueError(f"expected a count, not this {type(value).__name__}")
    return value


def _text(value: object) -> str:
    if type(value) is not str or len(value) > LONGEST:
        raise ValueError(f"expected a text, not this {type(value).__name__}")
    return value


def _label(value: object) -> str:
    """A label value: the file may come from a time when the sanitiser was another."""
    return label_text(_text(value))


def _uuid(value: object) -> str:
    """A key that other parts know the GPU by; made printable it would be another GPU."""
    uuid = _text(value)
    if not uuid.isprintable():
        raise ValueError("no UUID")
    return uuid
