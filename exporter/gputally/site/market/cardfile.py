"""Reads cards.yml, strictly: an unknown key, a size twice, a figure without its source stop the program."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gputally.config import strict
from gputally.config.strict import ConfigError, Section, Value

PATH = Path(__file__).with_name("cards.yml")
FORMLESS = ""  # the form of a card that has no variants, or where it is not told which one it is
_NO_FORM = "none"  # how the file writes it


@dataclass(frozen=True, slots=True)
class Card:
    """One kind of GPU."""

    slug: str  # family[-form]-NNgb
    family: str
    form: str
    memory_gib: int
    bf16_dense_tflops: float | None  # by its maker's datasheet, without sparsity
    tflops_source: str
    low_usd: float  # a price of one GPU for one hour below it is a mistake
    high_usd: float
    nvml_names: tuple[str, ...]
    reads_gib: tuple[int, ...] = ()  # other sizes that it is listed with

    def distance(self, size_gib: float) -> float:
        """How far a size is from the nearest that the card is listed with, as a ratio."""
        return min(abs(size - size_gib) / size for size in (self.memory_gib, *self.reads_gib))


@dataclass(frozen=True, slots=True)
class Family:
    """What is known of the names of cards that differ in form and memory."""

    family: str
    names: tuple[str, ...]  # in small letters; a space may be missing in a label
    forms: Mapping[str, str]  # word -> form
    hints: Mapping[str, str]  # likewise, where no word says it
    bare: str  # the form where nothing says it
    words: frozenset[str]  # say nothing
    cards: tuple[Card, ...]


def read(path: Path = PATH) -> tuple[frozenset[str], frozenset[str], tuple[Family, ...]]:
    """Names of makers, other words that say nothing, and all families. Raises ConfigError."""
    root = strict.load(path)
    makers, noise = _words(root, "makers"), _words(root, "noise")
    sources = {key: value.string() for key, value in root.mapping("sources").items()}
    values = root.list("families")
    root.finish()
    families = tuple(_family(value, sources) for value in values)
    _none_twice(values, families)
    return frozenset(makers), frozenset(noise), families


def _family(value: Value, sources: Mapping[str, str]) -> Family:
    section = value.mapping()
    family = section.string("family")
    names, words = _words(section, "names"), _words(section, "words")
    forms, hints = _forms(section, "forms"), _forms(section, "hints")
    bare = _form(section.string("bare", _NO_FORM))
    low, high = _band(section)
    cards = tuple(_card(one, family, (low, high), sources) for one in section.list("cards"))
    section.finish()
    if not names or not cards:
        raise section.value.error("expected names and cards")
    unknown = {*forms.values(), *hints.values(), bare} - {card.form for card in cards}
    if unknown - {FORMLESS}:
        raise section.value.error(f"no card of the form {', '.join(sorted(unknown))}")
    return Family(family, names, forms or {"pcie": FORMLESS}, hints, bare, frozenset(words), cards)


def _card(value: Value, family: str, band: tuple[float, float], sources: Mapping[str, str]) -> Card:
    section = value.mapping()
    form = _form(section.string("form", _NO_FORM))
    gib = section.integer("gib", minimum=1, maximum=999)
    tflops = section.number("tflops", None, minimum=1)
    source = section.string("source", None)
    names = _words(section, "nvml")
    reads = tuple(one.integer(1, 999) for one in section.list("reads_gib"))
    section.finish()
    if (tflops is None) != (source is None) or source not in {None, *sources}:
        raise section.value.error("expected tflops and the key of its source, or neither")
    slug = "-".join(part for part in (family, form, f"{gib}gb") if part)
    return Card(slug, family, form, gib, tflops, sources[source] if source else "", *band, names, reads)


def _band(section: Section) -> tuple[float, float]:
    values = section.list("band")
    if len(values) != 2:
        raise section.error("band", "expected the lowest and the highest believable price")
    low, high = (one.number(0.0001, 1000.0) for one in values)
    if low >= high:
        raise section.error("band", "expected the lower price first")
    return low, high


def _words(section: Section, key: str) -> tuple[str, ...]:
    return tuple(value.string() for value in section.list(key))


def _forms(section: Section, key: str) -> dict[str, str]:
    return {word: _form(value.string()) for word, value in section.mapping(key).items()}


def _form(word: str) -> str:
    return FORMLESS if word == _NO_FORM else word


def _none_twice(values: tuple[Value, ...], families: tuple[Family, ...]) -> None:
    """A slug, a name and a name of NVML belong to one card each."""
    seen: set[str] = set()
    for value, family in zip(values, families, strict=True):
        names = [f"the name {name.replace(' ', '')}" for name in family.names]
        for card in family.cards:
            names += [f"the card {card.slug}", *(f"the NVML name {name}" for name in card.nvml_names)]
        for name in names:
            if name in seen:
                raise value.error(f"{name} is there twice")
            seen.add(name)


__all__ = ["FORMLESS", "PATH", "Card", "ConfigError", "Family", "read"]
