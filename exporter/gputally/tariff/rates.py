"""The units of money and emissions, and what one millijoule costs at one instant.

A price has at most 9 decimals and a PUE 4, so cost in units of 1e-13 currency times 1 mJ per kWh is a whole
number: millijoules x nano-prices x PUE in ten-thousandths. Nothing is rounded before it is published.
"""

from dataclasses import dataclass

MJ_PER_KWH = 3_600_000_000
NANO = 10**9
PUE_SCALE = 10**4
MILLIGRAMS = 10**3
MONEY_UNITS = MJ_PER_KWH * NANO * PUE_SCALE  # in one dollar, euro, yen ...
EMISSION_UNITS = MJ_PER_KWH * MILLIGRAMS * PUE_SCALE  # in one gram


@dataclass(frozen=True, slots=True)
class Rate:
    """What energy costs and emits while it holds."""

    tariff: str  # name of the band
    currency: str
    price_nano: int  # 1e-9 currency per kWh, surcharges included, PUE not; below zero where a market pays
    pue_e4: int  # ten-thousandths
    carbon_mg: int  # milligrams per kWh

    @property
    def cost_units(self) -> int:
        """Money units of one millijoule; a price below zero costs nothing."""
        return max(0, self.price_nano) * self.pue_e4

    @property
    def credit_units(self) -> int:
        """Money units of one millijoule that a price below zero pays back: a counter cannot go down."""
        return max(0, -self.price_nano) * self.pue_e4

    @property
    def emission_units(self) -> int:
        """Emission units of one millijoule."""
        return self.carbon_mg * self.pue_e4
