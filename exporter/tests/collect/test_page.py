"""The text of a scrape: complete, well formed, honest about what is absent, and the same for everyone."""

import math
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from gputally.catalogue import BUDGETS, BY_NAME, DEVICES, FAMILIES, LEDGER, MARKET, RESERVATIONS, SITES
from gputally.collect.exposition import Format, label_pairs, number
from gputally.collect.page import Page, families
from gputally.model import FastReading, Snapshot
from tests.collect import snapshots
from tests.golden import assert_recorded

GOLDEN = Path(__file__).parent / "golden"
CASES = {"full": snapshots.FULL, "empty": snapshots.EMPTY, "no_driver": snapshots.NO_DRIVER}


def scrape(snapshot: Snapshot, fmt: Format = Format.TEXT) -> str:
    return Page(lambda: snapshot).render(fmt).decode()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("fmt", list(Format))
def test_scrape_is_as_recorded(case, fmt):
    text = "".join(
        line
        for line in scrape(CASES[case], fmt).splitlines(keepends=True)
        if "gputally_build_info{" not in line
    )
    assert_recorded(GOLDEN / f"{case}.{fmt}.txt", text)


def test_no_golden_file_is_stale():
    expected = {f"{case}.{fmt}.txt" for case in CASES for fmt in Format}
    assert {path.name for path in GOLDEN.iterdir()} == expected


def test_both_formats_carry_the_same_samples():
    text = {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for f in parse_text(scrape(snapshots.FULL))
        for s in f.samples
    }
    openmetrics = {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for f in parse_openmetrics(scrape(snapshots.FULL, Format.OPENMETRICS))
        for s in f.samples
    }
    assert text == openmetrics
    assert len(text) == sum(not line.startswith("#") for line in scrape(snapshots.FULL).splitlines())


def test_full_snapshot_shows_every_family_of_the_catalogue_and_no_other():
    """Both ways: a row nobody fills is a promise not kept, a family without a row is undocumented."""
    shown = {family.name for family, samples in families(snapshots.FULL) if samples()}
    only_when_down = {"gputally_driver_down_info"}
    assert shown | only_when_down | {"gputally_left_out_families"} == {
        row.name for row in FAMILIES if row not in (*SITES, *MARKET, *RESERVATIONS, *LEDGER, *BUDGETS)
    }


def test_labels_are_those_of_the_catalogue():
    for family in parse_openmetrics(scrape(snapshots.FULL, Format.OPENMETRICS)):
        for sample in family.samples:
            row = BY_NAME[sample.name]
            empty_allowed = set(row.labels) - set(sample.labels)
            assert set(sample.labels) <= set(row.labels)
            assert not empty_allowed
            assert family.type == row.type
            if family.unit:
                assert family.unit == row.unit


def test_lost_gpu_keeps_its_counters_and_shows_no_readings():
    uuid = snapshots.LOST_GPU.gpu.uuid
    names = {
        sample.name
        for family in parse_text(scrape(snapshots.FULL))
        for sample in family.samples
        if sample.labels.get("uuid") == uuid
    }
    assert "gpu_energy_joules_total" in names
    assert 'gpu_up{gpu="1",uuid="GPU-99999999-2222-3333-4444-555555555555"} 0' in scrape(snapshots.FULL)
    read = {row.name for row in DEVICES if row.record in {"fast", "slow"}}
    assert not names & read


def test_what_is_not_available_has_no_series():
    gpu = snapshots.FULL_GPU
    bare = type(gpu)(
        gpu.gpu, True, "", gpu.read_at, None, FastReading(), None, type(gpu.counters)(), processes=None
    )
    text = scrape(Snapshot(at=snapshots.NOW, gpus=(bare,)))
    for absent in ("gpu_power_watts", "gpu_energy_joules_total", "gpu_busy_seconds_total", "gpu_processes"):
        assert f"\n{absent}{{" not in text
    assert "NaN" not in text


def test_odd_label_values_come_back_as_they_were():
    parsed = [
        sample.labels["process"]
        for family in parse_text(scrape(snapshots.FULL))
        for sample in family.samples
        if sample.name == "gpu_process_memory_bytes" and sample.labels["pid"] == "4242"
    ]
    assert parsed == [snapshots.ODD_NAME]


@pytest.mark.fault("page-fails")
@pytest.mark.parametrize("bad", [math.nan, math.inf, "12", None, object()])
def test_a_value_that_is_no_number_costs_its_family_and_nothing_else(bad, caplog):
    gpu = snapshots.FULL_GPU
    broken = FastReading(power_w=bad, utilization_ratio=0.5)
    page = Page(
        lambda: Snapshot(
            at=snapshots.NOW,
            gpus=(type(gpu)(gpu.gpu, True, "", gpu.read_at, None, broken, None, gpu.counters),),
        )
    )
    text = page.render(Format.TEXT).decode()
    assert "gpu_utilization_ratio{" in text
    if bad in ("12", None):  # a number after all, and an absent one
        assert "gputally_left_out_families 0" in text
    else:
        assert "gpu_power_watts" not in text
        assert "gputally_left_out_families 1" in text
        assert sum("gpu_power_watts" in r.getMessage() for r in caplog.records) == 1


def test_page_is_rendered_once_per_snapshot_and_the_same_for_all():
    latest = snapshots.FULL
    page = Page(lambda: latest)
    first, version = page.render(Format.TEXT), page.version
    assert page.render(Format.TEXT) is first
    assert page.version == version
    latest = Snapshot(at=snapshots.NOW)
    assert page.version != version
    assert page.render(Format.TEXT) != first


def test_who_is_asked_by_the_same_object_as_before_is_not_asked_again():
    """Figures that stay the same over many snapshots are written once."""
    asked: list[str] = []
    family = BY_NAME["gpu_up"]

    def steady() -> list[tuple[str, float]]:
        asked.append("steady")
        return [('gpu="0",uuid="a"', 1)]

    def families_of(number: int):
        yield family, steady
        yield BY_NAME["gpu_processes"], lambda: asked.append("other") or [('gpu="0",uuid="a"', number)]

    latest = 1
    page = Page(lambda: latest, families_of)
    for latest in (1000, 2000, 3000):
        text = page.render(Format.TEXT)
        assert b'gpu_up{gpu="0",uuid="a"} 1\n' in text
        assert f'gpu_processes{{gpu="0",uuid="a"}} {latest}\n'.encode() in text
    assert asked == ["steady", "other", "other", "other"]


def test_readers_and_a_writer_never_meet():
    """Snapshots are swapped by one assignment: eight readers see whole pages while it changes."""
    box = [snapshots.FULL]
    seen: set[bytes] = set()

    def read() -> None:
        page = Page(lambda: box[0])
        for _ in range(40):
            seen.add(page.render(Format.OPENMETRICS))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for n in range(200):
        box[0] = (snapshots.FULL, snapshots.NO_DRIVER)[n % 2]
    for thread in threads:
        thread.join()
    assert len(seen) <= 2
    assert all(page.endswith(b"# EOF\n") for page in seen)


@given(st.one_of(st.integers(-(2**63), 2**63), st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_come_back_exactly(value):
    assert float(number(value)) == float(value)


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="zip"):
        label_pairs(("a", "b"), ("1",))
