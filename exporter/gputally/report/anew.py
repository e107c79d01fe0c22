"""Teams and cards with another price: cost as it was counted, as it should be, and the difference."""

from pathlib import Path

from gputally.report import questions
from gputally.report.asking import Inquiry
from gputally.report.gathering import DAY, Key, Wanted, require_data
from gputally.report.reprice import COLUMNS, Pricing
from gputally.report.sheet import Sheet
from gputally.report.usage import Filters, Layout, keys, lay_out, lay_out_cards
from gputally.tariff.schedule import Schedule

ORDER = "cost_new"


def by_team_anew(  # noqa: PLR0913, PLR0917 - what by_team takes, and the price
    inquiry: Inquiry, report: str, by: Key, filters: Filters, file: Path, schedule: Schedule
) -> Sheet:
    """Teams, users or models by the tariff of a file."""
    measures = (questions.TEAM_BANDS, questions.TEAM["cost"])
    wanted = Wanted(measures, by, questions.matching(filters))
    groups = Pricing(inquiry, schedule, file, wanted).run()
    if not groups:
        require_data(inquiry)
    return lay_out(inquiry, Layout(report, (*keys(by), *COLUMNS), by, ORDER), groups)


def by_gpu_anew(inquiry: Inquiry, by: Key, filters: Filters, file: Path, schedule: Schedule) -> Sheet:
    """Cards by the tariff of a file."""
    asked = ("cluster", "uuid", *((DAY,) if DAY in by else ()))
    measures = (questions.GPU_BANDS, questions.GPU["cost"])
    found = Pricing(inquiry, schedule, file, Wanted(measures, asked, questions.matching(filters))).run()
    if not found:
        require_data(inquiry)
    return lay_out_cards(inquiry, COLUMNS, asked, by, found)
