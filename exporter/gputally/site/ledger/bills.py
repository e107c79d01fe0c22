"""What bills have cost, day by day, as the ledger has it."""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal

from gputally.model.account import Charge
from gputally.site.ledger.money import amount_of
from gputally.site.ledger.store import Ledger

_CHARGES = """
SELECT charges.day, bills.provider, bills.account, charges.gpu_type, charges.team, charges.currency,
       SUM(charges.nano), SUM(charges.atto),
       CASE WHEN COUNT(*) = COUNT(charges.gpu_nanohours) THEN SUM(charges.gpu_nanohours) END
FROM charges JOIN bills ON bills.id = charges.bill_id
WHERE charges.day >= ? AND charges.day < ? {teams}
GROUP BY charges.day, bills.provider, bills.account, charges.gpu_type, charges.team, charges.currency
ORDER BY charges.day, bills.provider, bills.account, charges.gpu_type, charges.team, charges.currency
"""


def charges(ledger: Ledger, first: date, end: date, teams: Sequence[str] = ()) -> Iterator[Charge]:
    """Charges of days of UTC from `first` to before `end`, ordered by day; of some teams, or of all.

    Raises sqlite3.Error where the file cannot be read.
    """
    named = f"AND charges.team IN ({', '.join('?' * len(teams))})" if teams else ""
    rows = ledger.connection.execute(
        _CHARGES.format(teams=named), (first.isoformat(), end.isoformat(), *teams)
    )
    for day, provider, account, gpu_type, team, currency, nano, atto, hours in rows:
        yield Charge(
            date.fromisoformat(day),
            provider,
            account,
            gpu_type,
            team,
            currency,
            amount_of(nano, atto),
            None if hours is None else Decimal(hours).scaleb(-9),
        )
