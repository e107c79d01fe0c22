"""Sites, tariffs and carbon that must be refused, each with the words that say where and why.

A message is what stands behind the file's name.
"""

from gputally.tariff.declared import MONTH_NAMES
from tests.config.sitefiles import EUR, ZONE

_DATE = "expected a date such as 2026-12-25, from 2000 to 2199, found"
_COUNTRY = "expected a country of docs/tariffs.md by its two capital letters, such as DE, found"
_MISSING_ZONE = ":1:1 site: timezone: missing: whose clocks and calendar are meant, such as Europe/Berlin"
_OF_A_VERSION = "unknown key, expected one of valid_from, surcharges_per_kwh, price_per_kwh, bands, prices"
_MODEL = ":5:22 owned_gpus[0].model: expected a model as gpu_info names it"
_OF_A_GPU = "unknown key, expected one of model, capital, life_years, residual, opex_per_year"


def flat(more: str) -> str:
    """A tariff of one price, with more that begins at 5:3."""
    return f"{EUR}  price_per_kwh: 0.3\n  {more}\n"


def gpu(keys: str) -> str:
    """An owned GPU, which begins at 5:14."""
    return f"{EUR}  price_per_kwh: 0.3\nowned_gpus: [{keys}]\n"


BAD_TARIFFS: dict[str, tuple[str, str]] = {
    # site
    "no zone": (
        "site: {timezone: }",
        ":1:18 site.timezone: expected a time zone such as Europe/Berlin, found nothing",
    ),
    "bad name of the site": (
        "site: {name: lab/2}",
        ':1:14 site.name: expected a name of letters, digits, blanks and ._-, found "lab/2"',
    ),
    "PUE below one": (
        "site: {pue: 0.9}",
        ':1:13 site.pue: expected a decimal number from 1 to 5, found "0.9"',
    ),
    "PUE in percent": (
        "site: {pue: 130}",
        ':1:13 site.pue: expected a decimal number from 1 to 5, found "130"',
    ),
    "PUE with five decimals": (
        "site: {pue: 1.30001}",
        ':1:13 site.pue: expected at most 4 decimals, found "1.30001"',
    ),
    "PUE of some months": (
        ZONE[:-2] + ", pue: {jan: 1.2, feb: 1.2}}",
        ":1:38 site.pue: mar: missing: a PUE by month wants all twelve",
    ),
    "PUE of another month": (
        ZONE[:-2] + ", pue: {january: 1.2}}",
        ":1:39 site.pue.january: unknown key, did you mean jan?",
    ),
    "unknown key of the site": (
        "site: {zone: Asia/Tokyo}",
        ":1:8 site.zone: unknown key, did you mean timezone?",
    ),
    # the currency and what a kWh costs
    "nothing in it": ("tariff: {}", ":1:9 tariff: currency: missing: three letters such as EUR"),
    "null": ("tariff:", ":1:8 tariff: expected a mapping, found nothing"),
    "no currency": (
        "tariff: {price_per_kwh: 0.3}",
        ":1:9 tariff: currency: missing: three letters such as EUR",
    ),
    "small currency": (
        "tariff: {currency: eur}",
        ':1:20 tariff.currency: expected three capital letters such as EUR, found "eur"',
    ),
    "sign as currency": (
        "tariff: {currency: €}",
        ':1:20 tariff.currency: expected three capital letters such as EUR, found "€"',
    ),
    "no price": ("tariff: {currency: EUR}", ":1:9 tariff: expected either price_per_kwh or bands"),
    "another word for the price": (
        "tariff: {currency: EUR, price_kwh: 0.3}",
        ":1:25 tariff.price_kwh: unknown key, did you mean price_per_kwh?",
    ),
    "price and bands": (
        flat("bands: [{name: a, price_per_kwh: 0.1}]"),
        ":3:3 tariff: expected either price_per_kwh or bands",
    ),
    "cents": (
        "tariff: {currency: EUR, price_per_kwh: 30}",
        ':1:40 tariff.price_per_kwh: expected EUR for one kWh, from -5 to 5, found "30"',
    ),
    "price of a MWh": (
        "tariff: {currency: USD, price_per_kwh: 87.5}",
        ':1:40 tariff.price_per_kwh: expected USD for one kWh, from -5 to 5, found "87.5"',
    ),
    "price of a small currency": (
        "tariff: {currency: IRR, price_per_kwh: 1000000.1}",
        ':1:40 tariff.price_per_kwh: expected IRR for one kWh, from -1000000 to 1000000, found "1000000.1"',
    ),
    "price with ten decimals": (
        "tariff: {currency: EUR, price_per_kwh: 0.1234567891}",
        ':1:40 tariff.price_per_kwh: expected at most 9 decimals, found "0.1234567891"',
    ),
    "price with a comma": (
        "tariff:\n  currency: EUR\n  price_per_kwh: 0,30\n",
        ':3:18 tariff.price_per_kwh: expected a decimal number, found "0,30"',
    ),
    "price with a comma in braces": (
        "tariff: {currency: EUR, price_per_kwh: 0,30}",
        ':1:42 tariff: expected a string as key, found "30": put it in quotes',
    ),
    "price in quotes": (
        "tariff: {currency: EUR, price_per_kwh: '0.3'}",
        ':1:40 tariff.price_per_kwh: expected a decimal number, found the quoted string "0.3"',
    ),
    "price with its currency": (
        "tariff: {currency: EUR, price_per_kwh: 0.3 EUR}",
        ':1:40 tariff.price_per_kwh: expected a decimal number, found "0.3 EUR"',
    ),
    "price without a zero": (
        "tariff: {currency: EUR, price_per_kwh: .3}",
        ':1:40 tariff.price_per_kwh: expected a decimal number, found ".3"',
    ),
    "price with an exponent": (
        "tariff: {currency: EUR, price_per_kwh: 3e-1}",
        ':1:40 tariff.price_per_kwh: expected a decimal number, found "3e-1"',
    ),
    "surcharge in percent": (
        flat("surcharges_per_kwh: {vat: 19%}"),
        ':5:29 tariff.surcharges_per_kwh.vat: expected a decimal number, found "19%"',
    ),
    "surcharge below zero": (
        flat("surcharges_per_kwh: {grid: -0.01}"),
        ':5:30 tariff.surcharges_per_kwh.grid: expected EUR for one kWh, from 0 to 5, found "-0.01"',
    ),
    "surcharge without a name": (
        flat("surcharges_per_kwh: 0.08"),
        ':5:23 tariff.surcharges_per_kwh: expected a mapping, found "0.08"',
    ),
    # the calendar
    "hours of nowhere": (
        EUR.replace("timezone: Europe/Berlin", "name: lab")
        + "  bands: [{name: a, days: [sun], price_per_kwh: 0.2}, {name: b, price_per_kwh: 0.1}]",
        _MISSING_ZONE.replace(":1:1", ":1:7"),
    ),
    "last day of nowhere": (
        "tariff: {currency: EUR, price_per_kwh: 0.3, valid_until: 2026-12-31}",
        _MISSING_ZONE,
    ),
    "first day of nowhere": (
        "tariff: {currency: EUR, price_per_kwh: 0.3, valid_from: 2026-12-31}",
        _MISSING_ZONE,
    ),
    "months of nowhere": (
        f"site: {{pue: {{{', '.join(f'{month}: 1.{at}' for at, month in enumerate(MONTH_NAMES))}}}}}",
        _MISSING_ZONE.replace(":1:1", ":1:7"),
    ),
    "German date": (flat("holidays: [25.12.2026]"), f':5:14 tariff.holidays[0]: {_DATE} "25.12.2026"'),
    "date without dashes": (flat("holidays: [20261225]"), f':5:14 tariff.holidays[0]: {_DATE} "20261225"'),
    "no such date": (flat("holidays: [2026-02-29]"), f':5:14 tariff.holidays[0]: {_DATE} "2026-02-29"'),
    "date with a time": (
        flat("valid_until: 2026-12-31T00:00"),
        f':5:16 tariff.valid_until: {_DATE} "2026-12-31T00:00"',
    ),
    "week as a date": (flat("valid_until: 2026-W10-1"), f':5:16 tariff.valid_until: {_DATE} "2026-W10-1"'),
    "long gone": (flat("valid_until: 1999-12-31"), f':5:16 tariff.valid_until: {_DATE} "1999-12-31"'),
    "holiday twice": (
        flat("holidays: [2026-12-25, 2026-12-25]"),
        ":5:26 tariff.holidays[1]: 2026-12-25 is there twice",
    ),
    "ends before it begins": (
        flat("valid_from: 2026-05-01\n  valid_until: 2026-04-30"),
        ":6:16 tariff.valid_until: the last version begins after that, on 2026-05-01",
    ),
    # versions
    "no versions": (
        EUR + "  versions: []",
        ":4:13 tariff.versions: expected at least one version, found an empty list",
    ),
    "empty version": (
        EUR + "  versions: [{}]",
        ":4:14 tariff.versions[0]: expected either price_per_kwh or bands",
    ),
    "price beside versions": (
        flat("versions: [{price_per_kwh: 0.1}]"),
        ":4:18 tariff.price_per_kwh: beside versions: it belongs into each of them",
    ),
    "surcharges beside versions": (
        EUR + "  surcharges_per_kwh: {a: 0.1}\n  versions: [{price_per_kwh: 0.1}]",
        ":4:23 tariff.surcharges_per_kwh: beside versions: it belongs into each of them",
    ),
    "second version without a day": (
        EUR + "  versions: [{price_per_kwh: 0.1}, {price_per_kwh: 0.2}]",
        ":4:36 tariff.versions[1]: valid_from: missing: only the first version can do without",
    ),
    "version of the same day": (
        EUR
        + "  versions:\n"
        + "  - {valid_from: 2026-01-01, price_per_kwh: 0.1}\n"
        + "  - {valid_from: 2026-01-01, price_per_kwh: 0.2}",
        ":6:18 tariff.versions[1].valid_from: not after the version before, which begins on 2026-01-01",
    ),
    "holidays of a version": (
        EUR + "  versions: [{price_per_kwh: 0.1, holidays: [2026-12-25]}]",
        f":4:35 tariff.versions[0].holidays: {_OF_A_VERSION}",
    ),
    "currency of a version": (
        EUR + "  versions: [{price_per_kwh: 0.1, currency: USD}]",
        f":4:35 tariff.versions[0].currency: {_OF_A_VERSION}",
    ),
    # dynamic prices; the files have their own tests
    "prices without a file": (flat("prices: {}"), ":5:11 tariff.prices: file: missing: where the prices are"),
    "prices without a fallback": (
        EUR + "  prices: {file: p.csv}",
        ":3:3 tariff: expected either price_per_kwh or bands, for when the file has no price",
    ),
    "prices of a name": (
        EUR + "  prices: {file: p.csv, name: dear}\n  bands: [{name: dear, price_per_kwh: 0.1}]",
        ":4:31 tariff.prices.name: dear is the name of a band, too",
    ),
    "prices named like a band": (
        EUR + "  prices: {file: p.csv}\n  bands: [{name: dynamic, price_per_kwh: 0.1}]",
        ":4:11 tariff.prices: name: dynamic is the name of a band, too",
    ),
    "no such file": (flat("prices: {file: p.csv}"), "p.csv: cannot be read: No such file or directory"),
    "address as a file": (
        flat("prices: {url: 'https://a.example/p.csv'}"),
        ":5:12 tariff.prices.url: unknown key, expected one of file, name",
    ),
    # carbon
    "kilograms": (
        "carbon: {grams_per_kwh: 0.38}",
        ':1:25 carbon.grams_per_kwh: expected grams, not kilograms, found "0.38"',
    ),
    "more than coal": (
        "carbon: {grams_per_kwh: 5001}",
        ':1:25 carbon.grams_per_kwh: expected a decimal number from 0 to 5000, found "5001"',
    ),
    "four decimals of a gram": (
        "carbon: {grams_per_kwh: 380.1234}",
        ':1:25 carbon.grams_per_kwh: expected at most 3 decimals, found "380.1234"',
    ),
    "no such country": ("carbon: {country: UK}", f':1:19 carbon.country: {_COUNTRY} "UK"'),
    "small country": ("carbon: {country: de}", f':1:19 carbon.country: {_COUNTRY} "de"'),
    "two factors": (
        "carbon: {country: DE, grams_per_kwh: 380}",
        ":1:19 carbon.country: either grams_per_kwh or country",
    ),
    "another key": (
        "carbon: {grams: 380}",
        ":1:10 carbon.grams: unknown key, expected one of grams_per_kwh, country, file",
    ),
    # owned GPUs
    "currency of GPUs": (
        "owned_gpus: [{model: x, capital: 1, life_years: 4}]",
        ":1:13 owned_gpus: in which currency? There is no tariff to say so",
    ),
    "GPU without a life": (
        gpu("{model: x, capital: 1}"),
        ":5:14 owned_gpus[0]: expected at least model, capital and life_years",
    ),
    "GPU with another key": (
        gpu("{model: x, price: 1, life_years: 4}"),
        f":5:25 owned_gpus[0].price: {_OF_A_GPU}",
    ),
    "GPU twice": (
        gpu("{model: x, capital: 1, life_years: 4}, {model: x, capital: 2, life_years: 4}"),
        ":5:61 owned_gpus[1].model: x is there twice",
    ),
    "residual above capital": (
        gpu("{model: x, capital: 1, residual: 2, life_years: 4}"),
        ":5:47 owned_gpus[0].residual: more than the capital",
    ),
    "life of a day": (
        gpu("{model: x, capital: 1, life_years: 0}"),
        ':5:49 owned_gpus[0].life_years: expected a decimal number from 0.25 to 30, found "0"',
    ),
    "model of 129 characters": (
        gpu(f"{{model: {'x' * 129}, capital: 1, life_years: 4}}"),
        f'{_MODEL}, of at most 128 characters, found "{"x" * 40}..."',
    ),
}
