"""The flags that `gputally offers` and `gputally plan` have in common: where offers come from, and which."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gputally.cli.shapeflags import several
from gputally.cli.values import GivenPath
from gputally.model.market import HOST_TIERS, PRICE_TIERS

if TYPE_CHECKING:  # nothing of it is needed to print --help
    from gputally.site.market.cards import Catalogue
    from gputally.site.market.listing import Listing
    from gputally.site.market.search import Wanted

F = TypeVar("F", bound=Callable[..., Any])
SITE_URL = "http://127.0.0.1:9837"
_FILE = GivenPath(dir_okay=False)


class Amount(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """A number as it is written, within bounds: `0.4`, `1e22`."""

    name = "number"

    def __init__(self, minimum: Decimal, maximum: Decimal) -> None:
        self._minimum, self._maximum = minimum, maximum

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Decimal:
        """Read the text; refuse what is out of bounds."""
        if isinstance(value, Decimal):
            return value
        try:
            amount = Decimal(value) if value.isascii() and "_" not in value else None
        except InvalidOperation:
            amount = None
        if amount is None or not amount.is_finite():
            self.fail(f"{value!r}: expected a number", param, ctx)
        if not self._minimum <= amount <= self._maximum:
            self.fail(f"{value} is not between {self._minimum:g} and {self._maximum:g}", param, ctx)
        return amount


def _shared(flag: str, text: str, variable: str, **more: Any) -> Callable[[F], F]:  # noqa: ANN401 - click's own
    """A flag that a site sets once, in a variable."""
    name = flag.removeprefix("--").replace(".", "_").replace("-", "_")
    return click.option(flag, name, help=text, envvar=variable, show_envvar=True, **more)


FROM = (
    _shared(
        "--site.url", "Where the site agent is.", "GPUTALLY_SITE_URL", default=SITE_URL, show_default=True
    ),
    _shared("--site.user", "User, for basic authentication.", "GPUTALLY_SITE_USER"),
    _shared(
        "--site.password-file",
        "File with the password in one line.",
        "GPUTALLY_SITE_PASSWORD_FILE",
        type=_FILE,
    ),
    _shared(
        "--site.ca-file",
        "Certificates by which the site agent is known, PEM.",
        "GPUTALLY_SITE_CA_FILE",
        type=_FILE,
    ),
    click.option(
        "--from-file", help="Read a document that the site agent's /offers gave; ask nobody.", type=_FILE
    ),
    click.option("--ask", help="Ask the providers of --config.file, not the site agent.", is_flag=True),
    _shared(
        "--config.file", "Configuration of the agents, YAML; for --ask.", "GPUTALLY_CONFIG_FILE", type=_FILE
    ),
)
WHICH = (
    several(
        "--card",
        "--gpu",
        "cards",
        text="Only this card: h100-sxm5-80gb, a family such as h100, or a name that a provider uses.",
    ),
    several("--provider", "providers", text="Only this provider."),
    several("--region", "regions", text="Only there: DE, or a region or a word of one, such as us-west."),
    several("--price-tier", "price_tiers", text="Only at such prices.", type=click.Choice(PRICE_TIERS)),
    several("--host-tier", "host_tiers", text="Only such hosts.", type=click.Choice(HOST_TIERS)),
    click.option("--nvlink", help="Only with NVLink, where the provider says so.", is_flag=True),
)


def wanted_of(flags: Mapping[str, Any], listing: "Listing", catalogue: "Catalogue") -> "Wanted":
    """What the flags say of offers. Raises click.UsageError for a card or provider that nobody knows."""
    from gputally.site.market.search import Wanted  # noqa: PLC0415 - not before the flags are right

    known = [report.provider for report in listing.market.providers]
    for name in flags["providers"]:
        if name not in known:
            raise click.UsageError(f"--provider {name}: none of {', '.join(known)}")
    return Wanted(
        cards=_cards_of(catalogue, flags["cards"]),
        memory_gib=flags.get("memory") or Decimal(0),
        providers=frozenset(flags["providers"]),
        regions=frozenset(flags["regions"]),
        price_tiers=frozenset(flags["price_tiers"]),
        host_tiers=frozenset(flags["host_tiers"]),
        max_usd=flags.get("max_usd"),
        min_available=flags.get("min_available", 0),
        nvlink=flags["nvlink"],
        sold_out=flags.get("sold_out", False),
    )


def _cards_of(catalogue: "Catalogue", names: Iterable[str]) -> frozenset[str]:
    """The cards that names mean: a slug, a family, or a label. Raises click.UsageError."""
    found: set[str] = set()
    for name in names:
        small = name.strip().lower()
        family = {slug for slug, card in catalogue.cards.items() if card.family == small}
        label = catalogue.card_of(name)
        if small in catalogue.cards:
            found.add(small)
        elif family or label is not None:
            found |= family or {str(label)}
        else:
            near = difflib.get_close_matches(small, [*catalogue.cards], n=3, cutoff=0.5)
            hint = (
                f", did you mean {' or '.join(near)}?" if near else "; --format json lists what is on offer"
            )
            raise click.UsageError(f"--card {name!r}: no card of the catalogue{hint}")
    return frozenset(found)
