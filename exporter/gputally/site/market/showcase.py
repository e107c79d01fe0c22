"""What is shown of the market: made anew when a provider has reported or is too old, never in between.

Making it takes time with many offers and plans, so it is made beside the loop that answers scrapes. Finding
out whether it has to be made takes none.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gputally.config.market import MarketSettings, Plan, Rental
from gputally.config.owned import OwnedGpu
from gputally.model.market import Market, MarketFigures, ProviderReport
from gputally.site.market import series
from gputally.site.market.board import Board, Group, board, groups_of
from gputally.site.market.cards import Catalogue
from gputally.site.market.planned import planned


@dataclass(frozen=True, slots=True)
class Terms:
    """What is declared that has to do with the market."""

    catalogue: Catalogue
    settings: MarketSettings
    rentals: tuple[Rental, ...] = ()
    plans: tuple[Plan, ...] = ()
    owned: tuple[OwnedGpu, ...] = ()


class Showcase:
    """Figures of a market under its terms. `renew` is for one thread at a time."""

    def __init__(self, terms: Terms, market: Callable[[], Market]) -> None:
        self._terms, self._market = terms, market
        self._seen: Market | None = None
        self._until_seconds: float | None = None
        self._groups: dict[str, tuple[ProviderReport, tuple[Group, ...]]] = {}
        declared = series.of_cards(terms.catalogue, terms.settings.aliases)
        declared |= series.of_owned(terms.owned, terms.catalogue, terms.settings.rates)
        declared |= series.of_gscore(terms.settings.gscore) | series.of_rentals(terms.rentals)
        self._declared = declared

    def is_due(self, now_seconds: float) -> bool:
        """Whether figures would be others than before."""
        is_old = self._until_seconds is not None and now_seconds >= self._until_seconds
        return is_old or self._market() is not self._seen

    def renew(self, now_seconds: float) -> MarketFigures:
        """The figures of this moment."""
        market = self._market()
        # First of all: what cannot be made is not tried again until something is different.
        self._seen, self._until_seconds = market, too_old_at(market, now_seconds)
        families = dict(self._declared)
        families |= series.of_providers(market.providers) | series.of_offers(self._board(market, now_seconds))
        terms = self._terms
        plans = planned(terms.plans, market, terms.catalogue, terms.settings.gscore, now_seconds)
        families |= series.of_plans(plans)
        return MarketFigures(families)

    def _board(self, market: Market, now_seconds: float) -> Board:
        region = self._terms.settings.region
        groups: dict[str, tuple[ProviderReport, tuple[Group, ...]]] = {}
        for report in market.providers:
            if report.fresh(now_seconds):
                known = self._groups.get(report.provider)
                same = known is not None and known[0].fetched is report.fetched
                groups[report.provider] = known if known and same else (report, groups_of(report, region))
        self._groups = groups
        return board((one for _, its in groups.values() for one in its), self._terms.settings.max_series)


def too_old_at(market: Market, now_seconds: float) -> float | None:
    """When the next of the providers that are shown has been silent for too long."""
    ends = [
        report.success_seconds + report.max_age_seconds
        for report in market.providers
        if report.success_seconds is not None and report.fresh(now_seconds)
    ]
    return min(ends, default=None)
