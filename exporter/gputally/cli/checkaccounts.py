"""What `gputally check` says of accounts: bookings, ledger, budgets, whether files can be read."""

from collections.abc import Sequence
from pathlib import Path

from gputally.config.bills import read_ledger
from gputally.config.budgets import read_budgets
from gputally.config.reservations import read_reservations, read_reservations_block
from gputally.config.strict import ConfigError, Section
from gputally.model.budget import Budget

_MOST = 3  # budgets that are named


def accounts_of(root: Section, folder: Path) -> dict[str, str]:
    """A line each of what the file, which is good, declares. Files that it names may be elsewhere."""
    booked = read_reservations_block(root, folder, is_read=False)
    ledger, budgets = read_ledger(root, folder), read_budgets(root)
    lines = {
        "reservations": _reservations(booked.file) if booked is not None else "",
        "ledger": _ledger(ledger) if ledger is not None else "",
        "budgets": _budgets(budgets),
    }
    return {name: line for name, line in lines.items() if line}


def _reservations(file: Path) -> str:
    try:
        count = len(read_reservations(file).reservations)
    except ConfigError as error:
        return str(error)
    return f"{file}: {count} booking{'s' * (count != 1)}"


def _ledger(file: Path) -> str:
    """Not opened as what it is: SQLite would make files beside it, and a check changes nothing."""
    try:
        with file.open("rb") as opened:
            opened.read(1)
    except FileNotFoundError:
        lacks = "not there yet: an import makes it" if file.parent.is_dir() else "its folder is not there"
        return f"{file}: {lacks}"
    except OSError as error:
        return f"{file}: cannot be read: {error.strerror}"
    return f"{file}: can be read"


def _budgets(budgets: Sequence[Budget]) -> str:
    named = [f"{one.team} {one.amount:f} {one.currency} a {one.period}" for one in budgets[:_MOST]]
    more = len(budgets) - len(named)
    return ", ".join([*named, *([f"{more} more"] if more else [])])
