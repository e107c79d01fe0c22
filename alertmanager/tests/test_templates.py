"""What the templates make of alerts: links that work, nothing that is taken for markup or too long."""

import html.parser
import json
import re
import subprocess
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
from alertmanager.tests.conftest import ALERTMANAGER
from alertmanager.tests.services import discord, slack

DASHBOARDS = {
    page["uid"]: {variable["name"] for variable in page["templating"]["list"]}
    for path in (ALERTMANAGER.parent / "grafana" / "dashboards").glob("*.json")
    for page in [json.loads(path.read_text())]
}
NASTY = 'a & b <!channel> <b> "c" *d* @everyone [e](f) \\ ß'
COMMON = {"cluster": "c", "instance": "node7:9836"}
Json = dict[str, Any]


def alert(status: str = "firing", **labels: str) -> Json:
    return {
        "status": status,
        "labels": {"alertname": "GpuTooHot", "severity": "warning", **COMMON, **labels},
        "annotations": {
            "summary": "A GPU is hot.",
            "description": "At 99 °C.",
            "runbook_url": "docs/alerts.md#gputoohot",
        },
        "startsAt": "2026-03-01T10:00:00Z",
        "endsAt": "2026-03-01T11:00:00Z",
    }


def message(*alerts: Json) -> Json:
    labels = [one["labels"].items() for one in alerts]
    return {
        "receiver": "any",
        "status": "firing" if any(one["status"] == "firing" for one in alerts) else "resolved",
        "externalURL": "http://alertmanager.example.org:9093",
        "groupLabels": COMMON,
        "commonLabels": dict(set(labels[0]).intersection(*labels)),
        "commonAnnotations": {},
        "alerts": list(alerts),
    }


@pytest.fixture
def render(tmp_path: Path):
    def rendered(template: str, data: Json) -> str:
        path = tmp_path / "data.json"
        path.write_text(json.dumps(data))
        done = subprocess.run(
            [
                "amtool",
                "template",
                "render",
                f"--template.glob={ALERTMANAGER / 'templates' / '*.tmpl'}",
                f"--template.type={'html' if template == 'html' else 'text'}",
                f'--template.text={{{{ template "gputally.{template}" . }}}}',
                f"--template.data={path}",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.removesuffix("\n")

    return rendered


class Page(html.parser.HTMLParser):
    """Tags, text and links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: dict[str, str] = {}
        self.text = ""
        self._link = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._link = dict(attrs).get("href") or ""

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._link:
            self.links.setdefault(data, self._link)
            self._link = ""


def links_in(kind: str, text: str) -> dict[str, str]:
    """Title -> address, of the first link with that title."""
    if kind == "html":
        return Page(text).links
    patterns = {
        "text": r"  (?P<title>\w+): (?P<url>http\S+)",
        "slack.text": r"<(?P<url>http[^|>]+)\|(?P<title>[^>]+)>",
        "discord.text": r"(?<!\\)\[(?P<title>[^\]]+)\]\((?P<url>http[^)]+)\)",
    }
    found = list(re.finditer(patterns[kind], text))
    return {one["title"].replace("Runbook of GpuTooHot", "Runbook"): one["url"] for one in reversed(found)}


KINDS = ["text", "html", "slack.text", "discord.text"]


@pytest.mark.parametrize("kind", KINDS)
def test_links_lead_to_dashboard_runbook_and_silence(kind: str, render) -> None:
    labels = {"gpu": "3", "uuid": "GPU-3", "team": NASTY}
    links = links_in(kind, render(kind, message(alert(**labels))))
    assert links["Runbook"] == "http://docs.example.org/gputally/docs/alerts.md#gputoohot"
    dashboard = urllib.parse.urlsplit(links["Dashboard"])
    assert dashboard.netloc == "grafana.example.org"
    chosen = urllib.parse.parse_qs(dashboard.query)
    assert (chosen["var-cluster"], chosen["var-instance"]) == (["c"], ["node7:9836"])
    assert chosen["var-team"] == [NASTY]
    address, query = links["Silence"].split("?filter=")
    assert address == "http://alertmanager.example.org:9093/#/silences/new"
    assert "+" not in query
    matchers = urllib.parse.unquote(query)
    assert matchers.startswith('{alertname="GpuTooHot", cluster="c", gpu="3", instance="node7:9836", ')
    assert f"team={json.dumps(NASTY, ensure_ascii=False)}" in matchers
    assert matchers.endswith(', uuid="GPU-3"}')


@pytest.mark.parametrize("kind", ["html", "text", "slack.text", "discord.text"])
@pytest.mark.parametrize(
    ("labels", "page"),
    [
        ({"alertname": "GpuLost"}, "gputally-fleet"),
        ({"alertname": "GputallyExporterDown"}, "gputally-fleet"),
        ({"alertname": "GpuIdleAllocated", "team": "nlp", "user": "ada"}, "gputally-jobs"),
        ({"alertname": "GpuIdleAllocated", "job_id": "7"}, "gputally-jobs"),
        ({"alertname": "GpuCostPerDay", "team": "nlp"}, "gputally-cost"),
        ({"alertname": "GpuCostRise"}, "gputally-cost"),
        ({"alertname": "GpuBudgetOverspent", "team": "nlp"}, "gputally-budgets"),
        ({"alertname": "GputallyBudgetIncomplete", "team": "nlp"}, "gputally-budgets"),
        ({"alertname": "GputallyTariffEnds"}, "gputally-cost"),
    ],
)
def test_the_dashboard_is_the_one_that_tells_more_and_has_these_variables(
    labels: Json, page: str, kind: str, render
) -> None:
    link = urllib.parse.urlsplit(links_in(kind, render(kind, message(alert(**labels))))["Dashboard"])
    assert link.path == f"/d/{page}"
    variables = {name.removeprefix("var-") for name in urllib.parse.parse_qs(link.query) if "var-" in name}
    assert variables == {"cluster", "instance", *labels} - {"alertname", "job_id"}
    assert variables <= DASHBOARDS[page]


@pytest.mark.parametrize("kind", KINDS)
def test_a_runbook_elsewhere_is_linked_as_it_is_and_none_is_no_link(kind: str, render) -> None:
    elsewhere, without = alert(), alert()
    elsewhere["annotations"]["runbook_url"] = "https://wiki.example.org/hot#1"
    del without["annotations"]["runbook_url"]
    assert links_in(kind, render(kind, message(elsewhere)))["Runbook"] == "https://wiki.example.org/hot#1"
    assert "unbook" not in render(kind, message(without))


@pytest.mark.parametrize("kind", KINDS)
def test_value_cost_team_user_and_job_are_shown(kind: str, render) -> None:
    one = alert(gpu="3", team="nlp", user="ada", job_id="4711", model="llama")
    one["annotations"] |= {"value": "99 C", "cost": "3.20 EUR per day"}
    text = render(kind, message(one))
    shown = Page(text).text if kind == "html" else text
    assert ", team nlp, user ada, job 4711, model llama" in shown
    assert "GpuTooHot, GPU 3" in shown
    assert "cost: 3.20 EUR per day\n" in shown
    assert "value: 99 C\n" in shown
    assert "A GPU is hot." in shown
    assert "At 99 °C." in shown


def test_html_takes_nothing_for_markup(render) -> None:
    one = alert(team=NASTY, instance="<i>")
    one["annotations"] |= {"description": "<script>alert(1)</script>", "runbook_url": "javascript:alert(1)"}
    page = Page(render("html", message(one)))
    assert page.tags == {"html", "body", "h2", "p", "strong", "span", "a"}
    assert NASTY in page.text
    assert "<script>alert(1)</script>" in page.text
    assert all(link.startswith("http") for link in page.links.values())


def test_slack_takes_nothing_for_a_link_or_a_person(render) -> None:
    one = alert(team=NASTY, instance="<@U1>")
    one["annotations"]["description"] = "5 < 6 & <http://evil.example.org|Silence>"
    for part in ("slack.text", "slack.title"):
        text = render(part, message(one))
        assert not re.search(r"<(?!http://(alertmanager|grafana|docs)\.example\.org)", text)
        assert not re.search(r"&(?!amp;|lt;|gt;)", re.sub(r"<[^>]*>", "", text))
    assert "5 &lt; 6 &amp; &lt;http://evil.example.org|Silence&gt;" in render("slack.text", message(one))


def test_discord_takes_nothing_for_markup_or_a_person(render) -> None:
    one = alert(team=NASTY, instance="<@1>")
    one["annotations"]["description"] = "gpu_a_b 5 < 6 [Silence](http://evil.example.org) `x`"
    text = render("discord.text", message(one))
    assert "<" not in text
    assert "<" not in render("discord.title", message(one))
    assert r"gpu\_a\_b 5 X 6 \[Silence](http://evil.example.org) \`x\`" in text.replace("\u2039", "X")
    assert r"\*d\*" in text


def test_a_name_of_an_alert_is_no_markup_in_a_title(render) -> None:
    for part in ("subject", "slack.title", "discord.title"):
        assert render(part, message(alert(alertname="<!here> x"))).startswith(
            "[WARNING] 1 firing: ..here. x on "
        )


@pytest.mark.parametrize(("chat", "check"), [("slack", slack), ("discord", discord)])
@pytest.mark.parametrize(("count", "length"), [(1, 5000), (64, 20), (64, 5000)])
def test_chats_take_messages_of_any_size(chat: str, check, count: int, length: int, render) -> None:
    """With marks only, each of which is escaped, in everything that a label or an annotation may hold."""
    long = "*<&_ß" * (length // 5)
    alerts = [
        alert(status, alertname=f"A{i}{long}", gpu=f"{i}", team=long, user=long, instance=f"node{long}")
        for status in ("firing", "resolved")
        for i in range(count)
    ]
    for one in alerts:
        one["annotations"] = dict.fromkeys(("summary", "description", "runbook_url", "value", "cost"), long)
    data = message(*alerts)
    parts = {part: render(f"{chat}.{part}", data) for part in ("title", "text")}
    check({"attachments": [{**parts, "fallback": parts["title"], "color": render("color", data)}]})
    assert len(parts["text"]) <= {"slack": 8000, "discord": 4096}[chat]
    if count == 64 and length == 20:
        assert "and 58 more" in parts["text"]
        assert "no longer: 58 more" in parts["text"]


@pytest.mark.parametrize(
    ("alerts", "subject", "color"),
    [
        ([alert()], "[WARNING] 1 firing: GpuTooHot on node7:9836", "#bf8700"),
        ([alert(severity="info")], "[INFO] 1 firing: GpuTooHot on node7:9836", "#0969da"),
        (
            [alert(), alert(alertname="GpuLost", severity="critical"), alert(severity="info", gpu="1")],
            "[CRITICAL] 3 firing: GpuTooHot, GpuLost on node7:9836",
            "#cf222e",
        ),
        (
            [alert(), alert("resolved", alertname="GpuLost", severity="critical")],
            "[WARNING] 1 firing: GpuTooHot on node7:9836",
            "#bf8700",
        ),
        ([alert("resolved"), alert("resolved", gpu="1")], "[resolved] 2: GpuTooHot on node7:9836", "#1a7f37"),
        ([alert(instance="")], "[WARNING] 1 firing: GpuTooHot on cluster c", "#bf8700"),
        ([alert(instance="", cluster="")], "[WARNING] 1 firing: GpuTooHot on the whole fleet", "#bf8700"),
    ],
)
def test_subject_and_colour_tell_the_worst(alerts: list[Json], subject: str, color: str, render) -> None:
    for part in ("subject", "slack.title", "discord.title"):
        assert render(part, message(*alerts)) == subject
    assert render("color", message(*alerts)) == color
