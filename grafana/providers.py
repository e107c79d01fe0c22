"""Who is asked, and whether it answers: nothing on the page is worth more than the replies behind it."""

from grafana.charts import Part, banner, beside
from grafana.offers import BASES, EACH
from grafana.panels import LOST, Look, timeseries
from grafana.queries import Json, instant, series
from grafana.tables import Column, or_said, table, words

_INFO = "gpu_market_provider_info{}"
_FRESH = "max by (provider) (provider:gpu_market_fresh:bool{})"
_SUCCESS = "max by (provider) (gpu_market_last_success_timestamp_seconds{})"
_FAILED = "gpu_market_fetch_failures_total{}"
_UNKNOWN_CARDS = 'max by (provider) (gpu_market_offers_rejected{reason="unmapped"})'
_OF_FILES = 'gpu_market_provider_info{source="file"}'
_DAY = "24h"
_NONE_CONFIGURED, _NEVER = 2, -1

# On red: the mapped values have colours of their own.
NOT_SCRAPED = "no data: is gputally site scraped?"
_COUNT = Look("none", decimals=0, sparkline=False, missing="none known")
_FAULTS = Look("none", LOST, decimals=0, sparkline=False, missing="none known")
_AGE = Look("s", decimals=0, sparkline=False)
_SOURCES = {"recording": ("a recording", "orange"), "file": ("a file", "text")}
_STATES = {"1": ("fresh", "green"), "0": ("too old", "red"), str(_NEVER): ("no reply yet", "red")}
_PARTLY: Json = {
    "options": {
        "from": 0.0001,
        "result": {"color": "dark-orange", "index": 3, "text": "In part a recording, not today's prices"},
        "to": 0.9999,
    },
    "type": "range",
}


def whose_offers() -> Json:
    """Says aloud when what is shown is a recording, and when there is no market to be shown."""
    asked = 'count(gpu_market_provider_info{source!="file"})'
    recorded = f'count(gpu_market_provider_info{{source="recording"}}) / {asked}'
    says = {
        "0": ("Prices as the providers publish them, and of files", "dark-green"),
        "1": ("A recording: these are not today's prices", "dark-orange"),
        str(_NONE_CONFIGURED): ("No market is configured: no provider is asked for prices", "dark-blue"),
    }
    return banner(
        "Where the prices come from",
        "Whether providers are asked, or a recording of their replies is played, as `make run` does. Which "
        "of them, and how old each reply is, stands in the table of providers below. Nobody is asked "
        "unless the configuration names them under market.providers.",
        instant(f"{recorded} or 0 * count({_INFO}) or {_NONE_CONFIGURED} * group(site_info{{}})", "recorded"),
        Look("none", ((None, "dark-red"),), missing=NOT_SCRAPED),
        [words(says), _PARTLY],
    )


def fresh() -> Json:
    """How many of them."""
    known = f"count(group by (provider) ({_INFO}))"
    good = f"sum({_FRESH}) or 0 * {known}"
    return beside(
        "Providers",
        "Whose last reply may still be believed, and those that have not answered for too long: their offers "
        "are not shown.",
        [Part(instant(good, "fresh")), Part(instant(f"{known} - ({good})", "not"), _FAULTS)],
        _COUNT,
    )


def asked() -> Json:
    """One line a provider."""
    rejected = "sum by (provider) (max by (provider, reason) (gpu_market_offers_rejected{}))"
    columns = [
        Column("Provider", name="provider", width=105),
        _state(),
        Column("From", name="source", mappings=(words(_SOURCES),)),
        Column("Price is of", name="basis", mappings=(words(BASES),), width=95),
        Column("Basis", expr=f"max by (provider, source, basis) ({_INFO})", hidden=True, needed=True),
        Column("Age", expr=f"time() - {_SUCCESS}", look=_AGE, width=85),
        Column("Too old at", expr="max by (provider) (gpu_market_max_age_seconds{})", look=_AGE, width=95),
        Column(
            "Took", expr="max by (provider) (gpu_market_fetch_duration_seconds{})", look=Look("s"), width=80
        ),
        _number("Fetches", f"sum by (provider) (increase(gpu_market_fetches_total{{}}[{_DAY}]))"),
        _number("Failed", f"sum by (provider) (increase({_FAILED}[{_DAY}]))", _FAULTS),
        _number("Offers", f"sum by (provider) (max by ({EACH}) (gpu_market_offers{{}}))"),
        _number("Rejected", rejected),
        _number("Unknown cards", _UNKNOWN_CARDS, width=130),
        Column(
            "All seen",
            expr="max by (provider) (gpu_market_truncated{})",
            cell="color-text",
            width=80,
            mappings=(words({"0": ("yes", "text"), "1": ("a part", "orange")}),),
        ),
    ]
    body = table(
        "Providers, their replies",
        "Fetches and failures are those of 24 hours. Rejected: rows of the last good reply that were not "
        "believed or have no price; unknown cards are those that the catalogue does not have. A part: the "
        "provider shows the first of its offers and no more. gputally offers lists the offers themselves.",
        columns,
        sort=("Provider",),
    )
    return or_said(body, "No provider is known: no market is configured, or the site agent is not scraped")


def _state() -> Column:
    never = f"group by (provider) ({_INFO}) unless on (provider) {_SUCCESS}"
    state = f"{_NEVER} * ({never}) or {_FRESH}"
    return Column("State", expr=state, cell="color-text", width=110, mappings=(words(_STATES),))


def _number(title: str, expr: str, look: Look = _COUNT, width: int = 80) -> Column:
    return Column(title, expr=expr, look=look, width=width, cell="color-text" if look is _FAULTS else "")


def ages() -> Json:
    """When did it stop to answer?"""
    return timeseries(
        "Age of the last good reply",
        "A saw: it grows until the provider is asked again. What goes on growing does not answer. Prices of "
        "files are not here: they have a date and are asked of nobody.",
        [series(f"time() - {_SUCCESS} unless on (provider) {_OF_FILES}", "{{provider}}")],
        Look("s", minimum=0),
    )


def failures() -> Json:
    """And why?"""
    return timeseries(
        "Failed fetches by reason",
        "How often asking a provider failed, all of them together. Parse, schema and empty: it answers, and "
        "not what it used to.",
        [series("sum by (reason) (increase(gpu_market_fetch_failures_total{}[$__interval]))", "{{reason}}")],
        Look("none", minimum=0, stacked=True, hourly=True),
    )


def dropped() -> Json:
    """Whether the page is short of anything."""
    return beside(
        "Left out",
        "Series beyond market.max_series, which Prometheus is not shown; and rows that name a card unknown "
        "to the catalogue: an alias in the configuration makes them known.",
        [
            Part(instant("sum(max by (cluster) (gpu_market_series_dropped{}))", "series dropped"), _FAULTS),
            Part(instant(f"sum({_UNKNOWN_CARDS})", "rows unknown")),
        ],
        _COUNT,
    )
