"""What the agents say of their site: the time zone of its days, and whether anybody declared a price."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gputally.report import questions
from gputally.report.asking import Inquiry, Server
from gputally.report.failures import ReportError, WrongQuestion
from gputally.report.ranges import Range, knows_days, read_range
from gputally.tariff.declared import DEFAULT
from gputally.tariff.rates import NANO

_ZONES = "group by (timezone) (last_over_time({}[{}]))"
_INFO = ("site_info", "gputally_tariff_info")
_DEFAULT = f"0.{DEFAULT.versions[0].bands[0].price_nano * 100 // NANO:02}"


def zone_named(name: str) -> ZoneInfo:
    """The zone. Raises WrongQuestion for one that nobody knows."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise WrongQuestion(f"--timezone {name!r}: unknown, expected one such as Europe/Berlin") from None


def find_range(
    server: Server, texts: tuple[str, str], timezone: str | None, now_s: int
) -> tuple[Range, str | None]:
    """What `--from` and `--to` mean at the site, and what has to be said of it.

    Raises WrongQuestion; ReportError where it is not clear whose days are meant.
    """
    note = None
    if timezone is not None:
        zone = zone_named(timezone)
    else:
        names = _find_zones(server, now_s)
        zone = _known(*names) if len(names) == 1 else ZoneInfo("UTC")
        if len(names) > 1:
            several = f"agents name several time zones ({', '.join(names)})"
            if any(text and knows_days(text) for text in texts):
                raise ReportError(f"{several}: say whose days are meant, with --timezone")
            note = f"Times are UTC: {several}."
        elif not names:
            note = "Times are UTC: no agent names the site's time zone; --timezone does."
    try:
        return read_range(*texts, now_s, zone), note
    except ValueError as error:
        raise WrongQuestion(str(error)) from None


def _find_zones(server: Server, now_s: int) -> list[str]:
    """The time zones that agents name, now or in the last week; the site agent's go first."""
    for span in ("5m", "7d"):
        for family in _INFO:
            found = server.query(_ZONES.format(family, span), now_s)
            names = {name for sample in found if (name := sample.labels.get("timezone", ""))}
            if names:
                return sorted(names)
    return []


def _known(name: str) -> ZoneInfo:
    try:
        return zone_named(name)
    except WrongQuestion:
        raise ReportError(f"the site's time zone {name!r} is not known here; give --timezone") from None


def note_default_price(inquiry: Inquiry) -> None:
    """Say it where cost comes from a price that nobody declared."""
    step = inquiry.range.step
    found = inquiry.ask(
        lambda span: questions.seen_now_and_then("gputally_tariff_info", ("source",), span, step)
    )
    sources = {sample.labels.get("source", "") for sample in found}
    if "default" in sources:
        where = "" if sources == {"default"} else ", for part of the time or on some machines"
        inquiry.note(
            f"Cost is at the default price, {_DEFAULT} {DEFAULT.currency} per kWh, not at yours: "
            f"no tariff is configured{where}."
        )
