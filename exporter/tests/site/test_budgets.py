"""What the site agent shows of budgets: laid on the calendar, with what bookings and bills cost by then."""

from __future__ import annotations

import signal
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from gputally.config.chargeback import Chargeback
from gputally.config.rentals import Rental
from gputally.model.account import Charge
from gputally.model.budget import Budget, BudgetFigures
from gputally.model.reservation import Reservation
from gputally.site.budgets.figures import Sources, Terms, figures, first_day
from tests.agent.preload import Preload, preload_library
from tests.cli.command import gputally

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.agent.watching import Scrape
    from tests.site.running import RunningSite

    Site = Callable[..., RunningSite]

__all__ = ["preload_library"]

BERLIN = ZoneInfo("Europe/Berlin")
MONTH = Budget("nlp", "month", Decimal(1000), "EUR", carry_over=True, carried={"2026-11": Decimal(20)})
HOUR_NS = 3_600_000_000_000


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()) * 1_000_000_000


def terms(*budgets: Budget, **more: object) -> Terms:
    return replace(Terms(budgets or (MONTH,), BERLIN, "EUR"), **more)  # type: ignore[arg-type]


def family(found: BudgetFigures, name: str) -> dict[tuple[str, ...], float]:
    return dict(found.families.get(f"site_budget_{name}", {}))


def charge(day: date, amount: str, currency: str = "EUR", team: str = "nlp", provider: str = "aws") -> Charge:
    return Charge(day, provider, "a", "h100", team, currency, Decimal(amount), None)


@pytest.mark.fault("statement-clocks")
@pytest.mark.parametrize(
    ("now", "name", "hours"),
    [
        ("2026-10-31T23:59", "2026-10", 745),
        ("2026-11-01T00:00", "2026-11", 720),
        ("2026-03-01T00:00", "2026-03", 743),
    ],
)
def test_a_period_is_whole_days_of_the_site(now, name, hours):
    found = figures(terms(), Sources(), at(now))
    assert family(found, "info") == {("nlp", "month", name, "EUR"): 1}
    (start,), (end,) = (
        family(found, f"period_{edge}_timestamp_seconds").values() for edge in ("start", "end")
    )
    assert (end - start) / 3600 == hours
    assert start == at(f"{name}-01T00:00") / 1e9
    assert family(found, "carry_over_missing") == {("nlp",): name != "2026-11"}
    assert family(found, "credit")["nlp", "EUR", "carried"] == (20 if name == "2026-11" else 0)


def test_thresholds_parts_and_rates_are_told():
    found = figures(
        terms(chargeback=Chargeback("none", capital=True), rates={"EUR": Decimal("1.25")}),
        Sources(),
        at("2026-11-05T10:00"),
    )
    assert family(found, "threshold_ratio") == {("nlp", "50"): 0.5, ("nlp", "80"): 0.8, ("nlp", "100"): 1}
    assert set(family(found, "includes")) == {("nlp", "energy"), ("nlp", "capital")}
    assert family(found, "rate") == {("nlp", "EUR"): 1, ("nlp", "USD"): 0.8}
    assert set(family(figures(terms(), Sources(), 0), "includes")) == {("nlp", "energy")}


@pytest.mark.fault("statement-currency")
def test_bills_of_the_period_count_and_those_without_a_rate_stand_apart():
    bills = [
        charge(date(2026, 10, 31), "1"),
        charge(date(2026, 11, 1), "2"),
        charge(date(2026, 11, 4), "4"),
        charge(date(2026, 11, 4), "8", team="vision"),
        charge(date(2026, 11, 4), "-16", "USD"),
    ]
    found = figures(terms(), Sources(charges=bills), at("2026-11-05T10:00"))
    assert family(found, "declared_cost") == {("nlp", "EUR", "bills"): 6}
    assert family(found, "left_out_cost") == {("nlp", "USD", "bills"): -16}
    exchanged = figures(terms(rates={"EUR": Decimal("1.6")}), Sources(charges=bills), at("2026-11-05T10:00"))
    assert family(exchanged, "declared_cost") == {("nlp", "EUR", "bills"): -4}


def test_bookings_and_rentals_count_as_far_as_they_have_come():
    booked = Reservation(
        "cvpr",
        "nlp",
        (),
        "n1",
        ("0", "1"),
        2,
        at("2026-10-31T12:00"),
        at("2026-11-03T00:00"),
        price_per_gpu_hour=Decimal(1),
        currency="EUR",
    )
    rental = Rental("box", "lambda", "h100", 2, Decimal("0.5"), team="nlp")
    what = terms(rates={"EUR": Decimal(1)}, rentals=(rental,))
    found = figures(what, Sources(reservations=[booked]), at("2026-11-02T00:00"))
    assert family(found, "declared_cost") == {
        ("nlp", "EUR", "reservations"): 48,
        ("nlp", "EUR", "rental"): 24,
    }
    billed = Sources(reservations=[booked], charges=[charge(date(2026, 11, 1), "9", provider="Lambda")])
    assert family(figures(what, billed, at("2026-11-02T00:00")), "declared_cost") == {
        ("nlp", "EUR", "reservations"): 48,
        ("nlp", "EUR", "bills"): 9,  # instead of the rental
    }


def test_the_ledger_is_asked_since_the_longest_period_began():
    year = Budget("vision", "year", Decimal(1), "EUR")
    assert first_day(terms(MONTH, year), at("2026-11-02T00:00")) == date(2026, 1, 1)


DECLARED = """
site: {{timezone: UTC}}
tariff: {{currency: EUR, price_per_kwh: 0.3}}
ledger: {{file: ledger.sqlite}}
budgets: [{{team: nlp, amount: {amount}, currency: EUR}}]
"""


@pytest.mark.fault("ledger-away")
def test_the_agent_follows_its_configuration_and_its_ledger(new_site: Site, tmp_path: Path) -> None:
    config, today = tmp_path / "g.yml", datetime.now(UTC).date()
    config.write_text(DECLARED.format(amount=100))
    running = new_site(f"--config.file={config}")
    running.start()
    scrape = running.wait_until(lambda s: s.series("site_budget_credit"))
    assert scrape.value("site_budget_credit", part="amount", team="nlp", currency="EUR") == 100
    assert scrape.value("site_budget_source_up", source="ledger") == 1  # nothing has been imported yet
    bill = tmp_path / "bill.csv"
    bill.write_text(f"date,provider,gpu_type,cost,currency,team\n{today},lambda,h100,12.5,EUR,nlp\n")
    done = gputally("bills", "import", bill.name, f"--config.file={config}", folder=tmp_path)
    assert done.status == 0, done.err
    config.write_text(DECLARED.format(amount=250))
    running.signal(signal.SIGHUP)
    scrape = running.wait_until(lambda s: s.series("site_budget_declared_cost"))
    assert scrape.value("site_budget_declared_cost", part="bills", team="nlp", currency="EUR") == 12.5
    assert scrape.value("site_budget_credit", part="amount", team="nlp", currency="EUR") == 250
    assert scrape.value("site_budget_source_up", source="ledger") == 1
    ledger, kept = tmp_path / "ledger.sqlite", tmp_path / "kept"
    ledger.rename(kept)
    running.signal(signal.SIGHUP)  # else it is looked at once a minute
    running.wait_until(lambda s: s.value("site_budget_source_up", source="ledger") == 0)
    assert len(running.lines("budgets:")) == 1
    assert (
        running.scrape().value("site_budget_declared_cost", part="bills", team="nlp", currency="EUR") == 12.5
    )
    kept.rename(ledger)
    config.write_text(DECLARED.format(amount="ten"))
    running.signal(signal.SIGHUP)
    running.wait_until(lambda s: s.value("gputally_config_last_reload_success") == 0)
    assert running.scrape().value("site_budget_credit", part="amount", team="nlp", currency="EUR") == 250
    config.write_text("site: {timezone: UTC}\n")
    running.signal(signal.SIGHUP)
    running.wait_until(lambda s: not s.series("site_budget_info"))


@pytest.mark.fault("ledger-away")
def test_a_ledger_on_a_disk_that_hangs_keeps_no_budget_from_being_laid_on_the_calendar(
    new_site: Site, preload_library: Path, tmp_path: Path
) -> None:
    """Its bills stay as they were, a metric says so, and what is declared anew counts."""
    config, folder = tmp_path / "g.yml", tmp_path / "accounts"
    folder.mkdir()
    declared = DECLARED.replace("ledger.sqlite", "accounts/ledger.sqlite")
    config.write_text(declared.format(amount=100))
    bill = tmp_path / "bill.csv"
    bill.write_text(
        f"date,provider,gpu_type,cost,currency,team\n{datetime.now(UTC).date()},a,h100,12.5,EUR,nlp\n"
    )
    assert gputally("bills", "import", bill.name, f"--config.file={config}", folder=tmp_path).status == 0
    preload = Preload(preload_library, tmp_path / "preload.control", folder)
    running = new_site(f"--config.file={config}", env=preload.env)
    running.start()

    def shows(scrape: Scrape, amount: float, up: float) -> bool:
        bills = scrape.value("site_budget_declared_cost", part="bills", team="nlp", currency="EUR")
        credit = scrape.value("site_budget_credit", part="amount", team="nlp", currency="EUR")
        return (bills, credit, scrape.value("site_budget_source_up", source="ledger")) == (12.5, amount, up)

    running.wait_until(lambda s: shows(s, 100, 1), what="the bill")
    preload.hang_disk()
    (folder / "ledger.sqlite").touch()
    config.write_text(declared.format(amount=250))
    running.signal(signal.SIGHUP)
    running.wait_until(lambda s: shows(s, 250, 0), what="a disk that hangs", timeout=40)
    config.write_text(declared.format(amount=300))
    running.signal(signal.SIGHUP)
    running.wait_until(lambda s: shows(s, 300, 0), what="another budget meanwhile", timeout=40)
    assert len(running.lines("budgets:")) == 1
    preload.heal_disk()
    running.signal(signal.SIGHUP)
    running.wait_until(lambda s: shows(s, 300, 1), what="the disk again", timeout=90)
    preload.hang_disk()
    (folder / "ledger.sqlite").touch()
    running.signal(signal.SIGHUP)
    assert running.terminate()[0] == 0
