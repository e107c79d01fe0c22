"""Rules of one's own: what is read, and one line with its place for whatever cannot be meant."""

from decimal import Decimal

import pytest

from gputally.alerts.shipped import SHIPPED
from gputally.config.alerts import read_alerts
from gputally.config.strict import ConfigError, parse

GOOD = {
    "name": "CardHot",
    "metric": "gpu_temperature_celsius",
    "comparison": "above",
    "threshold": "85",
    "for": "10m",
    "severity": "warning",
}
XIDS = {"metric": "gpu_xid_errors_total", "per": "5m"}


def text(*rules: dict[str, str | None]) -> str:
    """A file in which every key of a rule has a line of its own, name line 3, then in the order of GOOD."""
    lines = ["alerts:", "  rules:"]
    for rule in rules:
        keys = {key: value for key, value in {**GOOD, **rule}.items() if value is not None}
        lines += [
            f"    {'-' if at == 0 else ' '} {key}: {value}" for at, (key, value) in enumerate(keys.items())
        ]
    return "\n".join([*lines, ""])


def read(*rules: dict[str, str | None]):
    root = parse(text(*rules).encode(), "g.yml")
    found = read_alerts(root).rules
    root.finish()
    return found


def test_a_rule_of_every_key():
    (rule,) = read(
        {**XIDS, "where": '{xid: 79, instance: "a:9836"}', "threshold": "-0.50", "for": "90m"}
        | {"severity": "critical", "receiver": "page", "comparison": "below", "summary": "Something's wrong."}
    )
    assert (rule.name, rule.metric.name, rule.per) == ("CardHot", "gpu_xid_errors_total", "5m")
    assert rule.where == (("xid", "79"), ("instance", "a:9836"))
    assert (rule.comparison, rule.threshold, rule.hold) == ("below", Decimal("-0.50"), "1h30m")
    assert (rule.severity, rule.receiver, rule.summary) == ("critical", "page", "Something's wrong.")


def test_what_need_not_be_said():
    (rule,) = read({})
    assert (rule.per, rule.where, rule.receiver, rule.summary) == (None, (), None, None)


@pytest.mark.parametrize("given", ["0", "0s", "7d", "168h"])
def test_a_condition_may_hold_for_nothing_up_to_a_week(given):
    assert read({"for": given})[0].hold == ("7d" if given in ("7d", "168h") else "0s")


@pytest.mark.parametrize("per", ["1m", "1d"])
def test_a_gain_is_compared_over_a_minute_up_to_a_day(per):
    assert read({**XIDS, "per": per})[0].per == per


def test_rules_stay_in_their_order():
    assert [rule.name for rule in read({"name": "Zed"}, {"name": "Alpha"})] == ["Zed", "Alpha"]


_DURATION = "alerts.rules[0].for: expected a duration of at most 7d, such as 1m30s, found"
_CAMEL = "alerts.rules[0].name: expected a name in CamelCase of at most 64 letters and digits"
_ONE_LINE = "alerts.rules[0].summary: expected one line of at most 200 characters, without {{"
REFUSED = {
    "unknown metric": (
        {"metric": "gpu_temprature_celsius"},
        (
            ':4:15 alerts.rules[0].metric: there is no metric "gpu_temprature_celsius", '
            "did you mean gpu_temperature_celsius?"
        ),
    ),
    "unknown recorded series": (
        {"metric": "team:gpu_cost_per_hour:rate1m"},
        (
            ':4:15 alerts.rules[0].metric: there is no metric "team:gpu_cost_per_hour:rate1m", '
            "did you mean team:gpu_cost_per_hour:rate5m?"
        ),
    ),
    "metric of something else": (
        {"metric": "zzz"},
        ':4:15 alerts.rules[0].metric: there is no metric "zzz", docs/metrics.md and docs/rules.md list them',
    ),
    "promql": (
        {"metric": "sum(gpu_up)"},
        ':4:15 alerts.rules[0].metric: there is no metric "sum(gpu_up)", did you mean gpu_up?',
    ),
    "counter without per": (
        {**XIDS, "per": None},
        (
            ":3:7 alerts.rules[0]: missing key per: gpu_xid_errors_total is a counter: its gain is compared, "
            "such as per: 5m"
        ),
    ),
    "gauge with per": (
        {"per": "5m"},
        ":9:12 alerts.rules[0].per: gpu_temperature_celsius is no counter: leave per out",
    ),
    "recorded series with per": (
        {"metric": "uuid:gpu_energy_kwh:increase1h", "per": "5m"},
        ":9:12 alerts.rules[0].per: uuid:gpu_energy_kwh:increase1h is no counter: leave per out",
    ),
    "per too short": (
        {**XIDS, "per": "59s"},
        ':9:12 alerts.rules[0].per: expected a duration from 1m to 1d, such as 1m30s, found "59s"',
    ),
    "per too long": (
        {**XIDS, "per": "25h"},
        ':9:12 alerts.rules[0].per: expected a duration from 1m to 1d, such as 1m30s, found "25h"',
    ),
    "point in time": (
        {"metric": "site_tariff_end_timestamp_seconds"},
        (
            ":4:15 alerts.rules[0].metric: site_tariff_end_timestamp_seconds is a point in time: "
            "no threshold is right for long"
        ),
    ),
    "unknown severity": (
        {"severity": "error"},
        ':8:17 alerts.rules[0].severity: expected one of critical, warning, info, found "error"',
    ),
    "unknown receiver": (
        {"receiver": "pager"},
        ':9:17 alerts.rules[0].receiver: expected one of mail, page, slack, discord, webhook, found "pager"',
    ),
    "unknown comparison": (
        {"comparison": "'>'"},
        ':5:19 alerts.rules[0].comparison: expected one of above, below, found the quoted string ">"',
    ),
    "threshold in words": (
        {"threshold": "hot"},
        ':6:18 alerts.rules[0].threshold: expected a decimal number, found "hot"',
    ),
    "threshold with unit": (
        {"threshold": "85C"},
        ':6:18 alerts.rules[0].threshold: expected a decimal number, found "85C"',
    ),
    "threshold without end": (
        {"threshold": ".inf"},
        ':6:18 alerts.rules[0].threshold: expected a decimal number, found ".inf"',
    ),
    "for without unit": ({"for": "10"}, f':7:12 {_DURATION} "10"'),
    "for too long": ({"for": "8d"}, f':7:12 {_DURATION} "8d"'),
    "for of nothing": ({"for": '""'}, f':7:12 {_DURATION} the quoted string ""'),
    "no name": ({"name": None}, ":3:7 alerts.rules[0]: missing key name"),
    "no metric": ({"metric": None}, ":3:7 alerts.rules[0]: missing key metric"),
    "no comparison": ({"comparison": None}, ":3:7 alerts.rules[0]: missing key comparison"),
    "no threshold": ({"threshold": None}, ":3:7 alerts.rules[0]: missing key threshold"),
    "no for": ({"for": None}, ":3:7 alerts.rules[0]: missing key for"),
    "no severity": ({"severity": None}, ":3:7 alerts.rules[0]: missing key severity"),
    "name with dashes": ({"name": "card-hot"}, f":3:13 {_CAMEL}, such as BigCardNearlyFull"),
    "name in capitals": ({"name": "HOT"}, f":3:13 {_CAMEL}, such as BigCardNearlyFull"),
    "name of other letters": ({"name": "Kärtchen"}, f":3:13 {_CAMEL}, such as BigCardNearlyFull"),
    "name too long": ({"name": "A" + "a" * 64}, f":3:13 {_CAMEL}, such as BigCardNearlyFull"),
    "name of a shipped alert": (
        {"name": "GpuLost"},
        ":3:13 alerts.rules[0].name: GpuLost comes with gputally: choose another name",
    ),
    "label of another family": (
        {"where": "{team: nlp}"},
        ":9:15 alerts.rules[0].where.team: unknown key, expected one of gpu, uuid, instance, cluster",
    ),
    "label misspelt": (
        {"where": "{instanc: nlp}"},
        ":9:15 alerts.rules[0].where.instanc: unknown key, did you mean instance?",
    ),
    "instance of a cluster's sum": (
        {"metric": "cluster:gpu_power_watts:sum", "where": "{instance: a}"},
        ":9:15 alerts.rules[0].where.instance: unknown key, expected one of cluster",
    ),
    "label of nothing": (
        {"where": "{gpu: }"},
        ":9:20 alerts.rules[0].where.gpu: expected the value of a label, found nothing",
    ),
    "where as list": ({"where": "[gpu]"}, ":9:14 alerts.rules[0].where: expected a mapping, found a list"),
    "summary as template": ({"summary": "'{{ $value }}'"}, f":9:16 {_ONE_LINE}"),
    "summary of two lines": ({"summary": '"a\\nb"'}, f":9:16 {_ONE_LINE}"),
    "summary too long": ({"summary": "x" * 201}, f":9:16 {_ONE_LINE}"),
    "key misspelt, not missing": (
        {"threshold": None, "treshold": "1"},
        ":8:7 alerts.rules[0].treshold: unknown key, did you mean threshold?",
    ),
}


@pytest.mark.fault("config-market")
@pytest.mark.parametrize("case", REFUSED)
def test_a_mistake_is_one_line_with_its_place(case):
    rule, line = REFUSED[case]
    with pytest.raises(ConfigError) as caught:
        read(rule)
    assert str(caught.value) == f"g.yml{line}"


def test_a_name_is_there_once():
    with pytest.raises(ConfigError) as caught:
        read({}, {"threshold": "90"})
    assert str(caught.value) == "g.yml:9:13 alerts.rules[1].name: CardHot is there twice"


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_the_name_of_no_shipped_alert_is_free(name):
    with pytest.raises(ConfigError, match="comes with gputally"):
        read({"name": name})


@pytest.mark.parametrize("name", ["A1b", "GpuMine", "CardHot2", "A" * 63 + "a"])
def test_other_names_in_camel_case_are(name):
    assert read({"name": name})[0].name == name


def test_as_long_a_summary_as_is_allowed():
    assert read({"summary": "x" * 200})[0].summary == "x" * 200


@pytest.mark.parametrize("rules", ["{}", "[1]", "name"])
def test_rules_are_a_list_of_mappings(rules):
    with pytest.raises(ConfigError, match=r"^g.yml:1:\d+ alerts\.rules(\[0\])?: expected a (list|mapping)"):
        read_alerts(parse(f"alerts: {{rules: {rules}}}".encode(), "g.yml"))
