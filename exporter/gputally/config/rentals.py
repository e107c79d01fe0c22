"""The blocks `rentals` and `plans`: what is rented, and what will be, to be compared with what is on offer.

rentals:
  - {name: training, team: nlp, provider: lambda, card: h100-sxm5-80gb, gpus: 4, usd_per_gpu_hour: 2.5}
plans:
  - {name: finetune, tflops: 5000, vram_gib: 24, hours: 48, target_usd: 900}
  - {name: sweep, gpus: 8, card: l40s-48gb, hours: 100}
  - {name: pretraining, total_flops: 1e22, mfu: 0.4, deadline: 14d}
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from gputally.config.checked import Check, matching
from gputally.config.providers import read_card, read_label, read_usd
from gputally.config.strict import Section, Value
from gputally.model.clock import NS_PER_HOUR
from gputally.model.market import HOST_TIERS, PRICE_TIERS

MFU = Decimal("0.4")  # of the dense BF16 rate, where a plan says nothing: it decides the answer
MOST = 100  # rentals, and plans
MOST_GPUS = 100_000
MOST_MONEY = Decimal(1_000_000_000)
MOST_TFLOPS, MOST_FLOPS = Decimal(100_000_000), Decimal(10) ** 30
MOST_VRAM_GIB = Decimal(10_000)
LONGEST_HOURS = Decimal(100_000)
_DAY_HOURS = Decimal(24)
_ZERO, _LEAST = Decimal(0), Decimal("0.001")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}", re.ASCII)
_FLOPS = re.compile(r"[1-9](?:\.[0-9]{1,9})?e\+?[0-9]{1,2}", re.ASCII)
_FORMS = (("tflops", "hours"), ("gpus", "card", "hours"), ("total_flops", "deadline"))
T = TypeVar("T", "Rental", "Plan")
_FORMS_ARE = "expected tflops and hours, or gpus, card and hours, or total_flops and deadline"


@dataclass(frozen=True, slots=True)
class Rental:
    """GPUs that are rented now, and what is paid for them."""

    name: str
    provider: str
    card: str
    gpus: int
    usd_per_gpu_hour: Decimal
    hours_per_day: Decimal = _DAY_HOURS
    team: str = ""
    price_tier: str = "ondemand"
    host_tier: str = "datacenter"
    alert_usd_per_month: Decimal | None = None

    def usd(self, seconds: int) -> Decimal:
        """What so long a time of it costs, day by day the hours that are declared."""
        days = Decimal(seconds) / 86_400
        return self.usd_per_gpu_hour * self.gpus * self.hours_per_day * days


@dataclass(frozen=True, slots=True)
class Plan:
    """GPUs that will be needed: by speed and hours, by number and card, or by work and deadline."""

    name: str
    hours: Decimal  # of a deadline, until then
    tflops: Decimal | None = None  # that the work needs, not that cards promise
    total_flops: Decimal | None = None
    gpus: int | None = None
    card: str | None = None
    mfu: Decimal = MFU
    vram_gib: Decimal | None = None  # that one GPU has at least
    target_usd: Decimal | None = None
    provider: str | None = None
    price_tier: str = "ondemand"
    host_tier: str | None = None


def read_rentals(root: Section, check_card: Check) -> tuple[Rental, ...]:
    """Read the block. Raises ConfigError with file, line and key."""
    return _named(root, "rentals", lambda section: _rental(section, check_card))


def read_plans(root: Section, check_card: Check) -> tuple[Plan, ...]:
    """Read the block. Raises ConfigError with file, line and key."""
    return _named(root, "plans", lambda section: _plan(section, check_card))


def _named(root: Section, key: str, read: Callable[[Section], T]) -> tuple[T, ...]:
    listed = root.list(key)
    if len(listed) > MOST:
        raise root.error(key, f"expected at most {MOST}, found {len(listed)}")
    found: dict[str, T] = {}
    for section in [value.mapping() for value in listed]:
        one = read(section)
        if one.name in found:
            raise section.error("name", f"{one.name} is there twice")
        found[one.name] = one
    return tuple(found.values())


def _rental(section: Section, check_card: Check) -> Rental:
    name, team, provider = section.get("name"), section.get("team"), section.get("provider")
    card, gpus, usd = section.get("card"), section.get("gpus"), section.get("usd_per_gpu_hour")
    hours = section.decimal("hours_per_day", _DAY_HOURS, minimum=_ZERO, maximum=_DAY_HOURS)
    price_tier = section.choice("price_tier", PRICE_TIERS, "ondemand")
    host_tier = section.choice("host_tier", HOST_TIERS, "datacenter")
    alert = section.decimal("alert_usd_per_month", None, minimum=_ZERO, maximum=MOST_MONEY)
    section.finish()
    if name is None or provider is None or card is None or gpus is None or usd is None:
        raise section.value.error("expected at least name, provider, card, gpus and usd_per_gpu_hour")
    return Rental(
        _name(name),
        read_label(provider),
        read_card(card, check_card),
        gpus.integer(1, MOST_GPUS),
        read_usd(usd),
        hours,
        _name(team) if team is not None else "",
        price_tier,
        host_tier,
        alert,
    )


def _plan(section: Section, check_card: Check) -> Plan:
    given = {key: section.get(key) for form in _FORMS for key in form}
    name, provider = section.get("name"), section.get("provider")
    mfu = section.decimal("mfu", None, minimum=_LEAST, maximum=Decimal(1))
    vram_gib = section.decimal("vram_gib", None, minimum=_ZERO, maximum=MOST_VRAM_GIB)
    target = section.decimal("target_usd", None, minimum=_ZERO, maximum=MOST_MONEY)
    price_tier = section.choice("price_tier", PRICE_TIERS, "ondemand")
    host_tier = section.choice("host_tier", HOST_TIERS, None)
    section.finish()
    if name is None:
        raise section.value.error("missing key name")
    form = tuple(key for key, value in given.items() if value is not None)
    if set(form) not in map(set, _FORMS):
        raise section.value.error(f"{_FORMS_ARE}, found {', '.join(form) or 'none of them'}")
    if "gpus" in form and (mfu is not None or vram_gib is not None):
        key = "mfu" if mfu is not None else "vram_gib"
        raise section.error(key, "beside gpus and card, which say it all")
    tflops, flops, gpus, card = (given[key] for key in ("tflops", "total_flops", "gpus", "card"))
    return Plan(
        _name(name),
        _hours(given["hours"], given["deadline"]),
        tflops.decimal(_LEAST, MOST_TFLOPS) if tflops is not None else None,
        _flops(flops) if flops is not None else None,
        gpus.integer(1, MOST_GPUS) if gpus is not None else None,
        read_card(card, check_card) if card is not None else None,
        mfu if mfu is not None else MFU,
        vram_gib,
        target,
        read_label(provider) if provider is not None else None,
        price_tier,
        host_tier,
    )


def _hours(hours: Value | None, deadline: Value | None) -> Decimal:
    if hours is not None:
        return hours.decimal(_LEAST, LONGEST_HOURS)
    assert deadline is not None  # noqa: S101 - the form has one of them
    longest_ns = int(LONGEST_HOURS) * NS_PER_HOUR
    return Decimal(deadline.duration_ns(NS_PER_HOUR // 10, longest_ns)) / NS_PER_HOUR


def _flops(value: Value) -> Decimal:
    """Operations, which nobody writes without an exponent."""
    what = "a number of operations such as 1.5e22"
    text = value.string(what)
    if not value.node.plain or not _FLOPS.fullmatch(text) or Decimal(text) > MOST_FLOPS:
        raise value.expected(what)
    return Decimal(text)


def _name(value: Value) -> str:
    return matching(value, _NAME, "a name of at most 64 letters, digits, blanks and ._-")
