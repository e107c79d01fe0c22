"""Which GPU a label means: the card catalogue, and one way from any name to one of its slugs.

All knowledge of names is data (cards.yml). This file decides how a label is read: letters are made small and
`_ - / ( ) ,` are spaces; a family is found between the borders of words, so that B200 is not in GB200 and A10
not in A100, and the longer name before the shorter; of what remains every word must be understood. Form
comes from the words that a family has for it; memory from a field of the provider before the name, as the
nearest size that is known, within 7 %. Whatever is left open, contradicts itself or has a word that nobody
knows is not mapped: a wrong price is worse than none. Slices of a card (MIG, vGPU) are no cards.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from gputally.site.market import cardfile
from gputally.site.market.cardfile import FORMLESS, Card, Family

__all__ = ["FORMLESS", "Card", "Catalogue", "Family", "load", "partial"]

SNAP_RATIO = 0.07  # 22.5 GiB of an A10 with ECC, 192 GB of a B200 that shows 180
LONGEST_LABEL = 200
_BORDERS = r"(?<![a-z0-9]){}(?![a-z0-9])"
_BETWEEN = re.compile(r"[\s_\-/(),;|]+", re.ASCII)
_COUNT = re.compile(r"(?<![a-z0-9])[1-9][0-9]? ?x ?(?=[a-z])|(?<= )x ?[1-9][0-9]?(?![a-z0-9])")  # 8x H100
_MEMORY = re.compile(_BORDERS.format(r"([0-9]{1,3}(?:\.[0-9]+)?) ?g(?:i?b|i)?"))
_PARTIAL = re.compile(_BORDERS.format(r"(?:mig|vgpu|grid|[0-9]+[gc]\.[0-9]+g(?:i?b)?|[0-9]{1,3}[abcq])"))


def partial(label: str) -> bool:
    """Whether a label names a slice of a card."""
    return _PARTIAL.search(_spaced(label)) is not None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every kind of GPU that can be named, and how to find it."""

    cards: Mapping[str, Card]  # slug -> card
    families: Mapping[str, Family]  # name without spaces -> family
    makers: frozenset[str]
    noise: frozenset[str]
    names: re.Pattern[str]
    exact: Mapping[str, str] = field(default_factory=dict)  # what NVML calls it, read as any label -> slug
    aliases: Mapping[str, str] = field(default_factory=dict)

    def card_of(self, label: str, *, memory_gib: float | None = None) -> str | None:
        """The slug that a label means; None: nobody knows.

        Args:
            label: as a provider or NVML writes it.
            memory_gib: memory of one GPU, where it is published beside the name.
        """
        alias = self.aliases.get(_alias(label))
        if alias is not None:
            return alias
        spaced = _spaced(label)
        if len(label) > LONGEST_LABEL or partial(label):
            return None
        exact = self.exact.get(_without(spaced, self.makers))
        if exact is not None and (memory_gib is None or self.cards[exact].distance(memory_gib) <= SNAP_RATIO):
            return exact
        return self._parsed(spaced, memory_gib)

    def _parsed(self, spaced: str, memory_gib: float | None) -> str | None:
        found = self.names.search(spaced)
        if found is None:
            return None
        family = self.families[found[0].replace(" ", "")]
        rest = f"{spaced[: found.start()]} {spaced[found.end() :]}"
        form = self._form(family, _MEMORY.sub(" ", rest).split())
        if form is None:
            return None
        sizes = [float(size) for size in _MEMORY.findall(rest)]
        if memory_gib is not None:
            sizes.append(memory_gib)
        if not sizes and form == FORMLESS and len({card.memory_gib for card in family.cards}) > 1:
            return None  # a form that is not told may have the other size
        return _one_card([card for card in family.cards if card.form == form], sizes)

    def _form(self, family: Family, words: list[str]) -> str | None:
        """What the words besides the name say; None where they contradict each other or one is unknown."""
        known = family.forms.keys() | family.hints.keys() | family.words | self.makers | self.noise
        if not known.issuperset(words):
            return None
        forms = {family.forms[word] for word in words if word in family.forms}
        forms = forms or {family.hints[word] for word in words if word in family.hints} or {family.bare}
        return forms.pop() if len(forms) == 1 else None


def _one_card(cards: list[Card], sizes: list[float]) -> str | None:
    """The one card that has all these sizes; without a size, the only one that there is."""
    if not sizes:
        return cards[0].slug if len(cards) == 1 else None
    nearest = {_nearest(cards, size) for size in sizes}
    return nearest.pop() if len(nearest) == 1 else None


def _nearest(cards: list[Card], size: float) -> str | None:
    near = [(distance, card.slug) for card in cards if (distance := card.distance(size)) <= SNAP_RATIO]
    return min(near)[1] if near else None


@cache
def _built() -> Catalogue:
    makers, noise, families = cardfile.read()
    cards = {card.slug: card for family in families for card in family.cards}
    by_name = {name.replace(" ", ""): family for family in families for name in family.names}
    names = sorted({name for family in families for name in family.names}, key=_longest_first)
    either = "|".join(" ?".join(map(re.escape, name.split())) for name in names)
    return Catalogue(
        cards,
        by_name,
        makers,
        noise,
        re.compile(_BORDERS.format(f"(?:{either})")),
        {_without(_spaced(name), makers): card.slug for card in cards.values() for name in card.nvml_names},
    )


def load(aliases: Mapping[str, str] | None = None) -> Catalogue:
    """The catalogue that comes with the program, and names of one's own.

    Raises:
        ValueError: an alias leads to no card.
    """
    built = _built()
    for label, slug in (aliases or {}).items():
        if slug not in built.cards:
            raise ValueError(f"{label}: there is no card {slug}")
    own = {_alias(label): slug for label, slug in (aliases or {}).items()}
    return replace(built, aliases=own)


def _longest_first(name: str) -> tuple[int, str]:
    return -len(name.replace(" ", "")), name


def _spaced(label: str) -> str:
    """Small letters, single spaces, no count of GPUs."""
    words = _BETWEEN.sub(" ", label[: LONGEST_LABEL + 1].lower()).strip().replace("max q", "maxq")
    return " ".join(_COUNT.sub(" ", words).split())


def _without(spaced: str, words: frozenset[str]) -> str:
    return " ".join(word for word in spaced.split() if word not in words)


def _alias(label: str) -> str:
    return " ".join(label.lower().split())
