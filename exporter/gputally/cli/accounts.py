"""What accounts are made of: the configuration, what Prometheus counted, what was booked, what was billed."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from gputally.cli.options import combine
from gputally.config.chargeback import is_host
from gputally.config.market import MarketSettings
from gputally.config.settings import SiteSettings
from gputally.model.account import Charge
from gputally.model.budget import Budget, Period, period_at, period_named
from gputally.model.clock import NS_PER_SECOND
from gputally.report.asking import Inquiry, Progress, Server
from gputally.report.charging import Booked, Records, Terms, charge
from gputally.report.failures import ReportError, WrongQuestion
from gputally.report.gathering import require_data
from gputally.report.machines import NOTHING, Machine, Measured, data_begin_s, measure
from gputally.report.ranges import Range
from gputally.report.site import note_default_price
from gputally.report.statement import Ledgers, Used

_LATE_S = 600  # data that begin so much later than the period are not of all of it
THIS = "month"


@dataclass(slots=True)
class Books:
    """Asks for the accounts of periods, each of them once."""

    settings: SiteSettings
    server: Server
    now_s: int
    progress: Progress

    @property
    def zone(self) -> ZoneInfo:
        """Whose calendar counts: that of the configuration."""
        return ZoneInfo(self.settings.site.tariff.timezone)

    @property
    def today(self) -> date:
        """The day at the site."""
        return Range(0, self.now_s, self.zone).moment(self.now_s).date()

    def budget_of(self, team: str) -> Budget | None:
        """What is declared for a team."""
        return next((one for one in self.settings.budgets if one.team == team), None)

    def period(self, name: str, *, month: bool = False) -> Period:
        """The period of that name; `month` is this one. Raises WrongQuestion."""
        try:
            found = period_at("month", self.today) if name == THIS else period_named(name)
        except ValueError as error:
            raise WrongQuestion(f"{'--month' if month else '--period'}: {error}") from None
        if month and found.kind != "month":
            raise WrongQuestion(f"--month {name}: a {found.kind}; --period takes it")
        return found

    def of(self, period: Period) -> Ledgers:
        """All postings of a period so far. Raises ReportError."""
        start_ns, end_ns = period.instants_ns(self.zone)
        whole = Range(start_ns // NS_PER_SECOND, min(end_ns // NS_PER_SECOND, self.now_s), self.zone)
        if whole.from_s >= whole.until_s:
            raise WrongQuestion(f"{period.name} has not begun")
        inquiry = Inquiry(self.server, whole, self.now_s, self.progress)
        measured = measure(inquiry)
        if not measured.machines():
            require_data(inquiry)
        note_default_price(inquiry)
        _note_time(inquiry, period, end_ns // NS_PER_SECOND)
        records = Records(whole.seconds, self._booked(whole), self._charges(inquiry, period))
        terms = self._terms(measured)
        postings, notes = charge(measured, records, terms)
        market = self.settings.market or MarketSettings()
        return Ledgers(
            period,
            min(self.today, period.end - timedelta(days=1)),
            postings,
            market.rates,
            terms.currency,
            (*inquiry.notes, *notes),
            end_ns // NS_PER_SECOND <= self.now_s,
            self._owned(measured),
            _used(measured),
        )

    def _terms(self, measured: Measured) -> Terms:
        told = self.settings
        return Terms(
            told.site.tariff.currency,
            told.chargeback,
            {gpu.model: gpu.rate_per_hour for gpu in told.owned_gpus},
            told.rentals,
            _tflops(measured, (told.market or MarketSettings()).aliases),
        )

    def _booked(self, whole: Range) -> list[Booked]:
        from gputally.site.reservations.hours import charged  # noqa: PLC0415 - not where nothing is booked

        told = self.settings.reservations
        if told is None:
            return []
        return [
            Booked(
                one.reservation,
                one.team,
                Decimal(one.gpu_hours.numerator) / one.gpu_hours.denominator,
                one.amount,
                one.currency,
            )
            for one in charged(
                told.book.reservations, whole.from_s * NS_PER_SECOND, whole.until_s * NS_PER_SECOND
            )
            if one.amount is not None
        ]

    def _charges(self, inquiry: Inquiry, period: Period) -> Sequence[Charge]:
        file = self.settings.ledger_file
        if file is None:
            return ()
        from gputally.site.ledger.bills import charges  # noqa: PLC0415 - brings SQLite, for who has a ledger
        from gputally.site.ledger.store import Ledger, LedgerError, is_there  # noqa: PLC0415 - as above

        try:
            if not is_there(file):
                inquiry.note(f"There is no ledger yet ({file}): nothing has been imported.")
                return ()
            with Ledger.open(file) as ledger:
                return list(charges(ledger, period.first, period.end))
        except (LedgerError, sqlite3.Error) as error:
            raise ReportError(str(error)) from None

    def _owned(self, measured: Measured) -> dict[str, list[Machine]]:
        owned: dict[str, list[Machine]] = {}
        for owner in self.settings.chargeback.owners:
            owned.setdefault(owner.team, []).extend(
                machine for machine in measured.machines() if is_host(machine[1], owner.host)
            )
        return owned


def open_settings(file: Path) -> SiteSettings:
    """The configuration of the site agent. Raises click.UsageError with file, line and key."""
    return combine(file, {}, SiteSettings)


def _note_time(inquiry: Inquiry, period: Period, end_s: int) -> None:
    whole = inquiry.range
    if whole.until_s < end_s:
        until = whole.moment(whole.until_s).strftime("%Y-%m-%d %H:%M")
        inquiry.note(f"{period.name} has not ended: until {until} {whole.zone}.")
    begin_s = data_begin_s(inquiry)
    if begin_s is None:
        begin_s = whole.until_s  # there are some, and younger than what is looked for
    if begin_s > whole.from_s + _LATE_S:
        since = whole.moment(begin_s).strftime("%Y-%m-%d %H:%M")
        inquiry.note(
            f"Prometheus' data begin at {since}: what was used in {period.name} before is in no line."
        )


def _used(measured: Measured) -> dict[tuple[Machine, str], Used]:
    found: dict[tuple[Machine, str], Used] = {}
    for (machine, team, _user), amounts in measured.teams.items():
        before = found.get((machine, team), Used(NOTHING, NOTHING))
        found[machine, team] = Used(
            before.gpu_hours + amounts.numbers.get("gpu_hours", NOTHING),
            before.kwh + amounts.numbers.get("kwh", NOTHING),
        )
    return found


def _tflops(measured: Measured, aliases: Mapping[str, str]) -> dict[str, Decimal]:
    """What data sheets say of the cards that were seen, as far as the catalogue knows them."""
    from gputally.site.market.cards import load  # noqa: PLC0415 - reads the catalogue

    catalogue = load(aliases)
    found = {}
    for name in {name for kinds in measured.kinds.values() for name in kinds}:
        slug = catalogue.card_of(name)
        tflops = catalogue.cards[slug].bf16_dense_tflops if slug is not None else None
        if tflops:
            found[name] = Decimal(str(tflops))
    return found
