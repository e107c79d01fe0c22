"""What a scrape shows of the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass

Series = Mapping[tuple[str, ...], float]  # values of the family's labels -> value


@dataclass(frozen=True, slots=True, eq=False)
class LedgerFigures:
    """Family -> series. Equal only to itself, by which texts are kept."""

    families: Mapping[str, Series]
