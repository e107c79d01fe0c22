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
    zero = Decimal(0)
    for value in root.list("owned_gpus"):
        section = value.mapping()
        model = section.string("model")
        if model in owned or len(model) > LONGEST or not model.isprintable():
            raise section.error("model", f"{model!r} is there twice, or no name of a model")
        capital = section.decimal("capital", minimum=zero, maximum=_MOST)
        residual = section.decimal("residual", zero, minimum=zero, maximum=_MOST)
        if residual > capital:
            raise section.error("residual", "more than the capital")
        years = section.decimal("life_years", minimum=Decimal("0.25"), maximum=Decimal(30))
        opex = section.decimal("opex_per_year", zero, minimum=zero, maximum=_MOST)
        section.finish()
        owned[model] = OwnedGpu(model, capital, residual, years * HOURS_PER_YEAR, opex / HOURS_PER_YEAR)
    return tuple(owned.values())
