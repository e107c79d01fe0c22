"""The table of thresholds against everything that repeats it: rules, manual, and the alerts that read it."""

import re
from pathlib import Path

import gputally
from gputally.alerts.thresholds import DEFAULTS, THRESHOLDS
from gputally.config.alerts import KEYS, read_alerts
from gputally.config.strict import parse

REPOSITORY = Path(gputally.__file__).parents[2]
RULES = REPOSITORY / "prometheus" / "rules" / "thresholds.yml"
MANUAL = REPOSITORY / "docs" / "thresholds.md"
ASKED = re.compile(r'cluster:gputally_threshold:max\{[^}]*alert="(\w+)"')


def test_the_defaults_in_the_rules_are_those_of_the_table():
    in_rules = re.findall(r'label_replace\(([\d.e+]+) \* group .*"alert", "(\w+)"', RULES.read_text())
    assert [(alert, float(value)) for value, alert in in_rules] == list(DEFAULTS.items())


def test_the_manual_has_the_table():
    lines = [line for line in MANUAL.read_text().splitlines() if line.startswith("| `")]
    made = [
        f"| `{t.alert}` | {t.default:.16g} | {t.unit} | {t.minimum:.16g} | {t.maximum:.16g} | {t.meaning} |"
        for t in THRESHOLDS.values()
    ]
    assert [line for line in lines if line.split("`")[1] in THRESHOLDS] == made


def test_a_default_is_within_its_bounds_and_its_meaning_a_sentence():
    for row in THRESHOLDS.values():
        assert row.minimum <= row.default <= row.maximum, row.alert
        assert re.fullmatch(r"[A-Z0-9].*\.", row.meaning), row.alert
        assert re.fullmatch(r"(Gpu|Gputally)[A-Z]\w+", row.alert), row.alert


def test_alerts_ask_for_every_threshold_and_for_no_other():
    asked = {
        name
        for file in (REPOSITORY / "prometheus" / "alerts").glob("*.yml")
        for name in ASKED.findall(file.read_text())
    }
    assert asked == set(THRESHOLDS)


def test_the_rules_in_the_manual_can_be_rendered():
    block = next(b for b in re.findall(r"```yaml\n(.*?)```", MANUAL.read_text(), re.DOTALL) if "rules:" in b)
    rules = read_alerts(parse(block.encode(), "manual")).rules
    assert [rule.name for rule in rules] == ["CardNearlyFull", "ManyReplays", "DearHour"]
    assert set(re.findall(r"^ +(?:- )?(\w+):", block, re.MULTILINE)) == {"rules", *KEYS}
