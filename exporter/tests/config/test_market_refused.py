"""Markets, rentals and plans that must be refused, each with the one line that says where and why."""

import pytest

from tests.config.marketfiles import complaint

_ROW = (
    "provider: a",
    "card: l40s-48gb",
    "usd_per_gpu_hour: 1",
    'source_url: "https://e.org"',
    "as_of: 2026-01-01",
)
_URL = "expected an address such as https://example.com/prices, without user and password, found"
_ROW_NEEDS = "expected at least provider, card, usd_per_gpu_hour, source_url and as_of"
_RENTAL = ("name: a", "provider: b", "card: l40s-48gb", "gpus: 1", "usd_per_gpu_hour: 1")
_RENTAL_NEEDS = "rentals[0]: expected at least name, provider, card, gpus and usd_per_gpu_hour"
_FORMS = "plans[0]: expected tflops and hours, or gpus, card and hours, or total_flops and deadline, found"
_NAME = "expected a name of at most 64 letters, digits, blanks and ._-, found"
_LABEL = "expected a name of at most 32 small letters, digits, - and _, found"


_EITHER = "expected either usd_per_gpu_hour, or per_gpu_hour and currency"


def keys(rows: tuple[str, ...], **other: str) -> str:
    """Keys of a mapping, with some of them said otherwise or, with "", left out."""
    said = dict(row.split(": ", 1) for row in rows) | other
    return ", ".join(f"{key}: {value}" for key, value in said.items() if value)


def row(**other: str) -> str:
    return f"market: {{providers: {{static: {{rows: [{{{keys(_ROW, **other)}}}]}}}}}}"


def rental(**other: str) -> str:
    return f"rentals: [{{{keys(_RENTAL, **other)}}}]"


MARKETS = {
    "market: [1]": ":1:9 market: expected a mapping, found a list",
    "market:": ":1:8 market: expected a mapping, found nothing",
    "market: {intervall: 1m}": ":1:10 market.intervall: unknown key, did you mean interval?",
    "market: {interval: 59s}": (
        ':1:20 market.interval: expected a duration from 1m to 7d, such as 1m30s, found "59s"'
    ),
    "market: {max_series: 9}": ':1:22 market.max_series: expected a whole number from 10 to 20000, found "9"',
    "market: {region: city}": ':1:18 market.region: expected one of all, continent, country, found "city"',
    "market: {rates: {USD: 1}}": (
        ":1:23 market.rates.USD: 1 by itself: rates are USD for one of another currency"
    ),
    "market: {rates: {eur: 1}}": (
        ":1:23 market.rates.eur: expected a currency by its three capital letters, such as EUR"
    ),
    "market: {rates: {EUR: 0}}": (
        ':1:23 market.rates.EUR: expected a decimal number from 0.000001 to 1000, found "0"'
    ),
    "market: {rates: {EUR: '1.1'}}": (
        ":1:23 market.rates.EUR: expected a decimal number from 0.000001 to 1000, "
        'found the quoted string "1.1"'
    ),
    "market: {gscore: {price: 0.6}}": (
        ":1:18 market.gscore: price, reliability and availability add up to 1.1, expected 1"
    ),
    "market: {gscore: {gpus: 0}}": (
        ':1:25 market.gscore.gpus: expected a whole number from 1 to 1024, found "0"'
    ),
    "market: {gscore: {price: -1}}": (
        ':1:26 market.gscore.price: expected a decimal number from 0 to 1, found "-1"'
    ),
    "market: {gscore: {security: 1}}": (
        ":1:19 market.gscore.security: unknown key, expected one of price, reliability, availability, gpus"
    ),
    "market: {aliases: {box: h100}}": ":1:25 market.aliases.box: no card is called h100",
    'market: {aliases: {"": l40s-48gb}}': (
        ':1:24 market.aliases."": expected a name of at most 128 characters for it'
    ),
}
PROVIDERS = {
    "vst: {}": ":1:22 market.providers.vst: unknown key, did you mean vast?",
    "vast: ": ":1:28 market.providers.vast: expected a mapping, found nothing",
    "vast: {price: 1}": (
        ":1:29 market.providers.vast.price: unknown key, expected one of "
        "interval, max_age, base_url, recording, api_key_file"
    ),
    "akash: {api_key_file: k}": (
        ":1:30 market.providers.akash.api_key_file: unknown key, expected one of "
        "interval, max_age, base_url, recording"
    ),
    "vast: {interval: 30s}": (
        ':1:39 market.providers.vast.interval: expected a duration from 1m to 7d, such as 1m30s, found "30s"'
    ),
    "vast: {interval: 1h, max_age: 59m}": (
        ":1:52 market.providers.vast.max_age: shorter than the interval: offers would come and go"
    ),
    "vast: {max_age: 5m}": (
        ":1:38 market.providers.vast.max_age: shorter than the interval: offers would come and go"
    ),
    "vast: {recording: true}": (
        ":1:40 market.providers.vast.recording: a recording is served somewhere: base_url is missing"
    ),
    "vast: {recording: 1}": ':1:40 market.providers.vast.recording: expected true or false, found "1"',
    "vast: {base_url: e.org}": f':1:39 market.providers.vast.base_url: {_URL} "e.org"',
    'vast: {base_url: "ftp://e.org"}': (
        f':1:39 market.providers.vast.base_url: {_URL} the quoted string "ftp://e.org"'
    ),
    'vast: {base_url: "https://u:p@e.org"}': (
        f":1:39 market.providers.vast.base_url: {_URL} a value that is not shown"
    ),
    'vast: {base_url: "https://e.org:x"}': (
        f':1:39 market.providers.vast.base_url: {_URL} the quoted string "https://e.org:x"'
    ),
    'vast: {base_url: "https://e.org?q=1"}': (
        ":1:39 market.providers.vast.base_url: expected an address without query and fragment: paths are put "
        "behind it, found a value that is not shown"
    ),
    'vast: {base_url: "http://e.org", api_key_file: k}': (
        ":1:39 market.providers.vast.base_url: expected https://, because a key goes along, "
        'found the quoted string "http://e.org"'
    ),
    "lambda: {}": (
        ":1:30 market.providers.lambda: api_key_file: missing: lambda shows no price without a key"
    ),
    "lambda: {api_key_file: }": ":1:45 market.providers.lambda.api_key_file: expected a file, found nothing",
    "clouds: {}": (":1:30 market.providers.clouds: names: missing: some of aws, azure, gcp, nebius, oci"),
    "clouds: {names: [ibm]}": (
        ':1:39 market.providers.clouds.names[0]: expected one of aws, azure, gcp, nebius, oci, found "ibm"'
    ),
    "clouds: {names: [aws, aws]}": (
        ":1:44 market.providers.clouds.names[1]: aws is a provider above, too: its series would be the same"
    ),
    "static: {}": ":1:30 market.providers.static: rows: expected from 1 to 500 rows, found 0",
    "static: {rows: []}": ":1:37 market.providers.static.rows: expected from 1 to 500 rows, found 0",
    "static: {interval: 1h}": (
        ":1:31 market.providers.static.interval: unknown key, expected one of max_age, rows"
    ),
}
ROWS = {
    row(card=""): f":1:38 market.providers.static.rows[0]: {_ROW_NEEDS}",
    row(as_of=""): f":1:38 market.providers.static.rows[0]: {_ROW_NEEDS}",
    row(card="h100"): "static.rows[0].card: no card is called h100",
    row(provider="Render"): f'static.rows[0].provider: {_LABEL} "Render"',
    row(usd_per_gpu_hour="0"): 'usd_per_gpu_hour: expected a decimal number from 0.001 to 1000, found "0"',
    row(usd_per_gpu_hour="1e3"): 'expected a decimal number from 0.001 to 1000, found "1e3"',
    row(as_of="2026-13-01"): (
        'static.rows[0].as_of: expected a date such as 2026-12-25, from 2000 to 2199, found "2026-13-01"'
    ),
    row(source_url="mail of Monday"): f'static.rows[0].source_url: {_URL} "mail of Monday"',
    row(currency="EUR"): f"static.rows[0]: {_EITHER}",
    row(per_gpu_hour="1"): f"static.rows[0]: {_EITHER}",
    row(usd_per_gpu_hour="", per_gpu_hour="1"): f"static.rows[0]: {_EITHER}",
    row(usd_per_gpu_hour="", per_gpu_hour="1", currency="CHF"): (
        "static.rows[0].currency: there is no rate for it in market.rates"
    ),
    "market: {rates: {EUR: 1.16}, " + row(usd_per_gpu_hour="", per_gpu_hour="9000", currency="EUR")[9:]: (
        "static.rows[0].per_gpu_hour: 10440.0000 USD: expected from 0.001 to 1000"
    ),
    row(country="de"): 'static.rows[0].country: expected a country by its two capital letters, found "de"',
    row(price_tier="weekend"): (
        'static.rows[0].price_tier: expected one of ondemand, spot, reserved, found "weekend"'
    ),
    row(host_tier="home"): 'static.rows[0].host_tier: expected one of datacenter, community, found "home"',
    row(region="x" * 65): "static.rows[0].region: expected at most 64 characters",
    row(node_gpus="0"): 'static.rows[0].node_gpus: expected a whole number from 1 to 1024, found "0"',
    row(price="1"): "static.rows[0].price: unknown key, did you mean price_tier?",
}
RENTALS = {
    rental(gpus=""): f":1:11 {_RENTAL_NEEDS}",
    rental(card="l40s"): "rentals[0].card: no card is called l40s",
    rental(name="a/b"): f'rentals[0].name: {_NAME} "a/b"',
    rental(provider="Lambda Labs"): f'rentals[0].provider: {_LABEL} "Lambda Labs"',
    rental(gpus="0"): 'rentals[0].gpus: expected a whole number from 1 to 100000, found "0"',
    rental(hours_per_day="25"): (
        'rentals[0].hours_per_day: expected a decimal number from 0 to 24, found "25"'
    ),
    rental(alert_usd_per_month="-1"): "rentals[0].alert_usd_per_month: expected a decimal number from 0 to",
    rental(model="x"): "rentals[0].model: unknown key, expected one of name, team, provider, card, gpus",
    f"{rental()[:-1]}, {{{keys(_RENTAL)}}}]": "rentals[1].name: a is there twice",
    "rentals: {}": ":1:10 rentals: expected a list, found a mapping",
    f"rentals: [{', '.join(['{}'] * 101)}]": ":1:10 rentals: expected at most 100, found 101",
}
PLANS = {
    "name: a": f"{_FORMS} none of them",
    "tflops: 1, hours: 1": ":1:9 plans[0]: missing key name",
    "name: a, hours: 1": f"{_FORMS} hours",
    "name: a, tflops: 1, hours: 1, gpus: 1": f"{_FORMS} tflops, hours, gpus",
    "name: a, gpus: 1, hours: 1": f"{_FORMS} hours, gpus",
    "name: a, total_flops: 1e20, hours: 1": f"{_FORMS} hours, total_flops",
    "name: a, tflops: 1, deadline: 1h": f"{_FORMS} tflops, deadline",
    "name: a, tflops: 0, hours: 1": (
        'plans[0].tflops: expected a decimal number from 0.001 to 100000000, found "0"'
    ),
    "name: a, tflops: 1, hours: 0": (
        'plans[0].hours: expected a decimal number from 0.001 to 100000, found "0"'
    ),
    "name: a, total_flops: 100, deadline: 1h": (
        'plans[0].total_flops: expected a number of operations such as 1.5e22, found "100"'
    ),
    "name: a, total_flops: 1e31, deadline: 1h": (
        'plans[0].total_flops: expected a number of operations such as 1.5e22, found "1e31"'
    ),
    "name: a, total_flops: '1e20', deadline: 1h": (
        'plans[0].total_flops: expected a number of operations such as 1.5e22, found the quoted string "1e20"'
    ),
    "name: a, total_flops: 1e20, deadline: 5m": (
        'plans[0].deadline: expected a duration from 6m to 4166d16h, such as 1m30s, found "5m"'
    ),
    "name: a, tflops: 1, hours: 1, mfu: 0": (
        'plans[0].mfu: expected a decimal number from 0.001 to 1, found "0"'
    ),
    "name: a, tflops: 1, hours: 1, mfu: 1.1": (
        'plans[0].mfu: expected a decimal number from 0.001 to 1, found "1.1"'
    ),
    "name: a, gpus: 1, card: l40s-48gb, hours: 1, mfu: 0.4": (
        "plans[0].mfu: beside gpus and card, which say it all"
    ),
    "name: a, gpus: 1, card: l40s-48gb, hours: 1, vram_gib: 24": (
        "plans[0].vram_gib: beside gpus and card, which say it all"
    ),
    "name: a, gpus: 1, card: l40s, hours: 1": "plans[0].card: no card is called l40s",
    "name: a, tflops: 1, hours: 1, budget: 1": "plans[0].budget: unknown key, expected one of",
    "name: a, tflops: 1, hours: 1}, {name: a, tflops: 1, hours: 1": "plans[1].name: a is there twice",
}


@pytest.mark.fault("config-market")
@pytest.mark.parametrize("text", MARKETS)
def test_a_slip_in_the_market_is_one_line_with_its_place(text):
    assert complaint(text) == MARKETS[text]


@pytest.mark.parametrize("text", PROVIDERS)
def test_a_slip_in_a_provider_is_one_line_with_its_place(text):
    assert complaint(f"market: {{providers: {{{text}}}}}") == PROVIDERS[text]


@pytest.mark.parametrize("text", [*ROWS, *RENTALS])
def test_a_slip_in_a_row_or_a_rental_is_one_line_that_names_the_key(text):
    assert {**ROWS, **RENTALS}[text] in complaint(text)


@pytest.mark.fault("config-market")
@pytest.mark.parametrize("text", PLANS)
def test_a_slip_in_a_plan_is_one_line_that_names_the_key(text):
    assert PLANS[text] in complaint(f"plans: [{{{text}}}]")


def test_a_row_may_not_pose_as_a_provider_that_is_asked():
    text = row(provider="vast").replace("{static", "{vast: {}, static")
    assert "rows[0]: vast is a provider above, too: its series would be the same" in complaint(text)


def test_no_more_providers_than_can_have_a_thread_and_a_page():
    rows = ", ".join(f"{{{keys(_ROW, provider=f'p{number}')}}}" for number in range(33))
    assert complaint(f"market: {{providers: {{static: {{rows: [{rows}]}}}}}}").endswith(
        "market.providers: expected at most 32 providers, found 33"
    )
