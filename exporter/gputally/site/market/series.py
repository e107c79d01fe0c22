"""What there is to be known of the market -> series, by family. Pure."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from gputally.config.market import GScore, Rental
from gputally.config.owned import OwnedGpu
from gputally.model.market import FAILURES, REJECTIONS, ProviderReport, Series
from gputally.site.market.board import Board
from gputally.site.market.cards import Card, Catalogue
from gputally.site.market.planned import Planned

Families = dict[str, Series]
PRECISION = "bf16_dense"
_BYTES_PER_GIB = 1 << 30


def of_offers(board: Board) -> Families:
    """Prices, stock and reliability."""
    groups = board.groups
    return {
        "gpu_market_offer_min_usd_per_gpu_hour": {one.labels: float(one.min_usd) for one in groups},
        "gpu_market_offer_median_usd_per_gpu_hour": {one.labels: float(one.median_usd) for one in groups},
        "gpu_market_available_gpus": {
            one.labels: one.available_gpus for one in groups if one.available_gpus is not None
        },
        "gpu_market_offers": {one.labels: one.offers for one in groups},
        "gpu_market_reliability_ratio": {
            one.labels: one.reliability_ratio for one in groups if one.reliability_ratio is not None
        },
        "gpu_market_series_dropped": {(): board.dropped_series},
    }


def of_providers(reports: Iterable[ProviderReport]) -> Families:
    """How asking goes; it stays when offers are too old to be shown."""
    reports = tuple(reports)
    answered = [(one.provider, one.fetched) for one in reports if one.fetched is not None]
    return {
        "gpu_market_provider_info": {(one.provider, one.basis, one.source): 1 for one in reports},
        "gpu_market_last_success_timestamp_seconds": {
            (one.provider,): one.success_seconds for one in reports if one.success_seconds is not None
        },
        "gpu_market_max_age_seconds": {(one.provider,): one.max_age_seconds for one in reports},
        "gpu_market_fetch_duration_seconds": {
            (one.provider,): one.duration_seconds for one in reports if one.duration_seconds is not None
        },
        "gpu_market_fetches_total": {(one.provider,): one.fetches for one in reports},
        "gpu_market_fetch_failures_total": {
            (one.provider, reason): one.failures.get(reason, 0) for one in reports for reason in FAILURES
        },
        "gpu_market_offers_rejected": {
            (provider, reason): fetched.rejected.get(reason, 0)
            for provider, fetched in answered
            for reason in REJECTIONS
        },
        "gpu_market_truncated": {(provider,): int(fetched.truncated) for provider, fetched in answered},
    }


def of_gscore(weights: GScore) -> Families:
    """By which the rule of the score weighs."""
    parts = {"price": weights.price, "reliability": weights.reliability, "availability": weights.availability}
    return {
        "gpu_market_gscore_weight": {(part,): float(weight) for part, weight in parts.items()},
        "gpu_market_gscore_gpus": {(): weights.gpus},
    }


def of_cards(catalogue: Catalogue, aliases: Mapping[str, str]) -> Families:
    """The catalogue, and what NVML calls its cards; of several words for a name, the site's own one."""
    cards = catalogue.cards
    names = {name: slug for slug, card in cards.items() for name in card.nvml_names} | dict(aliases)
    return {
        "gpu_catalog_info": {(slug, card.family, card.form): 1 for slug, card in cards.items()},
        "gpu_catalog_name_info": dict.fromkeys(names.items(), 1),
        "gpu_catalog_tflops": {
            (slug, PRECISION): card.bf16_dense_tflops
            for slug, card in cards.items()
            if card.bf16_dense_tflops is not None
        },
        "gpu_catalog_memory_bytes": {(slug,): _bytes(card) for slug, card in cards.items()},
    }


def of_owned(owned: Iterable[OwnedGpu], catalogue: Catalogue, rates: Mapping[str, Decimal]) -> Families:
    """Which cards the site has, and what its money is in USD."""
    cards = {gpu.model: catalogue.card_of(gpu.model) for gpu in owned}
    return {
        "site_owned_gpu_card_info": {(model, card): 1 for model, card in cards.items() if card is not None},
        "site_usd_per_unit": {("USD",): 1, **{(currency,): float(usd) for currency, usd in rates.items()}},
    }


def of_rentals(rentals: Iterable[Rental]) -> Families:
    """What is paid for GPUs that are rented."""
    rentals = tuple(rentals)
    return {
        "gpu_rental_usd_per_gpu_hour": {
            (one.name, one.team, one.provider, one.card, one.price_tier, one.host_tier): float(
                one.usd_per_gpu_hour
            )
            for one in rentals
        },
        "gpu_rental_gpus": {(one.name,): one.gpus for one in rentals},
        "gpu_rental_hours_per_day": {(one.name,): float(one.hours_per_day) for one in rentals},
        "gpu_rental_alert_usd_per_month": {
            (one.name,): float(one.alert_usd_per_month)
            for one in rentals
            if one.alert_usd_per_month is not None
        },
    }


def of_plans(plans: Planned) -> Families:
    """What plans would cost now."""
    return {
        "gpu_plan_cheapest_usd": {(plan,): usd for plan, usd in plans.cheapest_usd.items()},
        "gpu_plan_target_usd": {(plan,): usd for plan, usd in plans.target_usd.items()},
        "gpu_plan_gpus": {labels: gpus for labels, gpus in plans.gpus.items()},  # noqa: C416 - wider a type
    }


def _bytes(card: Card) -> int:
    return card.memory_gib * _BYTES_PER_GIB
