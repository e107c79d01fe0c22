"""What a scrape shows of a market: every family as recorded, anew when there is news, nothing too old."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from gputally.catalogue import BY_NAME, MARKET
from gputally.collect.exposition import Format
from gputally.collect.page import Page
from gputally.collect.sites import site_families
from gputally.config.market import GScore, MarketSettings, Plan, Rental
from gputally.config.owned import OwnedGpu
from gputally.model import Instant
from gputally.model.market import FAILURES, REJECTIONS, Market, ProviderReport
from gputally.model.site import SiteSnapshot
from gputally.site.market import cards
from gputally.site.market.showcase import Showcase, Terms, too_old_at
from tests.golden import assert_recorded
from tests.site.market.marketplace import A100, H100, NOW, RTX4090, market, offer, report

GOLDEN = Path(__file__).parent / "golden" / "market.txt"
OFFERS = "gpu_market_offers"
SETTINGS = MarketSettings(
    max_series=12, rates={"EUR": Decimal("1.16")}, gscore=GScore(gpus=16), aliases={"my box": H100}
)
RENTALS = (
    Rental(
        "training", "lambda", H100, 4, Decimal("2.5"), Decimal(12), "nlp", alert_usd_per_month=Decimal(500)
    ),
    Rental("small", "house", RTX4090, 1, Decimal("0.4"), price_tier="reserved", host_tier="community"),
)
PLANS = (
    Plan("sweep", Decimal(10), gpus=2, card=H100, target_usd=Decimal(50)),
    Plan("nobody has it", Decimal(1), gpus=64, card=A100, target_usd=Decimal(1)),
)
OWNED = tuple(
    OwnedGpu(model, Decimal(30000), Decimal(0), Decimal(35064), Decimal(0))
    for model in ("NVIDIA H100 80GB HBM3", "nobody knows it")
)
REPORTS = Market(
    (
        replace(
            report(
                "vast",
                [
                    offer("vast", H100, "2", 4, reliability_ratio=0.99, host_tier="community"),
                    offer("vast", H100, "2.5", 1, reliability_ratio=0.9, host_tier="community"),
                    offer("vast", RTX4090, "0.35", 2, price_tier="spot"),
                ],
                rejected={"unmapped": 3},
                truncated=True,
            ),
            duration_seconds=0.75,
            fetches=12,
            failures={"http": 2, "timeout": 1},
        ),
        replace(report("lambda", [offer("lambda", H100, "3"), offer("lambda", A100, "9", 0)]), fetches=3),
        ProviderReport("akash", "bid_stats", "recording", 1800.0, fetches=1, failures={"network": 1}),
        report("ionet", [offer("ionet", H100, "1")], age=1800),
    )
)


def terms(**more) -> Terms:
    return Terms(cards.load(SETTINGS.aliases), SETTINGS, RENTALS, PLANS, OWNED, **more)


def page(told: Terms, found: Market, now: float = NOW) -> Page[SiteSnapshot]:
    figures = Showcase(told, lambda: found).renew(now)
    snapshot = SiteSnapshot(at=Instant(1, int(now) * 1_000_000_000), market=figures)
    return Page(lambda: snapshot, site_families)


def shown(told: Terms, found: Market, now: float = NOW) -> dict[str, dict[tuple[str, ...], float]]:
    return dict(Showcase(told, lambda: found).renew(now).families)


def test_scrape_is_as_recorded():
    """The catalogue of cards has tests of its own."""
    lines = page(terms(), REPORTS).render(Format.TEXT).decode().splitlines(keepends=True)
    mine = tuple(f"{row.name}{end}" for row in MARKET for end in ("{", " "))
    kept = [
        line
        for line in lines
        if line.removeprefix("# HELP ").removeprefix("# TYPE ").startswith(mine)
        and (not line.startswith("gpu_catalog_") or H100 in line)
    ]
    assert_recorded(GOLDEN, "".join(kept))


def test_every_family_of_the_market_is_shown_and_both_formats_say_the_same():
    one, found = page(terms(), REPORTS), []
    for parse, fmt in ((parse_text, Format.TEXT), (parse_openmetrics, Format.OPENMETRICS)):
        samples = [s for family in parse(one.render(fmt).decode()) for s in family.samples]
        assert all(set(s.labels) == set(BY_NAME[s.name].labels) for s in samples)
        found.append({(s.name, tuple(sorted(s.labels.items()))): s.value for s in samples})
    assert found[0] == found[1]
    assert {row.name for row in MARKET} <= {name for name, _ in found[0]}
    assert found[0]["gputally_left_out_families", ()] == 0


def test_what_is_shown_has_a_row_in_the_catalogue_and_as_many_labels():
    families = shown(terms(), REPORTS)
    assert families.keys() == {row.name for row in MARKET}
    for name, series in families.items():
        assert all(len(labels) == len(BY_NAME[name].labels) for labels in series), name


def test_counters_have_every_reason_from_the_beginning():
    families = shown(terms(), Market((ProviderReport("vast", "instance", "e.org", 60.0),)))
    assert families["gpu_market_fetches_total"] == {("vast",): 0}
    assert families["gpu_market_fetch_failures_total"] == {("vast", reason): 0 for reason in FAILURES}
    assert families["gpu_market_offers_rejected"] == {}
    families = shown(terms(), market(offer("vast", H100, "1")))
    assert families["gpu_market_offers_rejected"] == {("vast", reason): 0 for reason in REJECTIONS}


def test_offers_that_are_too_old_are_gone_and_how_old_they_are_stays():
    found = Market((report("vast", [offer("vast", H100, "1")]),))
    assert too_old_at(found, NOW) == NOW + 1740
    for now, count in ((NOW, 1), (NOW + 1739.9, 1), (NOW + 1740, 0), (NOW + 1e6, 0)):
        families = shown(terms(), found, now)
        assert len(families[OFFERS]) == count
        assert families["gpu_market_last_success_timestamp_seconds"] == {("vast",): NOW - 60}
        assert families["gpu_market_max_age_seconds"] == {("vast",): 1800}
    assert too_old_at(found, NOW + 1740) is None


def test_figures_are_due_at_news_and_at_the_instant_at_which_some_are_too_old_and_never_between():
    market_now = [Market((report("vast", [offer("vast", H100, "1")]), report("akash", [], age=1000.0)))]
    showcase = Showcase(terms(), lambda: market_now[0])
    assert showcase.is_due(NOW)
    showcase.renew(NOW)
    assert [showcase.is_due(NOW + after) for after in (0, 799.9, 800, 5000)] == [False, False, True, True]
    showcase.renew(NOW + 800)
    assert [showcase.is_due(NOW + after) for after in (800, 1739.9, 1740)] == [False, False, True]
    showcase.renew(NOW + 1740)
    assert not showcase.is_due(NOW + 1e9)
    market_now[0] = Market((report("vast", [offer("vast", H100, "3")]),))
    assert showcase.is_due(NOW)
    assert showcase.renew(NOW).families[OFFERS]


def test_figures_that_cannot_be_made_are_not_tried_again_until_there_is_news():
    now = [Market()]
    showcase = Showcase(replace(terms(), plans=("no plan",)), lambda: now[0])
    with pytest.raises(AttributeError):
        showcase.renew(NOW)
    assert not showcase.is_due(NOW)
    now[0] = Market(())
    assert showcase.is_due(NOW)


def test_a_reply_that_stays_is_not_looked_through_again():
    """The same groups, though another provider has answered."""
    first = report("vast", [offer("vast", H100, "1")])
    now = [Market((first,))]
    showcase = Showcase(terms(), lambda: now[0])
    showcase.renew(NOW)
    kept = showcase._groups["vast"][1]
    now[0] = Market((replace(first, fetches=9), report("akash", [offer("akash", H100, "2")])))
    showcase.renew(NOW)
    assert showcase._groups["vast"][1] is kept


def test_the_same_figures_are_asked_for_by_the_same_objects_over_many_snapshots():
    """By which their text is known, and written once."""
    figures = Showcase(terms(), lambda: REPORTS).renew(NOW)
    one, two = (
        {family.name: ask for family, ask in site_families(SiteSnapshot(at=Instant(n, n), market=figures))}
        for n in (1, 2)
    )
    assert all(one[row.name] is two[row.name] for row in MARKET)
    other = Showcase(terms(), lambda: REPORTS).renew(NOW)
    new = dict(site_families(SiteSnapshot(at=Instant(3, 3), market=other)))
    assert not any(new[row] is one[row.name] for row in MARKET)


def test_what_the_words_of_the_site_mean_beats_the_catalogue():
    families = shown(terms(), Market())
    assert families["gpu_catalog_name_info"]["my box", H100] == 1
    own = MarketSettings(aliases={"NVIDIA H100 80GB HBM3": A100})
    families = shown(replace(terms(), settings=own, catalogue=cards.load(own.aliases)), Market())
    assert [card for name, card in families["gpu_catalog_name_info"] if name == "NVIDIA H100 80GB HBM3"] == [
        A100
    ]


def test_owned_gpus_that_the_catalogue_does_not_know_have_no_card():
    assert shown(terms(), Market())["site_owned_gpu_card_info"] == {("NVIDIA H100 80GB HBM3", H100): 1}


def test_a_scrape_without_a_market_shows_nothing_of_it():
    one = Page(lambda: SiteSnapshot(at=Instant(1, 1)), site_families)
    text = one.render(Format.TEXT).decode()
    assert not any(f"# TYPE {row.name} " in text for row in MARKET)
