"""Families of the market: what GPUs are rented for elsewhere, what is rented, what is planned, which cards exist.

All of them are the site agent's, and there only while a market, rentals or plans are configured. Money is USD.
"""

# fmt: off
from functools import partial

from gputally.catalogue.family import Family

_g = partial(Family, type="gauge", section="Market", record="market", key="families")
_OFFER = ("provider", "card", "price_tier", "host_tier", "region")
_RENTAL = ("rental", "team", "provider", "card", "price_tier", "host_tier")

MARKET: tuple[Family, ...] = (
    _g("gpu_market_offer_min_usd_per_gpu_hour", unit="", labels=_OFFER, help="Lowest price of one GPU for one hour among offers that can be had; where all are sold out, among all. What it covers, the basis of gpu_market_provider_info says.", source="the provider"),
    _g("gpu_market_offer_median_usd_per_gpu_hour", unit="", labels=_OFFER, help="Median price of one GPU for one hour among the same offers.", source="the provider"),
    _g("gpu_market_available_gpus", unit="", labels=_OFFER, help="GPUs on offer, of offers that say so. Absent where none does.", source="the provider"),
    _g("gpu_market_offers", unit="", labels=_OFFER, help="Offers, sold out ones among them.", source="the provider"),
    _g("gpu_market_reliability_ratio", unit="ratio", labels=_OFFER, help="Reliability that the provider publishes, mean of the cheapest offers. Absent where it publishes none.", source="the provider"),
    _g("gpu_market_provider_info", unit="", labels=("provider", "basis", "source"), help="Always 1; what a price is for (gpu_only, instance, bid_stats, list), and the host that is asked, recording or file.", source="market.providers"),
    _g("gpu_market_last_success_timestamp_seconds", unit="seconds", labels=("provider",), help="When the provider last gave a good reply, as Unix time; of price rows the day of the newest.", source="the poller"),
    _g("gpu_market_max_age_seconds", unit="seconds", labels=("provider",), help="For how long a good reply is shown.", source="market.providers.*.max_age"),
    _g("gpu_market_fetch_duration_seconds", unit="seconds", labels=("provider",), help="How long the latest fetch took, good or bad.", source="the poller"),
    _g("gpu_market_fetches_total", type="counter", unit="", labels=("provider",), help="Times that the provider was asked, repetitions among them.", source="the poller"),
    _g("gpu_market_fetch_failures_total", type="counter", unit="", labels=("provider", "reason"), help="Times that it gave no good reply: network, timeout, auth, rate_limited, http, parse, schema, empty.", source="the poller"),
    _g("gpu_market_offers_rejected", unit="", labels=("provider", "reason"), help="Rows of the last good reply that were left out: unmapped, implausible, no_price, no_count, currency, mig, cpu_only, unasked.", source="the provider"),
    _g("gpu_market_truncated", unit="", labels=("provider",), help="1 if the last good reply was only a part of what the provider has.", source="the provider"),
    _g("gpu_market_series_dropped", unit="", labels=(), help="Series of offers that are not shown, because there would be more than market.max_series. Of everything on offer the cheapest region stays longest.", source="market.max_series"),
    _g("gpu_market_gscore_weight", unit="", labels=("part",), help="How much price, reliability and availability count in the G-score; together 1.", source="market.gscore"),
    _g("gpu_market_gscore_gpus", unit="", labels=(), help="GPUs on offer that are as good as any more for the G-score.", source="market.gscore.gpus"),
    _g("gpu_catalog_info", unit="", labels=("card", "family", "form"), help="Always 1; every kind of GPU by which prices are compared.", source="the card catalogue"),
    _g("gpu_catalog_name_info", unit="", labels=("name", "card"), help="Always 1; what NVML calls a card, to join gpu_info by name.", source="the card catalogue, market.aliases"),
    _g("gpu_catalog_tflops", unit="", labels=("card", "precision"), help="Peak rate without sparsity in 10^12 operations a second, by the maker's datasheet. Absent where there is none.", source="the card catalogue"),
    _g("gpu_catalog_memory_bytes", unit="bytes", labels=("card",), help="Memory of a card.", source="the card catalogue"),
    _g("site_owned_gpu_card_info", unit="", labels=("model", "card"), help="Always 1; which card a model of owned_gpus is.", source="owned_gpus, the card catalogue"),
    _g("site_usd_per_unit", unit="", labels=("currency",), help="USD for one of a currency, as declared; 1 of USD itself.", source="market.rates"),
    _g("gpu_rental_usd_per_gpu_hour", unit="", labels=_RENTAL, help="What is paid for one rented GPU for one hour.", source="rentals"),
    _g("gpu_rental_gpus", unit="", labels=("rental",), help="GPUs that are rented.", source="rentals"),
    _g("gpu_rental_hours_per_day", unit="", labels=("rental",), help="Hours of a day for which they are.", source="rentals"),
    _g("gpu_rental_alert_usd_per_month", unit="", labels=("rental",), help="What could be saved in a month before an alert says so.", source="rentals"),
    _g("gpu_plan_cheapest_usd", unit="", labels=("plan",), help="What the plan would cost now, on the cheapest card of one provider. Absent where nobody has enough.", source="plans"),
    _g("gpu_plan_target_usd", unit="", labels=("plan",), help="What the plan may cost.", source="plans"),
    _g("gpu_plan_gpus", unit="", labels=("plan", "provider", "card"), help="GPUs of the cheapest way to carry the plan out.", source="plans"),
)
