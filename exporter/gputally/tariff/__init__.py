"""What a kWh costs and emits at any instant: tariffs, the site's calendar, and energy priced by both.

Pure: no clock, no file, no metric. `declared` says what people write down, `schedule` what holds when,
`pricing` what a tick costs. Money and emissions are whole numbers of units so small that nothing is ever
rounded (`rates`), so that sums over jobs, reasons and bands are exact.
"""

from gputally.tariff.declared import DEFAULT, Band, Carbon, Series, Tariff, Version
from gputally.tariff.pricing import Priced, divide, price
from gputally.tariff.rates import EMISSION_UNITS, MONEY_UNITS, Rate
from gputally.tariff.schedule import Schedule, Span

__all__ = [
    "DEFAULT",
    "EMISSION_UNITS",
    "MONEY_UNITS",
    "Band",
    "Carbon",
    "Priced",
    "Rate",
    "Schedule",
    "Series",
    "Span",
    "Tariff",
    "Version",
    "divide",
    "price",
]
