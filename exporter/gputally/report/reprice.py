"""Prices a range anew, with the tariff of a configuration file: what should it have cost?

A band of the tariff has one price as long as one version of it is in force, and the building one PUE for a
month. So the range is cut there, and the joules of each piece are priced by band: in which band who used
what, the nodes counted at the time. Bands without a fixed price (a market's; or `default`, of the time before
there was a tariff) are priced by the clock: the range is cut wherever the file's price changes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path

from gputally.config.settings import read_file
from gputally.config.strict import ConfigError
from gputally.model.clock import NS_PER_SECOND
from gputally.report import questions
from gputally.report.answers import Sample
from gputally.report.asking import Inquiry, Task
from gputally.report.failures import ReportError, WrongQuestion
from gputally.report.gathering import Key, Wanted, parts
from gputally.report.questions import Measure
from gputally.report.ranges import Part
from gputally.report.sheet import Amounts
from gputally.tables.columns import CURRENCY, Column
from gputally.tariff.declared import DEFAULT, Version
from gputally.tariff.rates import NANO, PUE_SCALE
from gputally.tariff.schedule import Schedule, Span

COLUMNS = (
    Column("kwh", "KWH", "kwh"),
    Column("cost_old", "COST OLD", "money"),
    Column("cost_new", "COST NEW", "money"),
    Column("difference", "DIFFERENCE", "money"),
    Column(CURRENCY, ""),
)
BAND = "tariff"
_UNDECLARED = DEFAULT.versions[0].bands[0].name
_MOST_QUESTIONS = 20_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the range in which every band has one price, and the building one PUE."""

    part: Part
    version: Version
    pue_e4: int
    price_nano: int | None = None  # of all that is asked for, where it is asked by the clock

    def price_of(self, band: str) -> int | None:
        """Price of a band that has one, in 1e-9 currency per kWh."""
        return next((one.price_nano for one in self.version.bands if one.name == band), None)


def read_schedule(path: Path) -> Schedule:
    """The tariff of a file. Raises WrongQuestion with the file's own complaint, or where it declares none."""
    try:
        site = read_file(path)["site"]
    except ConfigError as error:
        raise WrongQuestion(str(error)) from None
    tariff = getattr(site, "tariff", DEFAULT)
    if tariff.source == DEFAULT.source:
        raise WrongQuestion(f"{path}: there is no tariff in it")
    return Schedule(tariff)


class Pricing:
    """One range, one tariff: amounts by group, old and new."""

    def __init__(self, inquiry: Inquiry, schedule: Schedule, file: Path, wanted: Wanted) -> None:
        """`wanted.measures` are the energy by band, and the cost as it was counted."""
        self._inquiry, self._schedule, self._file, self._wanted = inquiry, schedule, file, wanted
        self._bands, self._cost = wanted.measures
        self._groups: dict[Key, Amounts] = {}

    def run(self) -> dict[Key, Amounts]:
        """Raises ReportError for energy that the file has no price for."""
        by_clock, unknown = self._price_by_band()
        if unknown:
            raise ReportError(
                f"{self._file}: energy was used in bands that have no price there: "
                f"{', '.join(sorted(unknown))}"
            )
        self._price_by_clock(by_clock)
        self._add_old_cost()
        for amounts in self._groups.values():
            _settle(amounts, self._schedule.tariff.currency)
        return self._groups

    def _price_by_band(self) -> tuple[dict[tuple[Part, str], Piece], set[str]]:
        """What is left: bands that have no fixed price where they were used, and those that nobody knows."""
        by_clock: dict[tuple[Part, str], Piece] = {}
        unknown: set[str] = set()
        whole = [
            piece for part in parts(self._inquiry, self._wanted.by) for piece in pieces(self._schedule, part)
        ]
        for piece, samples in self._answers(whole, (*self._wanted.labels, BAND), self._wanted.where):
            for sample in samples:
                band = sample.labels.get(BAND, "")
                price_nano = piece.price_of(band)
                if price_nano is not None:
                    self._add(piece, sample, price_nano)
                elif sample.value and band in (_UNDECLARED, piece.version.prices_name):
                    by_clock[piece.part, band] = piece
                elif sample.value:
                    unknown.add(band)
        return by_clock, unknown

    def _price_by_clock(self, uses: Mapping[tuple[Part, str], Piece]) -> None:
        by_band: dict[str, list[Piece]] = {}
        for (_part, band), piece in uses.items():
            if band != _UNDECLARED:
                self._require_prices(piece, band)
            by_band.setdefault(band, []).extend(stretches(self._schedule, piece))
        for band, some in by_band.items():
            if len(some) > _MOST_QUESTIONS:
                raise ReportError(
                    f"{self._file}: {len(some)} changes of the price of {band}; ask for fewer days"
                )
            where = ", ".join(
                part for part in (self._wanted.where, f'{BAND}="{questions.quoted(band)}"') if part
            )
            for piece, samples in self._answers(some, self._wanted.labels, where):
                for sample in samples:
                    self._add(piece, sample, piece.price_nano or 0)

    def _require_prices(self, piece: Piece, band: str) -> None:
        series = piece.version.prices
        if series is None or not series.starts_ns:
            raise ReportError(f"{self._file}: band {band} has no prices there")
        first_s, end_s = series.starts_ns[0] // NS_PER_SECOND, series.end_ns // NS_PER_SECOND
        if piece.part.from_s < first_s or piece.part.until_s > end_s:
            begin, end = (self._inquiry.range.moment(at).isoformat(" ", "minutes") for at in (first_s, end_s))
            raise ReportError(
                f"{self._file}: band {band} has a price of its own for every hour, and those of the file are "
                f"only from {begin} to {end}"
            )

    def _answers(
        self, some: Sequence[Piece], labels: Key, where: str
    ) -> Iterator[tuple[Piece, Sequence[Sample]]]:
        question = partial(_energy, self._bands, labels, where)
        tasks = [Task(self._bands.column, question, piece.part) for piece in some]
        for piece, (_task, samples) in zip(some, self._inquiry.answers(tasks), strict=True):
            yield piece, samples

    def _add(self, piece: Piece, sample: Sample, price_nano: int) -> None:
        amounts = self._group(sample, piece.part)
        amounts.add("kwh", sample.value)
        if price_nano < 0:
            self._inquiry.note("Prices below zero are counted as zero, as in the counters of cost.")
        cost = sample.value * max(0, price_nano) * piece.pue_e4 / (NANO * PUE_SCALE)
        amounts.add("cost_new", cost, self._schedule.tariff.currency)

    def _add_old_cost(self) -> None:
        question = partial(_energy, self._cost, self._wanted.labels, self._wanted.where)
        tasks = [Task("cost_old", question, part) for part in parts(self._inquiry, self._wanted.by)]
        for task, samples in self._inquiry.answers(tasks):
            for sample in samples:
                currency = sample.labels.get(CURRENCY, "")
                self._group(sample, task.part).add(task.column, sample.value, currency)

    def _group(self, sample: Sample, part: Part) -> Amounts:
        key = self._wanted.key(sample.key(self._wanted.labels), part.day)
        return self._groups.setdefault(key, Amounts())


def pieces(schedule: Schedule, part: Part) -> list[Piece]:
    """A part, cut where a version or a PUE begins, in the time zone of the file."""
    found: list[Piece] = []
    for span, _ns in schedule.over(part.from_s * NS_PER_SECOND, part.until_s * NS_PER_SECOND):
        version, pue_e4 = schedule.version_at(span.from_ns), span.rate.pue_e4
        before = found[-1] if found else None
        if before is None or before.version is not version or before.pue_e4 != pue_e4:
            found.append(Piece(_within(part, span), version, pue_e4))
        else:
            found[-1] = replace(before, part=replace(before.part, until_s=_within(part, span).until_s))
    return found


def stretches(schedule: Schedule, piece: Piece) -> list[Piece]:
    """A piece, cut where the price changes."""
    found: list[Piece] = []
    for span, _ns in schedule.over(piece.part.from_s * NS_PER_SECOND, piece.part.until_s * NS_PER_SECOND):
        part = _within(piece.part, span)
        if found and found[-1].price_nano == span.rate.price_nano:
            found[-1] = replace(found[-1], part=replace(found[-1].part, until_s=part.until_s))
        else:
            found.append(replace(piece, part=part, price_nano=span.rate.price_nano))
    return found


def _within(part: Part, span: Span) -> Part:
    """The part of a part that a span covers."""
    from_s, until_s = span.from_ns // NS_PER_SECOND, span.until_ns // NS_PER_SECOND
    return replace(part, from_s=max(part.from_s, from_s), until_s=min(part.until_s, until_s))


def _energy(measure: Measure, labels: Key, where: str, span: str) -> str:
    return questions.increase(measure, labels, span, where)


def _settle(amounts: Amounts, currency: str) -> None:
    """The difference, where both are in one currency."""
    columns = amounts.money.get(currency, {})
    if "cost_new" in columns and (len(amounts.money) == 1 or columns.get("cost_old")):
        columns["difference"] = columns["cost_new"] - columns.get("cost_old", Decimal(0))
