"""The block `alerts`: thresholds as the site agent gets them, and what is refused."""

import pytest

from gputally.alerts.thresholds import DEFAULTS, THRESHOLDS
from gputally.cli.options import combine
from gputally.config.alerts import read_alerts
from gputally.config.settings import NodeSettings, SiteSettings
from gputally.config.strict import ConfigError, parse


def read(text: str):
    root = parse(text.encode(), "g.yml")
    alerts = read_alerts(root)
    root.finish()
    return alerts


@pytest.mark.parametrize("text", ["{}", "alerts: {}", "alerts: {thresholds: {}}"])
def test_without_a_word_every_default_holds(text):
    assert read(text).thresholds == DEFAULTS


def test_what_is_given_holds_and_the_others_are_defaults():
    given = read("alerts: {thresholds: {GpuIdleAllocated: 0.02, GpuCostPerDay: 500}}").thresholds
    assert given == {**DEFAULTS, "GpuIdleAllocated": 0.02, "GpuCostPerDay": 500}


@pytest.mark.parametrize("row", THRESHOLDS.values(), ids=lambda row: row.alert)
def test_bounds_are_allowed_and_what_is_beyond_is_not(row):
    for good in (row.minimum, row.maximum):
        assert read(f"alerts: {{thresholds: {{{row.alert}: {good:.16g}}}}}").thresholds[row.alert] == good
    for bad in (row.minimum - 0.001, row.maximum + 0.001):
        with pytest.raises(ConfigError, match=rf"^g.yml:1:\d+ alerts.thresholds.{row.alert}: expected a "):
            read(f"alerts: {{thresholds: {{{row.alert}: {bad:.16f}}}}}")


REFUSED = {
    "{thresholds: {GpuIdleAlocated: 0.1}}": (
        ":1:23 alerts.thresholds.GpuIdleAlocated: unknown key, did you mean GpuIdleAllocated?"
    ),
    "{thresholds: {GpuCostRise: many}}": (
        ':1:36 alerts.thresholds.GpuCostRise: expected a decimal number from 0 to 1000000, found "many"'
    ),
    "{thresholds: {GpuCostRise: '1'}}": (
        ":1:36 alerts.thresholds.GpuCostRise: expected a decimal number from 0 to 1000000, "
        'found the quoted string "1"'
    ),
    "{thresholds: [1]}": ":1:22 alerts.thresholds: expected a mapping, found a list",
    "{treshold: {}}": ":1:10 alerts.treshold: unknown key, did you mean thresholds?",
}


@pytest.mark.fault("config-market")
@pytest.mark.parametrize("text", REFUSED)
def test_a_slip_of_the_pen_is_one_line_with_its_place(text):
    with pytest.raises(ConfigError) as caught:
        read(f"alerts: {text}")
    assert str(caught.value) == f"g.yml{REFUSED[text]}"


def test_both_agents_read_the_block_and_the_site_agent_keeps_it(tmp_path):
    file = tmp_path / "gputally.yml"
    file.write_text("alerts: {thresholds: {GpuTooHot: 5}}")
    assert combine(file, {}, SiteSettings).thresholds == {**DEFAULTS, "GpuTooHot": 5}
    assert not hasattr(combine(file, {}, NodeSettings), "thresholds")
    file.write_text("alerts: {thresholds: {GpuTooHot: 31}}")
    for agent in (SiteSettings, NodeSettings):
        with pytest.raises(Exception, match=r"alerts\.thresholds\.GpuTooHot: expected"):
            combine(file, {}, agent)
