"""Families of the site: what is declared about it, and what follows from that and the calendar."""

# fmt: off
from functools import partial

from gputally.catalogue.family import Family

_g = partial(Family, type="gauge", section="Site", record="site")

SITES: tuple[Family, ...] = (
    _g("site_info", unit="", labels=("site", "timezone", "currency", "tariff", "carbon"), help="Always 1; what is declared of the site. tariff and carbon are configured, or default where nothing is.", source="site.*, tariff.*, carbon.*", key="info"),
    _g("site_day_info", unit="", labels=("day",), help="Always 1; today by the site's calendar. Joined to gpu_cost_day it says what today has cost.", source="site.timezone, the clock", key="day"),
    _g("site_electricity_price_per_kwh", unit="", labels=("tariff", "currency"), help="Price of a kWh in every band of the tariff in force, surcharges included, PUE not.", source="tariff.versions", key="prices"),
    _g("site_electricity_price_now_per_kwh", unit="", labels=("tariff", "currency"), help="Price of a kWh at this moment, and the band that it comes from.", source="tariff.versions, the clock", key="price_now"),
    _g("site_tariff_end_timestamp_seconds", unit="seconds", labels=(), help="When the declared prices end, as Unix time: valid_until, or the end of the file of prices. Absent where they do not.", source="tariff.valid_until, tariff.versions[].prices.file", key="tariff_end_seconds"),
    _g("site_pue_ratio", unit="ratio", labels=(), help="Energy of the building per energy of its machines, as it is in cost and emissions.", source="site.pue", key="pue_ratio"),
    _g("site_carbon_intensity_grams_per_kwh", unit="", labels=("source",), help="Carbon dioxide of a kWh at this moment; source is default, declared, country or file.", source="carbon.*", key="carbon_grams"),
    _g("site_owned_gpu_capital", unit="", labels=("model", "currency"), help="Price at which a GPU of this model was bought.", source="owned_gpus[].capital", key="owned_capital"),
    _g("site_owned_gpu_residual", unit="", labels=("model", "currency"), help="What a GPU of this model will be worth at the end of its life.", source="owned_gpus[].residual", key="owned_residual"),
    _g("site_owned_gpu_life_seconds", unit="seconds", labels=("model",), help="For how long a GPU of this model is written off.", source="owned_gpus[].life_years", key="owned_life_seconds"),
    _g("site_owned_gpu_opex_per_hour", unit="", labels=("model", "currency"), help="Running cost of a GPU of this model without its energy: rack, staff, network.", source="owned_gpus[].opex_per_year", key="owned_opex"),
    _g("site_owned_gpu_rate_per_hour", unit="", labels=("model", "currency"), help="What an hour of owning a GPU of this model costs without its energy: (capital - residual) / life + running cost.", source="owned_gpus", key="owned_rate"),
    _g("gputally_threshold", unit="", labels=("alert",), help="What an alert compares with at this site, configured or the default; the unit is the alert's own.", source="alerts.thresholds", key="thresholds"),
)
