"""The block `market.providers`: whom to ask for prices, how often and with which key; and rows of one's own.

providers:
  vast: {}
  akash: {interval: 30m, max_age: 2h}
  lambda: {api_key_file: lambda.key}
  runpod: {base_url: "http://127.0.0.1:9840/runpod", recording: true}
  static:
    rows:
      - {provider: render, card: rtx4090-24gb, usd_per_gpu_hour: 0.69, host_tier: community,
         source_url: "https://example.com/prices", as_of: 2026-11-01}
  clouds: {names: [aws, gcp]}
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from gputally.config.bands import read_date
from gputally.config.checked import Check, checked, matching
from gputally.config.strict import Section, Value
from gputally.model.clock import NS_PER_SECOND
from gputally.model.market import HOST_TIERS, PRICE_TIERS

STATIC, CLOUDS = "static", "clouds"
KINDS = ("vast", "akash", "ionet", "runpod", "lambda", "verda", STATIC, CLOUDS)
CLOUD_NAMES = ("aws", "azure", "gcp", "nebius", "oci")
WITH_A_KEY = ("vast", "ionet", "runpod", "lambda", "verda")  # may have one; lambda answers nobody without
_MINUTE_NS, _DAY_NS = 60_000_000_000, 86_400_000_000_000
INTERVAL_MIN_NS, INTERVAL_MAX_NS = _MINUTE_NS, 7 * _DAY_NS
MAX_AGE_MAX_NS = 366 * _DAY_NS
LISTS_INTERVAL_NS, LISTS_MAX_AGE_NS = _DAY_NS, 2 * _DAY_NS  # price lists change by the month
ROWS_MAX_AGE_NS = 120 * _DAY_NS
INTERVALS_SHOWN = 3  # how many a good reply is shown for, by itself
MOST_ROWS = 500
MOST_PROVIDERS = 32  # each may have a thread
LEAST_USD, MOST_USD = Decimal("0.001"), Decimal(1000)  # for one GPU for one hour
_MOST_AMOUNT = Decimal(1_000_000_000)  # of any currency
LONGEST_URL = 500
_LABEL = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_VISIBLE = re.compile(r"[!-~]+")
_LABEL_IS = "a name of at most 32 small letters, digits, - and _"


@dataclass(frozen=True, slots=True)
class PriceRow:
    """A price that somebody wrote down: where it was read, and when."""

    provider: str
    card: str
    usd_per_gpu_hour: Decimal
    source_url: str
    as_of: date
    price_tier: str = "ondemand"
    host_tier: str = "datacenter"
    region: str = ""
    country: str = ""
    node_gpus: int = 1
    listed: str = ""  # the price in the currency in which it is published, where that is not USD


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One provider. All offers of a reply are `name`'s, which is the label of its series.

    `kind` says who knows how to ask. It is the same word, but for two: rows belong to the providers that they
    name, and every cloud is a provider of its own.
    """

    name: str
    kind: str
    base_url: str | None = None  # None: where the provider answers
    interval_seconds: float = 600.0
    max_age_seconds: float = 1800.0
    api_key_file: Path | None = None
    recording: bool = False
    rates: Mapping[str, Decimal] = field(default_factory=dict)  # currency -> USD for one
    options: Mapping[str, object] = field(default_factory=dict)  # static: rows, of PriceRow


@dataclass(frozen=True, slots=True)
class Given:
    """What providers have in common, and what the reader cannot judge."""

    folder: Path  # to which files are relative
    check_card: Check
    interval_ns: int
    rates: Mapping[str, Decimal]


def read_label(value: Value) -> str:
    """Read the name of a provider. Raises ConfigError with file, line and key."""
    return matching(value, _LABEL, _LABEL_IS)


def read_card(value: Value, check: Check) -> str:
    """Read a kind of GPU by its name in the catalogue. Raises ConfigError with file, line and key."""
    return checked(value, check, "a card such as h100-sxm5-80gb")


def read_usd(value: Value) -> Decimal:
    """Read the price of one GPU for one hour. Raises ConfigError with file, line and key."""
    return value.decimal(LEAST_USD, MOST_USD)


def read_providers(providers: Section, given: Given) -> tuple[ProviderSettings, ...]:
    """Read the block. Raises ConfigError with file, line and key."""
    found: dict[str, ProviderSettings] = {}
    for kind in KINDS:
        block = providers.mapping(kind)
        if not block.present:
            continue
        for name, settings in _READERS.get(kind, _asked)(kind, block, given):
            if settings.name in found:
                raise name.error(f"{settings.name} is a provider above, too: its series would be the same")
            found[settings.name] = settings
        block.finish()
    if len(found) > MOST_PROVIDERS:
        raise providers.value.error(f"expected at most {MOST_PROVIDERS} providers, found {len(found)}")
    return tuple(found.values())


_Named = Iterator[tuple[Value, ProviderSettings]]  # where the name stands, for complaints


def _asked(kind: str, block: Section, given: Given) -> _Named:
    """One that is asked over HTTP."""
    interval_ns, max_age_ns = _times(block, given.interval_ns)
    base_url, recording = block.get("base_url"), block.boolean("recording", False)
    key_file = block.get("api_key_file") if kind in WITH_A_KEY else None
    block.finish()
    url = _base_url(base_url, has_key=key_file is not None) if base_url is not None else None
    if recording and url is None:
        raise block.error("recording", "a recording is served somewhere: base_url is missing")
    if kind == "lambda" and key_file is None and not recording:
        raise block.error("api_key_file", "missing: lambda shows no price without a key")
    yield (
        block.value,
        ProviderSettings(
            kind,
            kind,
            url,
            interval_ns / NS_PER_SECOND,
            max_age_ns / NS_PER_SECOND,
            given.folder / key_file.string("a file") if key_file is not None else None,
            recording,
            given.rates,
        ),
    )


def _clouds(kind: str, block: Section, given: Given) -> _Named:
    """Each is a provider, though they come from one catalogue."""
    interval_ns, max_age_ns = _times(block, LISTS_INTERVAL_NS, LISTS_MAX_AGE_NS)
    names = block.get("names")
    block.finish()
    if names is None:
        raise block.error("names", f"missing: some of {', '.join(CLOUD_NAMES)}")
    for value in names.list():
        name = value.choice(CLOUD_NAMES)
        yield (
            value,
            ProviderSettings(
                name,
                kind,
                interval_seconds=interval_ns / NS_PER_SECOND,
                max_age_seconds=max_age_ns / NS_PER_SECOND,
                rates=given.rates,
            ),
        )


def _static(kind: str, block: Section, given: Given) -> _Named:
    """Rows, by the providers that they name; nobody is asked."""
    max_age_ns = block.duration_ns("max_age", ROWS_MAX_AGE_NS, minimum=_DAY_NS, maximum=MAX_AGE_MAX_NS)
    listed = block.get("rows")
    block.finish()
    values = listed.list() if listed is not None else ()
    if not 0 < len(values) <= MOST_ROWS:
        raise block.error("rows", f"expected from 1 to {MOST_ROWS} rows, found {len(values)}")
    rows: dict[str, list[PriceRow]] = {}
    places: dict[str, Value] = {}
    for value in values:
        row = _row(value.mapping(), given)
        rows.setdefault(row.provider, []).append(row)
        places.setdefault(row.provider, value)
    for name, its in rows.items():
        yield (
            places[name],
            ProviderSettings(
                name,
                kind,
                max_age_seconds=max_age_ns / NS_PER_SECOND,
                rates=given.rates,
                options={"rows": tuple(its)},
            ),
        )


_READERS = {STATIC: _static, CLOUDS: _clouds}


def _row(section: Section, given: Given) -> PriceRow:
    provider, card = section.get("provider"), section.get("card")
    price = section.get("usd_per_gpu_hour") or section.get("per_gpu_hour")
    url, as_of, country = (section.get(key) for key in ("source_url", "as_of", "country"))
    price_tier = section.choice("price_tier", PRICE_TIERS, "ondemand")
    host_tier = section.choice("host_tier", HOST_TIERS, "datacenter")
    region = section.string("region", "")
    node_gpus = section.integer("node_gpus", 1, minimum=1, maximum=1024)
    foreign = section.get("per_gpu_hour"), section.get("currency")
    section.finish()
    if provider is None or card is None or price is None or url is None or as_of is None:
        raise section.value.error("expected at least provider, card, usd_per_gpu_hour, source_url and as_of")
    if len(region) > 64 or not region.isprintable():
        raise section.error("region", "expected at most 64 characters")
    usd, listed = _usd(section, given.rates) if foreign != (None, None) else (read_usd(price), "")
    return PriceRow(
        read_label(provider),
        read_card(card, given.check_card),
        usd,
        _url(url),
        read_date(as_of),
        price_tier,
        host_tier,
        region,
        matching(country, _COUNTRY, "a country by its two capital letters") if country is not None else "",
        node_gpus,
        listed,
    )


def _usd(section: Section, rates: Mapping[str, Decimal]) -> tuple[Decimal, str]:
    """A price in another currency as USD, and as it is published."""
    amount, currency = section.get("per_gpu_hour"), section.get("currency")
    if amount is None or currency is None or section.get("usd_per_gpu_hour") is not None:
        raise section.value.error("expected either usd_per_gpu_hour, or per_gpu_hour and currency")
    rate = rates.get(currency.string("a currency"))
    if rate is None:
        raise currency.error("there is no rate for it in market.rates")
    listed = amount.decimal(Decimal(0), _MOST_AMOUNT)
    usd = listed * rate
    if not LEAST_USD <= usd <= MOST_USD:
        raise amount.error(f"{usd:.4f} USD: expected from {LEAST_USD} to {MOST_USD}")
    return usd, f"{listed} {currency.node.text}"


def _times(block: Section, interval_ns: int, max_age_ns: int | None = None) -> tuple[int, int]:
    """How often, and for how long a good reply is shown."""
    every = block.duration_ns("interval", interval_ns, minimum=INTERVAL_MIN_NS, maximum=INTERVAL_MAX_NS)
    longest = INTERVALS_SHOWN * every if max_age_ns is None else max(max_age_ns, every)
    shown = block.duration_ns("max_age", longest, minimum=_MINUTE_NS, maximum=MAX_AGE_MAX_NS)
    if shown < every:
        raise block.error("max_age", "shorter than the interval: offers would come and go")
    return every, shown


def _base_url(value: Value, *, has_key: bool) -> str:
    """Where else a provider is asked, without a slash at the end."""
    url = _url(value)
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise replace(value, secret=True).expected(
            "an address without query and fragment: paths are put behind it"
        )
    if has_key and parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise value.expected("https://, because a key goes along")
    return url.rstrip("/")


def _url(value: Value) -> str:
    what = "an address such as https://example.com/prices, without user and password"
    text = value.string(what)
    value = replace(value, secret=value.secret or "@" in text)  # what is wrong there may be a password
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise value.expected(what) from None
    named = parts.username is not None or parts.password is not None
    if not good or named or len(text) > LONGEST_URL or not _VISIBLE.fullmatch(text):
        raise value.expected(what)
    return text


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
