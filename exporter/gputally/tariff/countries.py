"""Carbon dioxide of a kWh by country, for who has no better figure. docs/tariffs.md names the sources."""

GRAMS_PER_KWH = {
    "DE": 344,
}
