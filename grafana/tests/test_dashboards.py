"""What our dashboards promise beyond the linter: generated, fit for Grafana 9.4, and about real series."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from grafana.build import rendered, stale
from grafana.page import Opening, page
from grafana.queries import select, unit_of
from grafana.tests.conftest import DASHBOARDS, FILES, Json
from prometheus.tests.conftest import RULES
from prometheus.tests.promql import metrics

from gputally.catalogue import FAMILIES

SCRAPED = {"up", "scrape_duration_seconds", "scrape_samples_scraped", "ALERTS", "ALERTS_FOR_STATE"} | {
    "prometheus_rule_evaluation_failures_total",
    "prometheus_rule_group_interval_seconds",
    "prometheus_rule_group_iterations_missed_total",
    "prometheus_rule_group_last_duration_seconds",
}
KNOWN = {family.name for family in FAMILIES} | {rule.name for rule in RULES} | SCRAPED


def test_committed_files_are_what_the_generator_writes() -> None:
    assert stale() == []


def test_a_changed_or_a_forgotten_file_is_noticed(tmp_path: Path) -> None:
    for path, text in rendered().items():
        (tmp_path / path.name).write_text(text)
    assert stale(tmp_path) == []
    (tmp_path / "gputally-fleet.json").write_text("{}")
    (tmp_path / "orphan.json").write_text("{}")
    assert stale(tmp_path) == ["gputally-fleet.json", "orphan.json"]


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_keys_are_sorted_so_that_a_change_is_a_short_difference(file: Path) -> None:
    text = file.read_text()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_the_uid_is_the_name_of_the_file_and_fits(dashboard: Json) -> None:
    """Grafana refuses more than 40 characters; links and bookmarks depend on it."""
    uid = dashboard["uid"]
    assert DASHBOARDS[uid] is dashboard
    assert len(uid) <= 40


def test_the_schema_is_one_that_grafana_9_reads(dashboard: Json) -> None:
    assert dashboard["schemaVersion"] == 37


def test_the_page_is_tagged_and_linked_to_its_siblings(dashboard: Json) -> None:
    assert dashboard["tags"] == ["gputally"]
    (link,) = dashboard["links"]
    assert (link["type"], link["includeVars"], link["keepTime"]) == ("dashboards", True, True)


def test_panels_are_numbered_and_queries_lettered(dashboard: Json) -> None:
    everything = dashboard["panels"]
    assert [panel["id"] for panel in everything] == list(range(1, len(everything) + 1))
    for panel in everything:
        letters = [target["refId"] for target in panel.get("targets", [])]
        assert letters == sorted(set(letters))


def test_panels_fill_the_grid_and_do_not_overlap(dashboard: Json) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert {x for x, _ in taken} == set(range(24))


def test_a_line_that_does_not_fill_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="20 columns"):
        page("x", "X", "", [(4, [(20, {"title": "too narrow"})])], opening=Opening("now-1h"))


def test_titles_are_unique(dashboard: Json) -> None:
    titles = [panel["title"] for panel in dashboard["panels"]]
    assert sorted(titles) == sorted(set(titles))


def test_custom_is_written_even_where_it_is_empty(panel: Json) -> None:
    """Grafana 12 leaves overrides of tables as they are where it is missing."""
    assert isinstance(panel["fieldConfig"]["defaults"]["custom"], dict)


def test_every_metric_exists(query: str) -> None:
    assert metrics(query) <= KNOWN


def test_units_come_out_of_the_catalogue_and_an_unknown_metric_has_none() -> None:
    assert unit_of("gpu_power_watts") == "watt"
    with pytest.raises(KeyError):
        unit_of("gpu_power_wats")


def test_ratios_are_shown_from_0_to_100_percent(panel: Json) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    if defaults["unit"] == "percentunit":
        assert (defaults["min"], defaults["max"]) == (0, 1)


def test_overrides_match_a_field_that_is_there(panel: Json) -> None:
    """Grafana ignores the others in silence."""
    legends = {target["legendFormat"] for target in panel["targets"]}
    renamed = {
        title
        for step in panel.get("transformations", [])
        for title in step["options"].get("renameByName", {}).values()
    }
    computed = {step["options"].get("alias") for step in panel.get("transformations", [])}
    letters = {target["refId"] for target in panel["targets"]}
    for override in panel["fieldConfig"]["overrides"]:
        options = override["matcher"]["options"]
        if override["matcher"]["id"] == "byFrameRefID":
            assert options in letters
        elif override["matcher"]["id"] == "byRegexp":
            names = [legend.replace("{{gpu}}", str(gpu)) for legend in legends for gpu in range(8)]
            assert any(re.search(options.strip("/"), name) for name in names)
        else:
            assert override["matcher"]["id"] == "byName"
            assert options in legends | renamed | computed


def test_what_is_computed_is_computed_of_fields_that_are_there(panel: Json) -> None:
    """Grafana leaves it out in silence otherwise."""
    there = {target["legendFormat"] for target in panel["targets"]}
    there |= {f"Value #{target['refId']}" for target in panel["targets"]}
    for step in panel.get("transformations", []):
        if step["id"] == "calculateField":
            assert {step["options"]["binary"]["left"], step["options"]["binary"]["right"]} <= there
            there.add(step["options"]["alias"])


def test_cells_are_drawn_alike_before_and_after_grafana_10(panel: Json) -> None:
    """Schema 37 has the old word, and the migration makes the new options of it: both say the same."""
    for override in panel["fieldConfig"]["overrides"]:
        values: dict[str, Any] = {one["id"]: one["value"] for one in override["properties"]}
        old = values.get("custom.displayMode")
        new = values.get("custom.cellOptions")
        migrated = {
            "color-text": {"type": "color-text"},
            "basic": {"mode": "basic", "type": "gauge"},
            None: None,
        }
        assert new == migrated[old]


def test_variables_are_filled_into_every_selector() -> None:
    assert select('a{} / b{x="y"} and sum by (c) (d)') == (
        'a{cluster=~"$cluster", job=~"$job", instance=~"$instance"}'
        ' / b{cluster=~"$cluster", job=~"$job", instance=~"$instance", x="y"} and sum by (c) (d)'
    )
