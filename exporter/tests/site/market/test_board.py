"""Offers as figures: what can be had decides the price, and what is worth most stays."""

from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gputally.model.market import HOST_TIERS, PRICE_TIERS
from gputally.site.market.board import Group, board, by_worth, groups_of, region_of
from gputally.site.market.continents import CONTINENT_OF
from tests.site.market.marketplace import A100, H100, L40S, offer, report

LABELS = st.tuples(
    st.sampled_from(["vast", "akash", "ionet"]),
    st.sampled_from([H100, A100, L40S]),
    st.sampled_from(PRICE_TIERS),
    st.sampled_from(HOST_TIERS),
    st.sampled_from(["DE", "US", "FR", "unknown"]),
)
PRICES = st.decimals("0.01", "20", places=2)
GROUPS = st.dictionaries(
    LABELS,
    st.tuples(PRICES, st.none() | st.integers(0, 100), st.none() | st.floats(0, 1)),
    max_size=40,
).map(lambda found: [Group(labels, usd, usd, 1, free, ratio) for labels, (usd, free, ratio) in found.items()])


def groups(*offers, region="all"):
    return {group.labels[4]: group for group in groups_of(report("vast", offers), region)}


def test_lowest_median_and_count_of_offers_with_the_same_labels():
    found = groups(
        *(offer("vast", H100, usd, free) for usd, free in (("2", 8), ("1.5", 4), ("4", 1), ("3", 2)))
    )
    assert found == {
        "all": Group(
            ("vast", H100, "ondemand", "datacenter", "all"), Decimal("1.5"), Decimal("2.5"), 4, 15, None
        )
    }


def test_what_is_sold_out_has_no_say_in_the_price_as_long_as_anything_can_be_had():
    found = groups(offer("vast", H100, "1", 0), offer("vast", H100, "2", 3))["all"]
    assert (found.min_usd, found.median_usd, found.offers, found.available_gpus) == (2, 2, 2, 3)
    found = groups(offer("vast", H100, "1", 0), offer("vast", H100, "2", 0))["all"]
    assert (found.min_usd, found.median_usd, found.offers, found.available_gpus) == (1, Decimal("1.5"), 2, 0)


def test_how_many_there_are_is_unknown_only_if_nobody_says_so():
    assert groups(offer("vast", H100, "1"), offer("vast", H100, "2"))["all"].available_gpus is None
    assert groups(offer("vast", H100, "1"), offer("vast", H100, "2", 3))["all"].available_gpus == 3


def test_reliability_is_that_of_the_cheapest_who_publish_it():
    found = groups(
        offer("vast", H100, "1", 1, reliability_ratio=0.9),
        offer("vast", H100, "1", 1, reliability_ratio=0.8),
        offer("vast", H100, "1", 1),
        offer("vast", H100, "2", 1, reliability_ratio=1.0),
    )["all"]
    assert found.reliability_ratio == pytest.approx(0.85)
    assert (
        groups(offer("vast", H100, "1"), offer("vast", H100, "2", reliability_ratio=1.0))[
            "all"
        ].reliability_ratio
        is None
    )


def test_the_label_provider_is_that_of_the_report():
    (found,) = groups_of(report("house", [offer("vast", H100, "1")]), "all")
    assert found.labels[0] == "house"


@pytest.mark.parametrize(
    ("country", "regions"),
    [
        ("DE", ("all", "europe", "DE")),
        ("US", ("all", "north-america", "US")),
        ("BR", ("all", "south-america", "BR")),
        ("JP", ("all", "asia", "JP")),
        ("ZA", ("all", "africa", "ZA")),
        ("NZ", ("all", "oceania", "NZ")),
        ("", ("all", "unknown", "unknown")),
        ("ZZ", ("all", "unknown", "ZZ")),
    ],
)
def test_regions_are_as_wide_as_is_wanted(country, regions):
    one = offer("vast", H100, "1", country=country)
    assert tuple(region_of(one, wide) for wide in ("all", "continent", "country")) == regions


def test_every_country_lies_on_one_continent():
    assert len(CONTINENT_OF) == 250  # of ISO 3166, and Kosovo
    assert set(CONTINENT_OF.values()) == {
        *("africa", "antarctica", "asia", "europe", "north-america", "oceania", "south-america")
    }


@settings(max_examples=50)
@given(GROUPS, st.integers(0, 220))
def test_there_are_never_more_series_than_may_be_and_every_other_one_is_counted(found, most):
    made = board(found, most)
    shown = sum(group.series for group in made.groups)
    assert shown <= most
    assert shown + made.dropped_series == sum(group.series for group in found)
    assert set(made.groups) <= set(found)
    assert list(made.groups) == sorted(made.groups, key=lambda group: group.labels)


@settings(max_examples=50)
@given(GROUPS, st.integers(0, 220), st.randoms())
def test_what_is_shown_does_not_depend_on_the_order_in_which_providers_answer(found, most, chance: Random):
    mixed = list(found)
    chance.shuffle(mixed)
    assert board(mixed, most) == board(found, most)


@settings(max_examples=50)
@given(GROUPS)
def test_no_second_region_of_anything_stays_while_a_first_one_goes(found):
    order = by_worth(found)
    places = []
    for group in order:
        rivals = [other for other in found if other.labels[:4] == group.labels[:4]]
        places.append(sorted(rivals, key=lambda other: (other.min_usd, other.labels)).index(group))
    assert places == sorted(places)


@settings(max_examples=50)
@given(GROUPS.filter(bool))
def test_the_cheapest_offer_of_a_card_goes_after_everything_that_is_dearer_for_it(found):
    order = by_worth(found)
    for kind in {group.labels[1:4] for group in found}:
        of_kind = [group for group in order if group.labels[1:4] == kind]
        firsts = [group for group in of_kind if group in _firsts(of_kind)]
        assert all(one.min_usd <= two.min_usd for one, two in pairwise(firsts))
        assert of_kind[0].min_usd == min(group.min_usd for group in of_kind)


def _firsts(of_kind):
    """The cheapest region of each provider."""
    best = {}
    for group in sorted(of_kind, key=lambda group: (group.min_usd, group.labels), reverse=True):
        best[group.labels[:4]] = group
    return list(best.values())
