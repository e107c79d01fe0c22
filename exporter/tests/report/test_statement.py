"""`gputally report statement` and `report budgets` as a person types them: real Prometheus, ledger, book."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from gputally.cli import main
from gputally.cli.accounts import _note_time
from gputally.model.budget import period_at, period_named
from gputally.report.asking import Inquiry
from gputally.report.ranges import Range
from gputally.site.ledger import store
from gputally.site.ledger.store import Ledger
from tests.report.conftest import Scene
from tests.report.inquiring import Scripted
from tests.report.truth import HOUR, JOBS

if TYPE_CHECKING:
    from collections.abc import Callable

    Say = Callable[..., tuple[int, str, str]]

EXACT = 0.0005
RATE = {"NVIDIA H100": 1.0, "NVIDIA A100": 0.5}
CENT = Decimal("0.01")


@dataclass(frozen=True)
class Site:
    """A configuration with a ledger and a book, and the period that is asked about."""

    scene: Scene
    config: Path
    from_s: int
    until_s: int


@pytest.fixture(scope="module")
def site(scene, tmp_path_factory) -> Site:
    """The world's month, as far as it has come."""
    folder, world = tmp_path_factory.mktemp("accounts"), scene.world
    period = period_at("month", world.days[-1])
    start_ns, _ = period.instants_ns(world.zone)
    from_s = max(start_ns // 10**9, world.start)
    if world.end - from_s < 4 * HOUR:
        pytest.skip("the month has only just begun")
    offset = datetime.fromtimestamp(from_s, world.zone)
    (folder / "reservations.yml").write_text(
        "reservations:\n"
        f"  - {{id: cvpr, team: vision, host: n1, gpus: [0], start: {offset.isoformat()}, "
        f"end: {(offset + timedelta(hours=3)).isoformat()}}}\n"
        "price: {per_gpu_hour: 1.25, currency: EUR}\n"
    )
    config = folder / "gputally.yml"
    config.write_text(f"""
site: {{timezone: {world.zone}}}
tariff: {{currency: EUR, price_per_kwh: 0.3}}
market: {{rates: {{EUR: 1.25}}}}
owned_gpus:
  - {{model: NVIDIA H100, capital: 35064, life_years: 4}}
  - {{model: NVIDIA A100, capital: 4383, life_years: 1}}
reservations: {{file: reservations.yml}}
ledger: {{file: ledger.sqlite}}
budgets:
  - team: nlp
    amount: 100
    currency: EUR
    carry_over: true
    carried: {{{period.name}: -1.234}}
    deposits: [{{date: {period.first}, amount: 20, note: grant}}]
    corrections: [{{date: {period.first}, amount: -0.005, note: "<b>odd</b>"}}]
  - {{team: vision, amount: 50, currency: USD}}
chargeback: {{idle: proportional, capital: true, owners: [{{team: vision, host: n1}}]}}
""")
    day = world.days[-1]
    bill = folder / "bill.csv"
    bill.write_text(
        "date,provider,gpu_type,cost,currency,team\n"
        f"{day},lambda,h100,7.0041,USD,nlp\n{day},lambda,l40s,-2,USD,nlp\n{day},other,h100,3,SEK,nlp\n"
    )
    with pytest.raises(SystemExit) as ended:
        main(["bills", "import", str(bill), f"--config.file={config}"])
    assert not ended.value.code
    return Site(scene, config, from_s, world.end)


@pytest.fixture
def say(site, capsys) -> Say:
    """Run a report in this process: how it ended and what it wrote."""

    def run(*arguments: str, url: str = site.scene.served.url) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["report", *arguments, f"--config.file={site.config}", f"--prometheus.url={url}"])
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    return run


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def amount(rows: list[dict[str, str]], *kinds: str, currency: str = "EUR") -> float:
    return -float(
        sum(
            (Decimal(row["amount"]) for row in rows if row["kind"] in kinds and row["currency"] == currency),
            Decimal(0),
        )
    )


def test_every_form_has_the_same_lines_and_their_sum_is_the_balance(say: Say) -> None:
    status, text, err = say("statement", "--team=nlp", "--format=csv")
    assert status == 0
    assert "note: " in err
    rows = lines(text)
    document = json.loads(say("statement", "--team=nlp", "--format=json")[1])
    table = say("statement", "--team=nlp")[1]
    assert [account["currency"] for account in document["accounts"]] == ["EUR", "SEK"]
    for account in document["accounts"]:
        own = [row for row in rows if row["currency"] == account["currency"]]
        total = sum((Decimal(row["amount"]) for row in own), Decimal(0))
        told = sum((Decimal(str(line["amount"])) for line in account["lines"]), Decimal(0))
        assert total == told == Decimal(str(account["balance"]))
        assert f"{total:,.2f}" in table
        assert [(row["kind"], row["for"]) for row in own] == [
            (line["kind"], line["for"]) for line in account["lines"]
        ]
    kinds = [row["kind"] for row in rows if row["currency"] == "EUR"]
    assert kinds[:4] == ["budget", "carried over", "deposit", "correction"]
    assert {"energy", "idle energy", "capital", "idle capital", "bill"} <= set(kinds)


def test_amounts_are_what_the_world_has_used(site: Site, say: Say) -> None:
    rows = lines(say("statement", "--team=nlp", "--format=csv")[1])
    world = site.scene.world
    energy = world.of(site.from_s, site.until_s, "cost", team="nlp")
    assert amount(rows, "energy") == pytest.approx(energy, rel=EXACT, abs=0.02)
    capital = 0.0
    for job in (job for job in JOBS if job.team == "nlp"):
        for uuid in job.cards:
            low, high = (world.before_end(hours) for hours in (job.from_h, job.until(uuid)))
            held = max(0, min(high, site.until_s) - max(low, site.from_s))
            capital += held / HOUR * RATE[world.cards[uuid].card.name]
    assert amount(rows, "capital") == pytest.approx(capital, rel=EXACT, abs=0.02)
    assert amount(rows, "bill") == pytest.approx((7.0041 - 2) / 1.25, abs=0.0101)
    assert amount(rows, "bill", currency="SEK") == 3


def test_all_teams_and_the_house_are_all_that_there_was(site: Site, say: Say) -> None:
    rows = lines(say("budgets", "--format=csv")[1])
    world = site.scene.world
    by_team = {(row["team"], row["currency"]): row for row in rows}
    assert {team for team, _ in by_team} >= {"nlp", "vision", "tools"}
    euro = {"EUR": 1.0, "USD": 1 / 1.25}
    energy = sum(float(row["energy"]) * euro.get(row["currency"], 0) for row in rows)
    used = sum(meter.between("cost", site.from_s, site.until_s) for meter in world.cards.values())
    assert energy == pytest.approx(used, rel=EXACT, abs=0.05)
    for row in rows:
        left = Decimal(row["credit"]) - Decimal(row["spent"])
        assert left == Decimal(row["balance"])
    statement = lines(say("statement", "--team=nlp", "--format=csv")[1])
    spent = -sum(Decimal(row["amount"]) for row in statement if row["currency"] == "EUR") + Decimal("118.76")
    assert abs(spent - Decimal(by_team["nlp", "EUR"]["spent"])) <= 5 * CENT  # a second later


def test_bookings_are_charged_and_owners_see_others(say: Say) -> None:
    document = json.loads(say("statement", "--team=vision", "--format=json")[1])
    (account,) = document["accounts"]
    assert account["currency"] == "USD"
    (booked,) = (line for line in account["lines"] if line["kind"] == "reservation")
    assert (booked["for"], booked["quantity"], booked["amount"]) == ("cvpr (3.75 EUR at 1.25)", 3, -4.69)
    assert {other["team"] for other in document["others"]} == {"nlp", "tools"}
    assert all(other["host"] == "n1:9836" and other["gpu_hours"] > 0 for other in document["others"])


@pytest.mark.fault("statement-gaps")
def test_what_is_not_all_of_the_month_is_said(site: Site, say: Say) -> None:
    notes = json.loads(say("statement", "--team=nlp", "--format=json")[1])["notes"]
    assert any(re.search(r"has not ended: until \d{4}-\d\d-\d\d \d\d:\d\d", note) for note in notes)
    begins = any("Prometheus' data begin at" in note for note in notes)
    assert begins == (site.from_s == site.scene.world.start)
    assert not any(note.startswith("To carry over: declare ") for note in notes)
    assert "No rate to EUR is declared for SEK (market.rates): shown apart." in notes


def test_data_of_the_last_minutes_alone_are_said_too() -> None:
    period = period_named("2026-11")
    start_ns, end_ns = period.instants_ns(ZoneInfo("UTC"))
    now_s = start_ns // 10**9 + 20 * 86_400
    server = Scripted(lambda *_: [])
    asked = Inquiry(server, Range(start_ns // 10**9, now_s, ZoneInfo("UTC")), now_s)
    _note_time(asked, period, end_ns // 10**9)
    assert (
        "Prometheus' data begin at 2026-11-21 00:00: what was used in 2026-11 before is in no line."
        in asked.notes
    )


class Page(HTMLParser):
    """Cells, and whether every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "td":
            self.cells.append(data)


def test_the_page_to_print_is_whole_and_nothing_in_it_is_a_tag(say: Say) -> None:
    status, text, _ = say("statement", "--team=nlp", "--format=html")
    page = Page()
    page.feed(text)
    page.close()
    assert (status, page.open) == (0, [])
    assert "<b>odd</b>" in page.cells
    assert "http" not in text
    rows = lines(say("statement", "--team=nlp", "--format=csv")[1])
    assert {row["for"] for row in rows} <= set(page.cells)


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--team=nobody",), "--team nobody: has no budget and no cost in"),
        (("--team=nlp", "--month=2026-Q4"), "--month 2026-Q4: a quarter; --period takes it"),
        (("--team=nlp", "--month=november"), "--month: expected a period such as 2026-11"),
        (("--team=nlp", "--month=2026-11", "--period=2026"), "either --month or --period"),
        (("--team=nlp", "--month=2999-01"), "2999-01 has not begun"),
    ],
)
def test_a_question_without_an_answer_is_refused(say: Say, flags: tuple[str, ...], why: str) -> None:
    status, out, err = say("statement", *flags)
    assert (status, out) == (2, "")
    assert why in err
    assert err.count("\n") == 1


@pytest.mark.fault("statement-gaps")
def test_a_month_of_which_nothing_is_known_is_an_error(say: Say) -> None:
    status, _, err = say("statement", "--team=nlp", "--month=2021-01")
    assert status == 1
    assert "no data from 2021-01-01 00:00" in err


@pytest.mark.fault("ledger-damaged")
def test_a_ledger_that_is_none_is_an_error(site: Site, say: Say) -> None:
    ledger = site.config.with_name("ledger.sqlite")
    content = ledger.read_bytes()
    try:
        ledger.write_bytes(b"no database at all" * 100)
        status, _, err = say("budgets")
    finally:
        ledger.write_bytes(content)
    assert status == 1
    assert "ledger.sqlite" in err
    assert err.count("\n") == 1


def test_a_ledger_that_is_written_while_nothing_guards_it_is_no_statement(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unguarded(path: Path) -> Ledger:
        """Opened as in a folder where one may not write, and another file by the time it was read."""
        return Ledger(path, store._opened(path, "ro&immutable=1"), ())

    monkeypatch.setattr(Ledger, "open", unguarded)
    status, _, err = say("budgets")
    assert status == 1
    assert "was written while it was read" in err
    assert err.count("\n") == 1


@pytest.mark.fault("report-unanswered")
def test_nobody_who_answers_and_a_configuration_that_is_none_are_one_line_each(
    say: Say, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = say("budgets", url="http://127.0.0.1:9")
    assert (status, err.count("\n")) == (1, 1)
    assert "is Prometheus running?" in err
    bad = tmp_path / "bad.yml"
    bad.write_text("budgets: [{team: nlp, amount: 1}]\n")
    for flags, why in (
        ([f"--config.file={bad}"], "budgets[0]: expected at least team, amount and currency"),
        ([f"--config.file={tmp_path / 'none.yml'}"], "none.yml"),
        ([], "--config.file"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["report", "statement", "--team=nlp", *flags])
        written = capsys.readouterr()
        assert (ended.value.code, written.out) == (2, "")
        assert why in written.err
        assert written.err.count("\n") == 1
