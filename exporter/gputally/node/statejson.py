"""One GPU's state as plain JSON and back. What the file around it looks like is state.py's business.

Compact, because it is written at every tick: a followed counter is [count, base, base time].
"""

from datetime import date
from typing import Any, TypeVar

from gputally.model import Instant
from gputally.node.energy import Energy, Stray
from gputally.node.follow import Family, Followed
from gputally.node.gpustate import NO_FLOOR, Floor, GpuState, Xid
from gputally.node.money import NO_MONEY, Day, Money

Json = dict[str, Any]
T = TypeVar("T", int, str)
MOST_UNITS = 1 << 160  # of anything; money and emissions are counted in very small ones
_FOLLOWED = ("pcie_transmit", "pcie_receive", "pcie_replays")
_FAMILIES = (
    "throttle",
    "nvlink_transmit",
    "nvlink_receive",
    "nvlink_errors",
    "ecc_lifetime",
    "ecc_volatile",
)


def to_json(state: GpuState) -> Json:
    """Everything that must outlive the process. Counters that were never there take no room."""
    data: Json = {
        "boot": state.boot_id,
        "last": None if state.last is None else [state.last.boot_ns, state.last.wall_ns],
        "limit_mw": None if state.limit_w is None else round(state.limit_w * 1000),
        "gap": state.open_gap,
        "busy_ns": state.busy_ns,
        "energy": _energy_to_json(state.energy),
    }
    if state.money is not NO_MONEY:
        data["money"] = _money_to_json(state.money)
    for name in _FOLLOWED:
        one = getattr(state, name)
        if one is not None:
            data[name] = [one.acc, one.hw, one.at_ns]
    for name in _FAMILIES:
        family = getattr(state, name)
        if family:
            data[name] = {label: [one.acc, one.hw, one.at_ns] for label, one in family.items()}
    if state.xids:
        data["xids"] = {xid: [one.count, one.wall_ns] for xid, one in state.xids.items()}
    floor = state.floor
    if floor is not NO_FLOOR:
        data["floor"] = [floor.energy_mj, floor.busy_ns, dict(floor.throttle_ns)]
    return data


def from_json(data: Json) -> GpuState:
    """The state again; its next reading will know that something came between.

    Raises ValueError on anything that `to_json` cannot have written.
    """
    try:
        return _state(data)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"not a state of a GPU: {type(error).__name__} {error}") from error


def _state(data: Json) -> GpuState:
    last, limit_mw = data["last"], _maybe(data["limit_mw"])
    return GpuState(
        boot_id=_is(str, data["boot"]),
        last=None if last is None else Instant(*_numbers(last, 2)),
        limit_w=None if limit_mw is None else limit_mw / 1000,
        energy=_energy(data["energy"]),
        money=_money(data["money"]) if "money" in data else NO_MONEY,
        busy_ns=_maybe(data["busy_ns"]),
        throttle=_family(data, "throttle"),
        pcie_transmit=_followed(data, "pcie_transmit"),
        pcie_receive=_followed(data, "pcie_receive"),
        pcie_replays=_followed(data, "pcie_replays"),
        nvlink_transmit=_family(data, "nvlink_transmit"),
        nvlink_receive=_family(data, "nvlink_receive"),
        nvlink_errors=_family(data, "nvlink_errors"),
        ecc_lifetime=_family(data, "ecc_lifetime"),
        ecc_volatile=_family(data, "ecc_volatile"),
        xids={xid: Xid(*_numbers(pair, 2)) for xid, pair in data.get("xids", {}).items()},
        floor=_floor(data["floor"]) if "floor" in data else NO_FLOOR,
        gap="resumed",
        open_gap=_is(str, data["gap"]),
    )


def _energy_to_json(energy: Energy) -> Json:
    stray = energy.stray
    return {
        "acc_mj": energy.acc_mj,
        "source": energy.source,
        "reason": energy.reason,
        "distrust": energy.distrust,
        "hw_mj": energy.hw_mj,
        "booked_ns": energy.booked_ns,
        "pending": energy.pending,
        "pending_unmeasured_ns": energy.pending_unmeasured_ns,
        "upto_ns": energy.upto_ns,
        "stray": None if stray is None else [stray.hw_mj, stray.at_ns, stray.since_ns],
        "clamped_mj": energy.clamped_mj,
        "unmeasured_ns": energy.unmeasured_ns,
    }


def _energy(data: Json) -> Energy:
    stray = data["stray"]
    return Energy(
        acc_mj=_maybe(data["acc_mj"]),
        source=_is(str, data["source"]),
        reason=_is(str, data["reason"]),
        distrust=_is(str, data["distrust"]),
        hw_mj=_maybe(data["hw_mj"]),
        booked_ns=_is(int, data["booked_ns"]),
        pending=_is(int, data["pending"]),
        pending_unmeasured_ns=_is(int, data["pending_unmeasured_ns"]),
        upto_ns=_is(int, data["upto_ns"]),
        stray=None if stray is None else Stray(*_numbers(stray, 3)),
        clamped_mj=_is(int, data["clamped_mj"]),
        unmeasured_ns=_is(int, data["unmeasured_ns"]),
    )


def _money_to_json(money: Money) -> list[Any]:
    days = {name: [day.energy_mj, dict(day.cost)] for name, day in money.days.items()}
    return [dict(money.cost), dict(money.credit), dict(money.by_tariff_mj), money.emissions, days]


def _money(data: list[Any]) -> Money:
    cost, credit, by_tariff_mj, emissions, days = data
    return Money(
        _amounts(cost),
        _amounts(credit),
        _amounts(by_tariff_mj),
        _is(int, emissions),
        {_day(name): Day(_is(int, mj), _amounts(spent)) for name, (mj, spent) in days.items()},
    )


def _amounts(data: Json) -> dict[str, int]:
    return {_is(str, name): _is(int, amount) for name, amount in data.items()}


def _day(name: str) -> str:
    return date.fromisoformat(name).isoformat()


def _floor(data: list[Any]) -> Floor:
    energy_mj, busy_ns, throttle = data
    return Floor(_is(int, energy_mj), _is(int, busy_ns), {r: _is(int, ns) for r, ns in throttle.items()})


def _followed(data: Json, name: str) -> Followed | None:
    return _one(data[name]) if name in data else None


def _family(data: Json, name: str) -> Family:
    return {label: _one(one) for label, one in data.get(name, {}).items()}


def _one(data: list[Any]) -> Followed:
    acc, hw, at_ns = data
    return Followed(_is(int, acc), _maybe(hw), _is(int, at_ns))


def _numbers(data: list[Any], length: int) -> list[int]:
    if len(data) != length:
        raise ValueError(f"expected {length} numbers, not {data!r}")
    return [_is(int, number) for number in data]


def _maybe(value: object) -> int | None:
    return None if value is None else _is(int, value)


def _is(kind: type[T], value: object) -> T:
    """The value, if it is of that type and, a number, not negative: no clock or counter here ever is.

    Nor is one so large that no float can be made of it: publishing it would end every tick.
    """
    if type(value) is not kind or (isinstance(value, int) and value < 0):
        raise ValueError(f"expected {kind.__name__}, not {value!r}")
    if isinstance(value, int) and value >= MOST_UNITS:
        raise ValueError("more than there is in the world")
    return value
