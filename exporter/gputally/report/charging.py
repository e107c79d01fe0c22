"""Who is charged for what: measured use and declared prices become postings, team by team. Pure, and exact.

Whatever nobody is charged for is posted to the house, so that the postings of a range are all that it cost.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext

from gputally.config.chargeback import Chargeback, is_host
from gputally.config.rentals import Rental
from gputally.model.account import Charge
from gputally.report.machines import DIGITS, NOTHING, Machine, Measured, divided

HOUSE = ""  # the team of what nobody is charged for
# Kind of a posting -> the part of a budget that pays for it.
KINDS = {
    "energy": "energy",
    "idle energy": "energy",
    "capital": "capital",
    "idle capital": "capital",
    "rental": "capital",
    "reservation": "reservations",
    "bill": "bills",
}


@dataclass(frozen=True, slots=True)
class Booked:
    """What a reservation has come to in the range."""

    id: str
    team: str
    gpu_hours: Decimal
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Terms:
    """Prices and rules of a site."""

    currency: str  # of the tariff, and of owned GPUs
    chargeback: Chargeback
    # Name of a card -> what an hour of owning it costs.
    own: Mapping[str, Decimal] = field(default_factory=dict)
    rentals: tuple[Rental, ...] = ()
    tflops: Mapping[str, Decimal] = field(default_factory=dict)  # name of a card -> by its data sheet

    def rental_of(self, machine: Machine) -> str | None:
        """The rental that a machine belongs to."""
        return next((name for host, name in self.chargeback.rented if is_host(machine[1], host)), None)


@dataclass(frozen=True, slots=True)
class Posting:
    """One cost of one team. A refund is negative."""

    kind: str
    team: str
    text: str  # the user, the card, the machine, the booking, the bill
    amount: Decimal
    currency: str
    quantity: Decimal | None = None
    unit: str = ""
    machine: Machine | None = None


@dataclass(frozen=True, slots=True)
class Records:
    """What was declared and imported about the range."""

    seconds: int  # how long the range is
    booked: Sequence[Booked] = ()
    charges: Sequence[Charge] = ()


def charge(measured: Measured, records: Records, terms: Terms) -> tuple[list[Posting], list[str]]:
    """All postings, and what has to be said of them."""
    notes: list[str] = []
    with localcontext() as context:
        context.prec = DIGITS
        postings = [
            *_energy(measured, terms),
            *_capital(measured, terms),
            *_idle(measured, terms),
            *_rentals(measured, records, terms, notes),
            *(
                Posting("reservation", one.team, one.id, one.amount, one.currency, one.gpu_hours, "GPU h")
                for one in records.booked
            ),
            *_bills(records.charges),
        ]
    unknown = {
        name
        for kinds in measured.kinds.values()
        for name in kinds
        if terms.chargeback.capital and name not in terms.own
    }
    if unknown:
        notes.append(f"No capital of {', '.join(sorted(unknown))}: not among owned_gpus.")
    return postings, notes


def _energy(measured: Measured, terms: Terms) -> Iterator[Posting]:
    for (machine, team, user), amounts in sorted(measured.teams.items(), key=lambda item: item[0]):
        if terms.rental_of(machine) is None:  # the power of a rented machine is in its rent
            for currency, columns in sorted(amounts.money.items()):
                kwh = amounts.numbers.get("kwh", NOTHING)
                yield Posting("energy", team, user, columns["cost"], currency, kwh, "kWh", machine)


def _capital(measured: Measured, terms: Terms) -> Iterator[Posting]:
    for machine in measured.machines():
        if terms.rental_of(machine) is None and terms.chargeback.capital:
            for team, by_name in sorted(measured.hours(machine).items()):
                for name, hours in sorted(by_name.items()):
                    if rate := terms.own.get(name):
                        amount = hours * rate
                        yield Posting("capital", team, name, amount, terms.currency, hours, "GPU h", machine)


def _idle(measured: Measured, terms: Terms) -> Iterator[Posting]:
    """What nobody held, by machine: among those who had something of it, or for the house."""
    for machine in measured.machines():
        if terms.rental_of(machine) is not None:
            continue
        shares = shares_of(measured, [machine], terms)
        nobodys = measured.nobodys.get(machine)
        for currency, columns in sorted(nobodys.money.items()) if nobodys is not None else ():
            kwh = nobodys.numbers.get("unused_kwh", NOTHING) if nobodys is not None else NOTHING
            amount = columns.get("unused_cost", NOTHING)
            yield from _shared("idle energy", machine, shares, (amount, currency), (kwh, "kWh"))
        if terms.chargeback.capital:
            waiting = measured.waiting.get(machine, {})
            own = {name: hours for name, hours in waiting.items() if name in terms.own}
            amount = sum((hours * terms.own[name] for name, hours in own.items()), NOTHING)
            hours = sum(own.values(), NOTHING)
            yield from _shared("idle capital", machine, shares, (amount, terms.currency), (hours, "GPU h"))


def shares_of(measured: Measured, machines: Iterable[Machine], terms: Terms) -> dict[str, Decimal]:
    """Team -> weight of its part of what nobody held of these machines; none where the house pays."""
    if terms.chargeback.idle == "none":
        return {}
    found = contributions(measured, machines, terms.tflops)
    return dict.fromkeys(found, Decimal(1)) if terms.chargeback.idle == "equal" else found


def contributions(
    measured: Measured, machines: Iterable[Machine], tflops: Mapping[str, Decimal]
) -> dict[str, Decimal]:
    """Team -> GPUs x TFLOPS x hours that it had of machines. All cards count alike where one is not known."""
    places = list(machines)
    names = {name for machine in places for name in measured.kinds.get(machine, {})}
    known = bool(names) and names <= tflops.keys()
    found: dict[str, Decimal] = {}
    for machine in places:
        for team, by_name in measured.hours(machine).items():
            weight = sum((hours * (tflops[name] if known else 1) for name, hours in by_name.items()), NOTHING)
            found[team] = found.get(team, NOTHING) + weight
    return found


def _shared(
    kind: str,
    machine: Machine,
    shares: Mapping[str, Decimal],
    money: tuple[Decimal, str],
    quantity: tuple[Decimal, str],
) -> Iterator[Posting]:
    amount, currency = money
    if not amount:
        return
    parts = divided(amount, shares) or {HOUSE: amount}
    quantities = divided(quantity[0], shares) or {HOUSE: quantity[0]}
    for team, part in parts.items():
        yield Posting(kind, team, machine[1], part, currency, quantities[team], quantity[1], machine)


def _rentals(measured: Measured, records: Records, terms: Terms, notes: list[str]) -> Iterator[Posting]:
    """Rent of a team's own, and of machines that several share, by what each of them had."""
    billed = {(one.provider.casefold(), one.team) for one in records.charges}
    for rental in terms.rentals:
        provider = rental.provider.casefold()
        if any(name == provider and rental.team in ("", team) for name, team in billed):
            notes.append(
                f"Rental {rental.name} is left out: there is a bill of {rental.provider} for this time."
            )
            continue
        amount = rental.usd(records.seconds)
        hours = rental.gpus * rental.hours_per_day * records.seconds / 86_400
        machines = [one for one in measured.machines() if terms.rental_of(one) == rental.name]
        shares = {rental.team: Decimal(1)}
        if not rental.team:
            shares = contributions(measured, machines, terms.tflops) or {HOUSE: Decimal(1)}
        quantities = divided(hours, shares)
        for team, part in divided(amount, shares).items():
            yield Posting("rental", team, rental.name, part, "USD", quantities[team], "GPU h")


def _bills(charges: Iterable[Charge]) -> Iterator[Posting]:
    """Bills by provider, account and kind of GPU."""
    sums: dict[tuple[str, ...], tuple[Decimal, Decimal | None]] = {}
    for one in charges:
        key = (one.team, one.provider, one.account, one.gpu_type, one.currency)
        amount, hours = sums.get(key, (NOTHING, None))
        if one.gpu_hours is not None:
            hours = (hours or NOTHING) + one.gpu_hours
        sums[key] = (amount + one.amount, hours)
    for (team, provider, account, gpu, currency), (amount, hours) in sorted(sums.items()):
        text = " ".join(part for part in (provider, account, gpu) if part)
        yield Posting("bill", team, text, amount, currency, hours, "GPU h" if hours is not None else "")
