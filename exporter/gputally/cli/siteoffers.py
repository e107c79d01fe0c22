"""What the site agent shows at /offers: every offer with its id and link, and what GPUs of one's own cost."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gputally.cli.sitemarket import SiteMarket
from gputally.collect.offers import OffersPage
from gputally.config.market import MarketSettings
from gputally.config.settings import SiteSettings
from gputally.model import Clock

if TYPE_CHECKING:
    from gputally.site.market.listing import Listing


def offers_page(
    market: SiteMarket, settings: Callable[[], SiteSettings], span: Callable[[], object], clock: Clock
) -> OffersPage:
    """The document, made when somebody asks. `span` is another object whenever a price of energy is."""

    def make() -> "Listing":
        from gputally.site.market.listing import Listing  # noqa: PLC0415 - nobody asks where nothing is configured
        from gputally.site.market.own import Own, own_gpus  # noqa: PLC0415 - as above
        from gputally.tariff import Schedule  # noqa: PLC0415 - as above

        told, now, catalogue = settings(), clock(), market.catalogue
        terms = told.market or MarketSettings()
        own = Own()
        if catalogue is not None:
            rate = Schedule(told.site.tariff).at(now.wall_ns).rate
            own = own_gpus(told.owned_gpus, rate, terms.rates, catalogue)
        return Listing(now.wall_seconds, market.known(), terms.gscore, own)

    return OffersPage(
        lambda: (market.known(), (settings(), span(), market.catalogue)), make, lambda: clock().wall_seconds
    )
