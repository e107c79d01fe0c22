"""The text of a scrape of the site agent: as recorded, complete, and the same for everyone."""

from datetime import datetime
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from gputally.catalogue import BY_NAME, EXPORTER, SITES
from gputally.collect.exposition import Format
from gputally.collect.page import Page
from gputally.collect.sites import site_families
from gputally.model import WebReport
from tests.golden import assert_recorded
from tests.site.declaring import BERLIN, FULL, StoppedClock, publisher, settings

GOLDEN = Path(__file__).parent / "golden"
CASES = {"default": "", "full": FULL}
WEB = WebReport(
    requests={"200": 7},
    connections=1,
    refused={"handshake": 0},
    auth_failures=0,
    reload_success={"main": True, "prices": False},
    reload_seconds={"main": 1_782_900_000.5, "prices": 1_782_900_000.0},
    certificate_expiry_seconds=1_800_000_000.0,
)
PROCESS = {
    "cpu_seconds": 1.25,
    "resident_bytes": 32_000_000.0,
    "open_fds": 10.0,
    "threads": 1.0,
    "start_seconds": 1_782_899_000.5,
}


def page(folder, text):
    clock = StoppedClock()
    clock.set(datetime(2026, 7, 1, 12, 0, tzinfo=BERLIN))
    one = publisher(settings(folder, text), clock, web_report=lambda: WEB, own_figures=lambda: PROCESS)
    one.publish()
    return Page(lambda: one.latest, site_families), one


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("fmt", list(Format))
def test_scrape_is_as_recorded(case, fmt, tmp_path):
    lines = page(tmp_path, CASES[case])[0].render(fmt).decode().splitlines(keepends=True)
    text = "".join(line for line in lines if "gputally_build_info{" not in line)
    assert_recorded(GOLDEN / f"{case}.{fmt}.txt", text)


def test_no_golden_file_is_stale():
    assert {path.name for path in GOLDEN.iterdir()} == {
        f"{case}.{fmt}.txt" for case in CASES for fmt in Format
    }


def test_both_formats_carry_the_same_samples_and_labels_of_the_catalogue(tmp_path):
    one, _ = page(tmp_path, FULL)
    found = []
    for parse, fmt in ((parse_text, Format.TEXT), (parse_openmetrics, Format.OPENMETRICS)):
        samples = [s for family in parse(one.render(fmt).decode()) for s in family.samples]
        assert all(set(s.labels) == set(BY_NAME[s.name].labels) for s in samples)
        found.append({(s.name, tuple(sorted(s.labels.items()))): s.value for s in samples})
    assert found[0] == found[1]


def test_a_full_declaration_shows_every_family_of_the_site_and_no_other_agents(tmp_path):
    one, made = page(tmp_path, FULL)
    shown = {family.name for family, samples in site_families(made.latest) if samples()}
    assert {row.name for row in SITES} <= shown
    assert shown - {row.name for row in SITES} <= {row.name for row in EXPORTER}
    assert not any(name.startswith(("gpu_", "host_", "gputally_sample", "gputally_driver")) for name in shown)
    assert b"gputally_left_out_families 0\n" in one.render(Format.TEXT)


def test_two_scrapes_of_a_snapshot_get_the_same_bytes(tmp_path):
    one, made = page(tmp_path, FULL)
    first, version = one.render(Format.TEXT), one.version
    assert one.render(Format.TEXT) is first
    assert one.version == version
    made.publish()
    assert one.version != version
