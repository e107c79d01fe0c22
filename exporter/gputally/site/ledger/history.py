"""Days of bills as OpenMetrics text, from which promtool makes blocks of a Prometheus.

Each day has one sample, at 12:00:00 UTC and as many seconds later as its sum has changed since: a sample that
was stored once cannot be changed, but a later one counts. So it is read by `last_over_time(NAME[1d])`, which
finds the last told sum of each day; a day whose charges are gone is told again, as 0.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

from gputally.site.ledger.money import amount_of
from gputally.site.ledger.store import Ledger

COST, HOURS = "gpu_cloud_cost_per_day", "gpu_cloud_gpu_hours_per_day"
MOST_REVISIONS = 12 * 3600 - 1  # a later second is of the next day
_NOON = 12 * 3600
_HELP = {
    COST: "What the bills of a day of UTC say, told at noon; read it with last_over_time(...[1d]).",
    HOURS: "GPU hours that the bills of a day of UTC have paid for, told at noon, likewise.",
}
_ROWS = """
SELECT provider, gpu_type, team, currency, day, nano, atto, gpu_nanohours, revision FROM day_sums
WHERE day >= ? AND day < ? ORDER BY provider, gpu_type, team, currency, day
"""
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class TooManyRevisions(Exception):
    """A day that was told anew too often to be told once more; `str()` is the day."""


def openmetrics(ledger: Ledger, first: date, end: date, first_revision: int = 0) -> Iterator[str]:
    """Lines of the text, with their ends; of days from `first` to before `end`.

    Raises TooManyRevisions; sqlite3.Error where the ledger cannot be read.
    """
    for family in (COST, HOURS):
        yield f"# TYPE {family} gauge\n"
        yield f"# HELP {family} {_HELP[family]}\n"
        rows = ledger.connection.execute(_ROWS, (first.isoformat(), end.isoformat()))
        for provider, gpu_type, team, currency, day, nano, atto, hours, revision in rows:
            value = amount_of(nano, atto) if family == COST else _hours(hours)
            if value is None:
                continue
            if revision + first_revision > MOST_REVISIONS:
                raise TooManyRevisions(day)
            labels = {"provider": provider, "card": gpu_type, "team": team, "currency": currency}
            shown = ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in labels.items())
            at = _noon(day) + revision + first_revision
            yield f"{family}{{{shown}}} {_number(value)} {at}\n"
    yield "# EOF\n"


def _hours(nanohours: int | None) -> Decimal | None:
    return None if nanohours is None else Decimal(nanohours).scaleb(-9)


def _noon(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) + _NOON


def _number(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
