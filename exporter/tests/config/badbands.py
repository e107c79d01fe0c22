"""Bands that must be refused, each with the words that say where and why.

A message is what stands behind the file's name.
"""

from tests.config.sitefiles import EUR

_DAYS = (
    "expected one of mon, tue, wed, thu, fri, sat, sun and holiday, or from one to another such as mon-fri"
)
_MONTHS = (
    "expected one of jan, feb, mar, apr, may, jun, jul, aug, sep, oct, nov, dec, "
    "or from one to another such as nov-feb"
)
_HOURS = 'expected hours such as "06:00-22:00", found'
_WHOSE = (
    'whose morning is it? With days, hours over midnight must be said in two: "22:00-24:00" and "00:00-06:00"'
)
_NAME = "expected a name of at most 32 small letters, digits, - and _, found"


def band(keys: str) -> str:
    """A tariff of one odd band, which begins at 5:3, and one for the rest."""
    return f"{EUR}  bands:\n  - {{{keys}}}\n  - {{name: rest, price_per_kwh: 0.1}}\n"


BAD_BANDS: dict[str, tuple[str, str]] = {
    "no bands": (EUR + "  bands: []", ":4:10 tariff.bands: expected at least one band"),
    "one band without brackets": (
        EUR + "  bands: {name: a, price_per_kwh: 1}",
        ":4:10 tariff.bands: expected a list, found a mapping",
    ),
    "band without a price": (
        band("name: day, days: [mon-fri]"),
        ":5:5 tariff.bands[0]: a band wants a name and a price_per_kwh",
    ),
    "band without a name": (
        band("price_per_kwh: 0.1, days: [mon-fri]"),
        ":5:5 tariff.bands[0]: a band wants a name and a price_per_kwh",
    ),
    "band with another key": (
        band("name: day, price: 0.2, days: [mon-fri]"),
        ":5:17 tariff.bands[0].price: unknown key, expected one of name, price_per_kwh, days, hours, months",
    ),
    "large name": (band("name: Day, price_per_kwh: 0.2"), f':5:12 tariff.bands[0].name: {_NAME} "Day"'),
    "long name": (
        band(f"name: {'x' * 33}, price_per_kwh: 0.2"),
        f':5:12 tariff.bands[0].name: {_NAME} "{"x" * 33}"',
    ),
    "default as a name": (
        band("name: default, price_per_kwh: 0.2"),
        ':5:12 tariff.bands[0].name: "default" is the name of the price that holds without a tariff',
    ),
    "one day without brackets": (
        band("name: a, price_per_kwh: 0.2, days: mon-fri"),
        ':5:41 tariff.bands[0].days: expected a list, found "mon-fri"',
    ),
    "days in words": (
        band("name: a, price_per_kwh: 0.2, days: [Monday]"),
        f':5:42 tariff.bands[0].days[0]: {_DAYS}, found "Monday"',
    ),
    "open range": (
        band("name: a, price_per_kwh: 0.2, days: [mon-]"),
        f':5:42 tariff.bands[0].days[0]: {_DAYS}, found "mon-"',
    ),
    "range to holiday": (
        band("name: a, price_per_kwh: 0.2, days: [sat-holiday]"),
        f':5:42 tariff.bands[0].days[0]: {_DAYS}, found "sat-holiday"',
    ),
    "range from holiday": (
        band("name: a, price_per_kwh: 0.2, days: [holiday-mon]"),
        f':5:42 tariff.bands[0].days[0]: {_DAYS}, found "holiday-mon"',
    ),
    "day twice": (
        band("name: a, price_per_kwh: 0.2, days: [mon-wed, wed]"),
        ":5:51 tariff.bands[0].days[1]: wed is there twice",
    ),
    "no days": (
        band("name: a, price_per_kwh: 0.2, days: []"),
        f":5:41 tariff.bands[0].days: {_DAYS}, found an empty list",
    ),
    "months by number": (
        band("name: a, price_per_kwh: 0.2, months: [1]"),
        f':5:44 tariff.bands[0].months[0]: {_MONTHS}, found "1"',
    ),
    "month twice": (
        band("name: a, price_per_kwh: 0.2, months: [nov-feb, jan]"),
        ":5:53 tariff.bands[0].months[1]: jan is there twice",
    ),
    "hours without minutes": (
        band("name: a, price_per_kwh: 0.2, hours: [6-22]"),
        f':5:43 tariff.bands[0].hours[0]: {_HOURS} "6-22"',
    ),
    "hours with one digit": (
        band("name: a, price_per_kwh: 0.2, hours: ['6:00-22:00']"),
        f':5:43 tariff.bands[0].hours[0]: {_HOURS} the quoted string "6:00-22:00"',
    ),
    "hours after midnight": (
        band("name: a, price_per_kwh: 0.2, hours: ['22:00-24:01']"),
        f':5:43 tariff.bands[0].hours[0]: {_HOURS} the quoted string "22:00-24:01"',
    ),
    "hours from 24": (
        band("name: a, price_per_kwh: 0.2, hours: ['24:00-06:00']"),
        f':5:43 tariff.bands[0].hours[0]: {_HOURS} the quoted string "24:00-06:00"',
    ),
    "no time": (
        band("name: a, price_per_kwh: 0.2, hours: ['06:00-06:00']"),
        f':5:43 tariff.bands[0].hours[0]: {_HOURS} the quoted string "06:00-06:00"',
    ),
    "no hours": (
        band("name: a, price_per_kwh: 0.2, hours: []"),
        f":5:42 tariff.bands[0].hours: {_HOURS} an empty list",
    ),
    "hours twice": (
        band("name: a, price_per_kwh: 0.2, hours: ['06:00-12:00', '11:00-13:00']"),
        ":5:58 tariff.bands[0].hours[1]: overlaps with other hours of this band",
    ),
    "hours over midnight twice": (
        band("name: a, price_per_kwh: 0.2, hours: ['22:00-06:00', '05:00-07:00']"),
        ":5:58 tariff.bands[0].hours[1]: overlaps with other hours of this band",
    ),
    "whose morning": (
        band("name: a, price_per_kwh: 0.2, days: [fri], hours: ['22:00-06:00']"),
        f":5:55 tariff.bands[0].hours: {_WHOSE}",
    ),
    "two prices of one name": (
        band("name: rest, days: [sun], price_per_kwh: 0.2"),
        ":6:5 tariff.bands[1]: band rest has another price above",
    ),
    "two for the rest": (
        band("name: a, price_per_kwh: 0.2"),
        ":5:3 tariff.bands: bands a and rest are both for the rest of the time",
    ),
    "gap": (
        EUR + "  bands: [{name: a, hours: ['06:00-22:00'], price_per_kwh: 0.2}]",
        ":4:10 tariff.bands: no band for mon 00:00 in jan",
    ),
    "overlap": (
        EUR
        + "  bands: [{name: a, days: [mon-fri], price_per_kwh: 0.2}, "
        + "{name: b, days: [fri-sun], price_per_kwh: 0.1}]",
        ":4:10 tariff.bands: bands a and b overlap on fri 00:00 in jan",
    ),
    "nothing left": (
        band("name: a, days: [mon-sun], price_per_kwh: 0.2"),
        ":5:3 tariff.bands: band rest never holds: the others leave no time for it",
    ),
    "price of holidays, and no holidays": (
        band("name: a, days: [holiday], price_per_kwh: 0.2"),
        ":5:3 tariff.bands: band a never holds: it is for holidays, and none are listed",
    ),
    "holidays, and no price of them": (
        EUR + "  holidays: [2026-12-25]\n  bands: [{name: a, days: [mon-sun], price_per_kwh: 0.2}]",
        ":5:10 tariff.bands: no band for holiday 00:00 in jan",
    ),
    "25 names": (
        EUR
        + "  bands:\n"
        + "".join(
            f"  - {{name: b{at}, price_per_kwh: 0.{at}, hours: ['00:{at:02}-00:{at + 1:02}']}}\n"
            for at in range(10, 34)
        )
        + "  - {name: rest, price_per_kwh: 0.1}\n",
        ":3:3 tariff: versions: expected at most 24 names of bands, found 25",
    ),
}
