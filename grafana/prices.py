"""What the money is made of: prices and whose they are, bands of the tariff, PUE, carbon, the audit."""

from grafana.charts import banner
from grafana.ledger import BANDS, ENERGY, MONEY, PRICE, per_day, per_hour, total
from grafana.overtime import WHOLE_DAYS
from grafana.panels import Look, Steps, stat, timeseries
from grafana.queries import Json, instant, series
from grafana.tables import Column, joined, table, words

from gputally.tariff import DEFAULT
from gputally.tariff.rates import NANO

DEFAULT_PRICE = f"{DEFAULT.versions[0].bands[0].price_nano / NANO:g} {DEFAULT.currency}"

_MIXED: Json = {
    "options": {
        "from": 0.0001,
        "result": {"color": "dark-orange", "index": 2, "text": "Some agents charge the default price"},
        "to": 0.9999,
    },
    "type": "range",
}
_DERIVED = "the band's mean price of that time and PUE; a band that has no price any more is missing"
_RIGHT: Steps = ((None, "orange"), (0.995, "green"), (1.005, "orange"))


def whose_prices() -> Json:
    """Says aloud when nobody has declared what a kWh costs."""
    defaults, agents = 'gputally_tariff_info{source="default"}', "count(gputally_tariff_info{})"
    says = {
        "0": ("Prices as configured", "dark-green"),
        "1": (f"Default price: {DEFAULT_PRICE} per kWh, no tariff configured", "dark-orange"),
    }
    return banner(
        "Prices",
        f"Whether somebody has declared what a kWh costs. Without a tariff in the configuration it is "
        f"{DEFAULT_PRICE} at any time, and every cost on this page is made of that.",
        instant(f"count({defaults}) / {agents} or 0 * {agents}", "default"),
        Look("none", ((None, "dark-green"),)),
        [words(says), _MIXED],
    )


def facts() -> list[Json]:
    """What a kWh costs and emits now, and whether it is what the machines charge."""
    return [
        stat(
            "$currency per kWh, now",
            "By the site's tariff at the end of the time range, surcharges included, PUE not; and the band "
            "that it is of.",
            instant("max by (tariff) (site_electricity_price_now_per_kwh{})", "{{tariff}}"),
            Look(PRICE.unit, decimals=PRICE.decimals, sparkline=False),
            named=True,
        ),
        stat(
            "PUE",
            "Energy of the building for each kWh of its machines. Costs and emissions include it, joules and "
            "kWh do not.",
            instant("max(site_pue_ratio{})", "PUE"),
            Look("none", decimals=2, sparkline=False),
        ),
        stat(
            "CO₂ of a kWh now",
            "Carbon dioxide of a kWh at the end of the time range, and where the figure comes from; default: "
            "nobody has declared one.",
            instant("max by (source) (site_carbon_intensity_grams_per_kwh{})", "{{source}}"),
            Look("massg", decimals=0, sparkline=False),
            named=True,
        ),
        _audit(),
    ]


def _audit() -> Json:
    return stat(
        "Charged of expected",
        "What the machines have charged in a day, of what their joules cost at the site's prices: 100 % is "
        "right. An alert tells which machine has other prices.",
        instant("min(cluster:gpu_energy_cost_audit:ratio1d{})", "charged"),
        Look("percentunit", _RIGHT, decimals=2, minimum=0, maximum=1, sparkline=False),
    )


def bands() -> Json:
    """The tariff, and how much was used in which of its bands."""
    by = ("cluster", "tariff")
    price = "max by (cluster, tariff, currency) (site_electricity_price_per_kwh{})"
    share = f"{total(BANDS, *by)} / on (cluster) group_left () ({total(BANDS, 'cluster')} > 0)"
    of_all = Look("percentunit", ((None, "purple"),), decimals=0, minimum=0, maximum=1)
    columns = [
        Column("Cluster", name="cluster", width=70),
        Column("Band", name="tariff", width=70),
        *joined("currency"),
        Column("Price of a kWh", expr=price, look=PRICE, width=118),
        Column("Energy", expr=total(BANDS, *by), look=ENERGY, width=80),
        Column("Of all energy", expr=share, look=of_all, cell="basic"),
    ]
    return table(
        "Bands of the tariff ($currency)",
        "What a kWh costs in each band of the tariff in force, PUE not included, and what all GPUs used in "
        "it. A band without a price is of an earlier tariff.",
        columns,
        sort=("Energy",),
        descending=True,
    )


def bands_over_time() -> Json:
    """When it was used."""
    return timeseries(
        "Energy per hour by band",
        "What all GPUs use in an hour, by the band of the tariff in which they use it.",
        [series(per_hour(BANDS, "tariff"), "{{tariff}}")],
        Look(ENERGY.unit, minimum=0, stacked=True, hourly=True),
    )


def bands_by_day() -> Json:
    """The same day by day."""
    chart = timeseries(
        "Energy per day by band",
        f"What all GPUs used in a day, by the band of the tariff in which they used it. {WHOLE_DAYS}",
        [series(per_day(BANDS, "tariff"), "{{tariff}}")],
        Look(ENERGY.unit, minimum=0, stacked=True, hourly=True),
    )
    return chart | {"interval": "1d"}


def cost_of_bands_over_time() -> Json:
    """What it came to. No agent counts money by band: this is derived, and the audit says how well."""
    return timeseries(
        "Cost per hour by band ($currency)",
        f"The hour's energy in each band of the tariff, at {_DERIVED}.",
        [series(_at_its_price(per_hour(BANDS, "cluster", "tariff")), "{{tariff}}")],
        Look(MONEY.unit, decimals=2, minimum=0, stacked=True, hourly=True),
    )


def cost_of_bands_by_day() -> Json:
    """The same day by day."""
    chart = timeseries(
        "Cost per day by band ($currency)",
        f"The day's energy in each band of the tariff, at {_DERIVED}. {WHOLE_DAYS}",
        [series(_at_its_price(per_day(BANDS, "cluster", "tariff")), "{{tariff}}")],
        Look(MONEY.unit, decimals=2, minimum=0, stacked=True, hourly=True),
    )
    return chart | {"interval": "1d"}


def _at_its_price(energy: str) -> str:
    # A negative price costs nothing, as it does on the nodes: so before the mean is taken, and not after it.
    # A stack that has not seen a full quarter of an hour yet has the price that holds.
    now = "clamp_min(site_electricity_price_per_kwh{}, 0)"
    price = f"avg_over_time({now}[$__interval:15m]) or {now}"
    prices = f"on (cluster, tariff) group_left () max by (cluster, tariff) ({price})"
    pue = "on (cluster) group_left () max by (cluster) (site_pue_ratio{})"
    return f"sum by (tariff) ({energy} * {prices} * {pue})"


def price_over_time() -> Json:
    """What a kWh cost."""
    return timeseries(
        "Price of a kWh ($currency)",
        "By the site's tariff, surcharges included, PUE not.",
        [series("max by (cluster) (site_electricity_price_now_per_kwh{})", "{{cluster}}")],
        Look(PRICE.unit, decimals=2, minimum=0),
    )
