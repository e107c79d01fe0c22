"""Whether the ledger is read and fed: nothing on the page is worth more than what was imported."""

from grafana.charts import Part, banner, beside, tile
from grafana.panels import LOST, Look
from grafana.providers import NOT_SCRAPED
from grafana.queries import Json, instant, unit_of
from grafana.tables import Column, or_said, table, words

_READABLE = "max(gputally_ledger_readable{})"
_NONE_CONFIGURED = 2
_COUNT = Look("none", decimals=0, sparkline=False)
_REFUSED = Look("none", LOST, decimals=0, sparkline=False)
_AGE = Look("s", ((None, "green"), (3 * 86_400, "orange")), decimals=0)
_RESULTS = ("inserted", "updated", "unchanged", "removed", "rejected")
_KINDS = {
    "focus": ("bills, FOCUS", "text"),
    "plain": ("bills, rows", "text"),
    "sacct": ("jobs, sacct", "text"),
    "jobs_csv": ("jobs, CSV", "text"),
    "jobs_json": ("jobs, JSON", "text"),
}


def state() -> Json:
    """Says aloud when figures are old, and when there is no ledger to be shown."""
    says = {
        "0": ("The ledger cannot be read: these figures are old", "dark-red"),
        "1": ("Bills and jobs as they were imported", "dark-green"),
        str(_NONE_CONFIGURED): ("No ledger is configured: nothing is imported", "dark-blue"),
    }
    return banner(
        "The ledger",
        "Whether the site agent reads the ledger into which gputally bills import and gputally jobs import "
        "write. The configuration names it under ledger.file.",
        instant(f"{_READABLE} or {_NONE_CONFIGURED} * group(site_info{{}})", "ledger"),
        Look("none", ((None, "dark-red"),), missing=NOT_SCRAPED),
        [words(says)],
    )


def latest() -> Json:
    """How old the newest is."""
    return beside(
        "Imported last",
        "How long ago something was imported, and how long ago the latest day of any bill ended.",
        [
            Part(instant("time() - max(gpu_cloud_import_timestamp_seconds{})", "import")),
            Part(instant("min(provider:gpu_cloud_bill_age_seconds:min{})", "latest day")),
        ],
        Look("s", decimals=0, sparkline=False, missing="nothing yet"),
    )


def providers() -> Json:
    """One line a provider."""
    rows = 'sum by (provider) (increase(gpu_cloud_cost_import_rows_total{{result="{}"}}[$__range]))'
    columns = [
        Column("Provider", name="provider"),
        Column(
            "Latest day ended",
            expr="min by (provider) (provider:gpu_cloud_bill_age_seconds:min{})",
            look=_AGE,
            cell="color-text",
            width=135,
        ),
        *(
            Column(
                result.capitalize(),
                expr=rows.format(result),
                look=_REFUSED if result == "rejected" else _COUNT,
                cell="color-text" if result == "rejected" else "",
                width=95,
            )
            for result in _RESULTS
        ),
    ]
    body = table(
        "Rows of bills, by provider",
        "How long ago the latest day of the provider's bills ended, and what became of the rows that were "
        "imported in the time range, but for a provider's very first. unknown: rows that told no provider.",
        columns,
        sort=("Provider",),
    )
    return or_said(body, "No bill was imported")


def kinds() -> Json:
    """One line for each kind of file."""
    columns = [
        Column("Kind", name="kind", mappings=(words(_KINDS),)),
        Column(
            "Imported",
            expr="1000 * max by (kind) (gpu_cloud_import_timestamp_seconds{})",
            look=Look("dateTimeFromNow"),
            width=120,
        ),
        Column(
            "Refused rows",
            expr="max by (kind) (gpu_cloud_import_rejected_rows{})",
            look=_REFUSED,
            cell="color-text",
            width=110,
        ),
    ]
    body = table(
        "Imports, by kind of file",
        "When each kind of file was imported last, and how many rows were refused on that day.",
        columns,
        sort=("Kind",),
    )
    return or_said(body, "Nothing was imported")


def ledger() -> Json:
    """The file itself."""
    return tile(
        "The ledger, its file",
        "Its size, how long reading it took, how long ago that was (it is read when it has changed, and at "
        "midnight UTC), and groups of bills and jobs that are shown as other because there are too many.",
        [
            Part(
                instant("max(gputally_ledger_size_bytes{})", "size"),
                Look(unit_of("gputally_ledger_size_bytes"), decimals=1),
            ),
            Part(instant("max(gputally_ledger_read_duration_seconds{})", "reading"), Look("s", decimals=3)),
            Part(
                instant("time() - max(gputally_ledger_last_success_timestamp_seconds{})", "read"),
                Look("s", decimals=0),
            ),
            Part(instant("sum(max by (of) (gpu_cloud_groups_folded{}))", "folded"), _COUNT),
        ],
        Look("none", sparkline=False),
    )
