"""The block `chargeback`: who is charged for what beside the energy of their jobs.

chargeback:
  idle: proportional
  capital: true
  owners: [{team: vision, host: gpu01}]
  rented: [{rental: training, hosts: [gpu07, gpu08]}]
"""

from collections.abc import Collection
from dataclasses import dataclass

from gputally.config.budgets import read_team
from gputally.config.strict import Section, Value

IDLE = ("none", "proportional", "equal")
MOST = 1000  # owners, and hosts
LONGEST_HOST = 253


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a machine is."""

    team: str
    host: str


@dataclass(frozen=True, slots=True)
class Chargeback:
    """How cost is divided among teams."""

    idle: str = "none"  # what becomes of time and energy that nobody held
    capital: bool = False  # whether owned_gpus are written off on who holds them
    owners: tuple[Owner, ...] = ()
    rented: tuple[tuple[str, str], ...] = ()  # host, name of its rental


def read_chargeback(root: Section, rentals: Collection[str]) -> Chargeback:
    """Read the block. Raises ConfigError with file, line and key."""
    section = root.mapping("chargeback")
    idle = section.choice("idle", IDLE, "none")
    capital = section.boolean("capital", False)
    if capital and root.get("owned_gpus") is None:
        raise section.error("capital", "of which GPUs? There are no owned_gpus")
    owners = tuple(_owner(value) for value in section.list("owners"))
    rented: dict[str, str] = {}
    for value in section.list("rented"):
        for host, rental in _rented(value, rentals):
            if host in rented:
                raise value.error(f"{host} is there twice")
            rented[host] = rental
    section.finish()
    if len(owners) > MOST or len(rented) > MOST:
        raise section.value.error(f"expected at most {MOST} owners and hosts")
    if len({(one.team, one.host) for one in owners}) < len(owners):
        raise section.error("owners", "an owner is there twice")
    return Chargeback(idle, capital, owners, tuple(rented.items()))


def _owner(value: Value) -> Owner:
    section = value.mapping()
    team, host = section.get("team"), section.get("host")
    section.finish()
    if team is None or host is None:
        raise value.error("expected team and host")
    return Owner(read_team(team), _host(host))


def _rented(value: Value, rentals: Collection[str]) -> list[tuple[str, str]]:
    section = value.mapping()
    rental = section.get("rental")
    hosts = section.list("hosts")
    section.finish()
    if rental is None or not hosts:
        raise value.error("expected rental and hosts")
    name = rental.string("the name of a rental")
    if name not in rentals:
        raise rental.error(f"{name!r} is none of the rentals")
    return [(_host(host), name) for host in hosts]


def _host(value: Value) -> str:
    host = value.string("a host")
    if len(host) > LONGEST_HOST or not host.isprintable() or " " in host:
        raise value.expected("a host as the label instance names it, with or without its port")
    return host


def is_host(instance: str, host: str) -> bool:
    """Whether a machine of Prometheus (`gpu01:9836`) is the one that is meant (`gpu01`)."""
    return host in (instance, instance.rsplit(":", 1)[0])
