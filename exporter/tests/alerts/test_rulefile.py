"""The rendered file: what it says, that Prometheus takes it whatever it is about, that it fires and ends."""

from decimal import Decimal
from pathlib import Path

import pytest
import yaml

import gputally
from gputally.alerts.rulefile import RUNBOOK, render
from gputally.alerts.userrules import (
    COMPARISONS,
    RECEIVERS,
    SEVERITIES,
    UserRule,
    metric,
    metric_names,
)
from tests.alerts.promtool import check, unit_test

REPOSITORY = Path(gputally.__file__).parents[2]
ODD = ' quote " back \\ slash \n tab \t {{ braces }} é %'
WATCH = "First look: this series over the last hours, and the rule CardHot in the configuration."


def rule(about="gpu_temperature_celsius", **more) -> UserRule:
    made = metric(about)
    assert made is not None
    given = {"comparison": "above", "threshold": Decimal(85), "hold": "10m", "severity": "warning", **more}
    if made.is_counter:
        given.setdefault("per", "5m")
    return UserRule(name=given.pop("name", "CardHot"), metric=made, **given)


def alert(one: UserRule) -> dict:
    return yaml.safe_load(render([one]))["groups"][0]["rules"][0]


EXPRESSIONS = {
    "gauge": (rule(), "gpu_temperature_celsius > 85"),
    "below": (rule(comparison="below", threshold=Decimal("-0.50")), "gpu_temperature_celsius < -0.50"),
    "where": (
        rule(where=(("gpu", "0"), ("instance", "a:1"))),
        'gpu_temperature_celsius{gpu="0", instance="a:1"} > 85',
    ),
    "counter": (rule("gpu_xid_errors_total", per="1h"), "increase(gpu_xid_errors_total[1h]) > 85"),
    "counter where": (
        rule("gpu_xid_errors_total", where=(("xid", "79"),)),
        'increase(gpu_xid_errors_total{xid="79"}[5m]) > 85',
    ),
    "recorded": (rule("cluster:gpu_cost_today:sum"), "cluster:gpu_cost_today:sum > 85"),
    "recorded every five minutes": (
        rule("gpu:gpu_power_watts:avg5m"),
        "last_over_time(gpu:gpu_power_watts:avg5m[10m]) > 85",
    ),
    "recorded every hour": (
        rule("cluster:gpu_energy_cost:increase1h", where=(("cluster", "c"),)),
        'last_over_time(cluster:gpu_energy_cost:increase1h{cluster="c"}[65m]) > 85',
    ),
    "large": (
        rule("gpu_memory_used_bytes", threshold=Decimal(75000000000)),
        "gpu_memory_used_bytes > 75000000000",
    ),
    "tiny": (rule(threshold=Decimal("0.0000000001")), "gpu_temperature_celsius > 0.0000000001"),
}


@pytest.mark.parametrize("case", EXPRESSIONS)
def test_what_becomes_of_a_rule(case):
    one, expression = EXPRESSIONS[case]
    assert alert(one)["expr"] == expression


def test_an_alert_says_what_is_where_and_how_much_it_is():
    assert alert(rule(receiver="mail", summary="A card is hot.")) == {
        "alert": "CardHot",
        "expr": "gpu_temperature_celsius > 85",
        "for": "10m",
        "labels": {"severity": "warning", "receiver": "mail"},
        "annotations": {
            "summary": "A card is hot.",
            "description": "gpu_temperature_celsius of GPU {{ $labels.gpu }} ({{ $labels.uuid }}) on "
            "{{ $labels.instance }}{{ with $labels.cluster }} in cluster {{ . }}{{ end }} is "
            f'{{{{ $value | printf "%.3g" }}}} °C, above 85 for 10m. {WATCH}',
            "runbook_url": "docs/thresholds.md#rules-of-ones-own",
        },
    }


def test_what_is_not_said_is_left_out_or_made_up():
    made = alert(rule(hold="0s"))
    assert made["labels"] == {"severity": "warning"}
    assert made["annotations"]["summary"] == "gpu_temperature_celsius is above 85."
    assert "°C, above 85. First look" in made["annotations"]["description"]


def test_the_runbook_has_its_heading():
    page, anchor = RUNBOOK.split("#")
    headings = [line for line in (REPOSITORY / page).read_text().splitlines() if line.startswith("## ")]
    assert anchor in [line[3:].lower().replace(" ", "-").replace("'", "") for line in headings]


def test_the_same_rules_are_the_same_bytes_in_their_order():
    rules = [rule(name="Bbb"), rule(name="Aaa", where=(("gpu", "1"), ("cluster", "c")))]
    assert render(rules) == render(iter(rules))
    assert render(rules).index("Bbb") < render(rules).index("Aaa")


def test_prometheus_takes_a_rule_about_every_metric(tmp_path):
    """With each of its labels asked for, with text that means something in PromQL, templates and YAML."""
    rules = []
    for number, name in enumerate(metric_names()):
        made = metric(name)
        assert made is not None
        rules += [
            rule(
                name,
                name=f"Plain{number}",
                comparison=COMPARISONS[number % 2],
                severity=SEVERITIES[number % 3],
            ),
            rule(
                name,
                name=f"Where{number}",
                where=tuple((label, label + ODD) for label in made.labels),
                receiver=RECEIVERS[number % 5],
                threshold=Decimal("-123456789.000000001"),
                hold="0s",
                summary=f"50% {{ }} 'é' \"x\" # : {number} - | >",
            ),
        ]
    file = tmp_path / "user.yml"
    file.write_text(render(rules))
    assert f"SUCCESS: {len(rules)} rules found" in check(file)
    shown = yaml.safe_load(file.read_text())["groups"][0]["rules"]
    assert all("$value" in one["annotations"]["description"] for one in shown)


def test_no_rules_are_a_good_file_too(tmp_path):
    """What was rendered before has to go when the last rule does."""
    file = tmp_path / "user.yml"
    file.write_text(render([]))
    assert "SUCCESS: 0 rules found" in check(file)


HOT = 'gpu_temperature_celsius{job="gputally-node", cluster="c", instance="a:9836", gpu="0", uuid="GPU-x"}'


def at(name: str, when: str, *firing: tuple[dict, str]) -> dict:
    """What is expected of an alert at a time."""
    alerts = [
        {
            "exp_labels": labels,
            "exp_annotations": {"summary": "Look at it.", "description": text, "runbook_url": RUNBOOK},
        }
        for labels, text in firing
    ]
    return {"alertname": name, "eval_time": when, "exp_alerts": alerts}


def test_a_rendered_rule_fires_after_its_time_and_ends(tmp_path):
    file = tmp_path / "user.yml"
    file.write_text(render([rule(receiver="mail", summary="Look at it.", where=(("gpu", "0"),))]))
    labels = {"job": "gputally-node", "cluster": "c", "instance": "a:9836", "gpu": "0", "uuid": "GPU-x"}
    labels |= {"severity": "warning", "receiver": "mail"}
    text = (
        f"gpu_temperature_celsius of GPU 0 (GPU-x) on a:9836 in cluster c is 90 °C, above 85 for 10m. {WATCH}"
    )
    unit_test(
        file,
        {
            "input_series": [
                {"series": HOT, "values": "85x3 90x60 85x20"},
                {"series": HOT.replace('gpu="0"', 'gpu="1"'), "values": "99x80"},
            ],
            "alert_rule_test": [
                at("CardHot", "10m45s"),
                at("CardHot", "11m", (labels, text)),
                at("CardHot", "16m", (labels, text)),
                at("CardHot", "16m15s"),
            ],
        },
    )


def test_a_gain_is_shown_per_its_time_and_without_a_cluster_none_is_named(tmp_path):
    """Ten in five minutes are more than eight, and the next five bring none."""
    file = tmp_path / "user.yml"
    one = rule("gpu_xid_errors_total", name="Xids", threshold=Decimal(8), hold="0s", summary="Look at it.")
    file.write_text(render([one]))
    labels = {"instance": "a:9836", "gpu": "0", "uuid": "GPU-x", "xid": "31", "severity": "warning"}
    text = "gpu_xid_errors_total per 5m of GPU 0 (GPU-x), xid 31 on a:9836 is 10, above 8. " + WATCH.replace(
        "CardHot", "Xids"
    )
    series = 'gpu_xid_errors_total{instance="a:9836", gpu="0", uuid="GPU-x", xid="31"}'
    unit_test(
        file,
        {
            "input_series": [{"series": series, "values": "0+0.5x20 10x60"}],
            "alert_rule_test": [at("Xids", "4m"), at("Xids", "5m", (labels, text)), at("Xids", "11m")],
        },
    )


def test_money_has_its_currency_and_an_hour_is_seen_until_the_next(tmp_path):
    file = tmp_path / "user.yml"
    one = rule(
        "cluster:gpu_energy_cost:increase1h", name="Dear", threshold=Decimal(12), summary="Look at it."
    )
    file.write_text(render([one]))
    series = 'cluster:gpu_energy_cost:increase1h{cluster="c", currency="EUR"}'
    labels = {"cluster": "c", "currency": "EUR", "severity": "warning"}
    text = "cluster:gpu_energy_cost:increase1h in cluster c is 12.5 EUR, above 12 for 10m. " + WATCH.replace(
        "CardHot", "Dear"
    )
    unit_test(
        file,
        {
            "interval": "1h",
            "input_series": [{"series": series, "values": "12.5 12"}],
            "alert_rule_test": [
                at("Dear", "9m45s"),
                at("Dear", "10m", (labels, text)),
                at("Dear", "59m", (labels, text)),
                at("Dear", "60m"),
            ],
        },
    )
