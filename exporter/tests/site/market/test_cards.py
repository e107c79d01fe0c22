"""What a GPU's name means: nothing that is not certain."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gputally.node.sources.simulated import cards as simulated
from gputally.site.market import cardfile, cards
from gputally.site.market.cards import partial
from tests.site.market.labels import CORPUS

CATALOGUE = cards.load()
SLUG = re.compile(r"[a-z]{1,6}[0-9]{0,4}[a-z]{0,7}(?:-[a-z0-9]+)?-[0-9]{1,3}gb")
# Of §1.3 of any table of names: what one is not.
NEAR = ["gb200", "b200", "a100", "a10", "h200", "h20", "gh200", "rtx 4090", "a6000"]
FAMILIES = {"".join(name.split()) for family in CATALOGUE.families.values() for name in family.names}


@pytest.mark.parametrize(("label", "memory_gib", "slug"), CORPUS)
def test_every_label_means_what_it_means(label, memory_gib, slug):
    assert CATALOGUE.card_of(label, memory_gib=memory_gib) == slug


def test_enough_labels_are_known():
    assert len(CORPUS) >= 200
    assert len({slug for *_, slug in CORPUS if slug}) >= 80


@pytest.mark.parametrize("card", CATALOGUE.cards.values(), ids=lambda card: card.slug)
def test_every_card_is_found_by_its_slug_and_by_every_name_of_nvml(card):
    assert SLUG.fullmatch(card.slug)
    assert CATALOGUE.card_of(card.slug) == card.slug
    for name in card.nvml_names:
        assert CATALOGUE.card_of(name) == card.slug
        for size in (card.memory_gib, *card.reads_gib):
            assert CATALOGUE.card_of(name, memory_gib=size) == card.slug


def test_simulated_gpus_are_what_they_simulate():
    for card in (simulated.H200, simulated.RTX_6000):
        slug = CATALOGUE.card_of(card.name, memory_gib=card.memory_bytes / simulated.GIB)
        assert slug == CATALOGUE.card_of(card.name.removeprefix("Simulated "))
        assert card.name in CATALOGUE.cards[slug].nvml_names


@pytest.mark.parametrize("card", CATALOGUE.cards.values(), ids=lambda card: card.slug)
def test_figures_have_their_source_and_bands_are_believable(card):
    assert (card.bf16_dense_tflops is None) == (not card.tflops_source)
    assert 0 < card.low_usd < card.high_usd
    assert card.high_usd / card.low_usd >= 10


@pytest.mark.parametrize(
    ("slug", "tflops"),
    [
        ("h100-sxm5-80gb", 989),
        ("h100-pcie-80gb", 756),
        ("h200-sxm5-141gb", 989),
        ("a100-pcie-40gb", 312),
        ("l40s-48gb", 362),
        ("b200-180gb", 2250),
        ("gb200-186gb", 2500),
        ("mi300x-192gb", 1307),
        ("h100-80gb", None),  # SXM or PCIe: not the same
        ("t4-16gb", None),  # has no BF16
    ],
)
def test_tflops_are_dense_or_absent(slug, tflops):
    assert CATALOGUE.cards[slug].bf16_dense_tflops == tflops


def test_sizes_of_one_kind_are_too_far_apart_to_be_mistaken():
    kinds = {(card.family, card.form) for card in CATALOGUE.cards.values()}
    for kind in kinds:
        sizes = sorted(
            size
            for card in CATALOGUE.cards.values()
            if (card.family, card.form) == kind
            for size in (card.memory_gib,)
        )
        assert all(low * (1 + 2 * cards.SNAP_RATIO) < high for low, high in pairwise(sizes)), kind


def test_an_alias_goes_before_everything_else():
    own = cards.load({"my  H100 box": "h100-sxm5-80gb", "RTX 4090": "rtx4090d-24gb"})
    assert own.card_of("My h100  BOX") == "h100-sxm5-80gb"
    assert own.card_of("RTX 4090", memory_gib=24) == "rtx4090d-24gb"
    assert own.card_of("RTX 4080") == "rtx4080-16gb"
    assert CATALOGUE.card_of("my H100 box") is None
    with pytest.raises(ValueError, match="there is no card h1000-80gb"):
        cards.load({"x": "h1000-80gb"})


@pytest.mark.parametrize(
    "label", ["H100 MIG 1g.10gb", "A100 1g.5gb", "vGPU A40", "GRID T4", "A16-16A", "L4-2B"]
)
def test_a_slice_is_no_card(label):
    assert partial(label)
    assert CATALOGUE.card_of(label) is None


@pytest.mark.parametrize(
    "label", ["A10G", "H100 80GB", "RTX 4090 D", "V100S", "B200", "A2", "GH200 144G HBM3e"]
)
def test_a_whole_card_is_no_slice(label):
    assert not partial(label)


@given(st.text(max_size=300), st.none() | st.floats())
def test_no_text_breaks_it(label, memory_gib):
    slug = CATALOGUE.card_of(label, memory_gib=memory_gib)
    assert slug is None or slug in CATALOGUE.cards


WORDS = st.text(st.sampled_from("abdghlmrstvx0123456789"), min_size=1, max_size=8)


@given(st.sampled_from([row for row in CORPUS if row[2]]), WORDS, st.booleans())
def test_a_name_with_a_word_that_nobody_knows_is_not_mapped(row, word, before):
    label, memory_gib, slug = row
    known = set().union(*(f.words | f.forms.keys() | f.hints.keys() for f in CATALOGUE.families.values()))
    found = CATALOGUE.card_of(f"{word} {label}" if before else f"{label} {word}", memory_gib=memory_gib)
    harmless = re.fullmatch(r"[0-9]{1,2}x|x[0-9]{1,2}|[0-9]{1,3}gb?", word) or word in known | {
        "ada",
        "d",
        "s",
        "x",
    }
    assert found is None or found == slug or harmless or word in FAMILIES


@given(st.sampled_from([row for row in CORPUS if row[2]]), st.sampled_from(NEAR))
def test_a_name_of_two_families_is_not_mapped_to_either(row, other):
    label, memory_gib, slug = row
    found = CATALOGUE.card_of(f"{label} {other}", memory_gib=memory_gib)
    assert found in (None, slug)
    if other not in label.lower():
        assert found is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("families: []\nmaker: [x]", "unknown key"),
        ("families:\n- {family: a, names: [a], band: [1, 2], cards: []}", "expected names and cards"),
        ("families:\n- {family: a, names: [a], band: [2, 1], cards: [{gib: 8}]}", "the lower price first"),
        ("families:\n- {family: a, names: [a], band: [2], cards: [{gib: 8}]}", "highest believable price"),
        ("families:\n- {family: a, names: [a], band: [1, 2], cards: [{gib: 0}]}", "from 1 to 999"),
        (
            "families:\n- {family: a, names: [a], band: [1, 2], cards: [{gib: 8, tflops: 9}]}",
            "key of its source",
        ),
        (
            "families:\n- {family: a, names: [a], band: [1, 2], cards: [{gib: 8, tflops: 9, source: b}]}",
            "key of its source",
        ),
        (
            "families:\n- {family: a, names: [a], band: [1, 2], cards: [{gib: 8}, {gib: 8}]}",
            "twice",
        ),
        (
            "families:\n- {family: a, names: [a b, ab], band: [1, 2], cards: [{gib: 8}]}",
            "the name ab is there twice",
        ),
        (
            "families:\n- {family: a, names: [a], forms: {sxm: sxm9}, band: [1, 2], cards: [{gib: 8}]}",
            "no card of the form sxm9",
        ),
    ],
)
def test_a_catalogue_that_contradicts_itself_is_refused(tmp_path, text, said):
    path = tmp_path / "cards.yml"
    path.write_text(text)
    with pytest.raises(cardfile.ConfigError, match=re.escape(said)):
        cardfile.read(path)
