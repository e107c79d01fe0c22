"""The block `owned_gpus`: what GPUs of one's own cost beside their energy, by model.

owned_gpus:
  - {model: NVIDIA H100 80GB HBM3, capital: 30000, residual: 4000, life_years: 4, opex_per_year: 1200}
"""

from dataclasses import dataclass
from decimal import Decimal

from gputally.config.strict import Section

HOURS_PER_YEAR = 8766  # 365.25 days
LONGEST = 128
_MOST = Decimal(100_000_000_000)
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class OwnedGpu:
    """One model. Money is in the tariff's currency."""

    model: str
    capital: Decimal
    residual: Decimal
    life_hours: Decimal
    opex_per_hour: Decimal

    @property
    def rate_per_hour(self) -> Decimal:
        """Straight-line write-off and running cost, without energy."""
        return (self.capital - self.residual) / self.life_hours + self.opex_per_hour


def read_owned(root: Section) -> tuple[OwnedGpu, ...]:
    """Read the block. Raises ConfigError with file, line and key."""
    owned: dict[str, OwnedGpu] = {}
    listed = root.list("owned_gpus")
    if listed and root.get("tariff") is None:
        raise root.error("owned_gpus", "in which currency? There is no tariff to say so")
    for value in listed:
        section = value.mapping()
        gpu = _owned(section)
        if gpu.model in owned:
            raise section.error("model", f"{gpu.model} is there twice")
        owned[gpu.model] = gpu
    return tuple(owned.values())


def _owned(section: Section) -> OwnedGpu:
    model, capital = section.get("model"), section.get("capital")
    life = section.get("life_years")
    residual = section.decimal("residual", _ZERO, minimum=_ZERO, maximum=_MOST)
    opex = section.decimal("opex_per_year", _ZERO, minimum=_ZERO, maximum=_MOST)
    section.finish()
    if model is None or capital is None or life is None:
        raise section.value.error("expected at least model, capital and life_years")
    name = model.string("a model as gpu_info names it")
    if len(name) > LONGEST or not name.isprintable():
        raise model.expected(f"a model as gpu_info names it, of at most {LONGEST} characters")
    money = capital.decimal(_ZERO, _MOST)
    if residual > money:
        raise section.error("residual", "more than the capital")
    years = life.decimal(Decimal("0.25"), Decimal(30))
    return OwnedGpu(name, money, residual, years * HOURS_PER_YEAR, opex / HOURS_PER_YEAR)
