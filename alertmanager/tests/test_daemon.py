"""The real daemon groups, holds back and sends as configured, to a real web hook and a real mail server."""

import requests
from alertmanager.tests.conftest import HOOK_TOKEN, Post, Receivers, await_truth
from scripts.stack.processes import Program


def states(alertmanager: Program, instance: str) -> dict[tuple[str, str], str]:
    """(alert, uuid) -> active or suppressed, of one machine."""
    found = requests.get(
        f"{alertmanager.url}/api/v2/alerts", params={"filter": f'instance="{instance}"'}, timeout=10
    ).json()
    return {
        (alert["labels"]["alertname"], alert["labels"].get("uuid", "")): alert["status"]["state"]
        for alert in found
    }


def test_eight_lost_gpus_of_a_machine_are_one_message_with_the_token_from_the_file(
    post: Post, receivers: Receivers
) -> None:
    post(
        *(
            {"alertname": "GpuLost", "instance": "eight", "gpu": str(gpu), "uuid": f"GPU-{gpu}"}
            for gpu in range(8)
        )
    )
    await_truth(lambda: receivers.hooks_about("eight"))
    (hook,) = receivers.hooks_about("eight")
    assert hook["groupLabels"] == {"cluster": "c", "instance": "eight"}
    assert {alert["labels"]["uuid"] for alert in hook["alerts"]} == {f"GPU-{gpu}" for gpu in range(8)}
    assert hook["status"] == "firing"
    assert set(receivers.tokens) == {f"Bearer {HOOK_TOKEN}"}


def test_two_machines_are_two_messages(post: Post, receivers: Receivers) -> None:
    post(
        {"alertname": "GputallyExporterDown", "instance": "left"},
        {"alertname": "GputallyExporterDown", "instance": "right"},
    )
    await_truth(lambda: receivers.hooks_about("left") and receivers.hooks_about("right"))


def test_the_other_alerts_of_a_lost_gpu_are_held_back_and_its_neighbours_are_not(
    post: Post, receivers: Receivers, alertmanager: Program
) -> None:
    hot = {"alertname": "GpuTooHot", "severity": "warning", "instance": "lost"}
    post(
        {"alertname": "GpuLost", "instance": "lost", "gpu": "0", "uuid": "A"},
        {**hot, "gpu": "0", "uuid": "A"},
        {**hot, "gpu": "1", "uuid": "B"},
    )
    await_truth(lambda: receivers.hooks_about("lost") and len(receivers.mails_about("lost")) >= 2)
    assert states(alertmanager, "lost") == {
        ("GpuLost", "A"): "active",
        ("GpuTooHot", "A"): "suppressed",
        ("GpuTooHot", "B"): "active",
    }
    sent = "".join(mail.as_string() for mail in receivers.mails_about("lost"))
    assert "GpuTooHot, GPU 1" in sent
    assert "GpuTooHot, GPU 0" not in sent


def test_an_exporter_that_is_down_holds_back_the_alerts_of_its_gpus_alone(
    post: Post, receivers: Receivers, alertmanager: Program
) -> None:
    lost = {"alertname": "GpuLost", "gpu": "0", "uuid": "A"}
    post(
        {"alertname": "GputallyExporterDown", "instance": "down"},
        {**lost, "instance": "down"},
        {**lost, "instance": "fine"},
    )
    await_truth(lambda: receivers.hooks_about("down") and receivers.hooks_about("fine"))
    assert states(alertmanager, "down") == {
        ("GputallyExporterDown", ""): "active",
        ("GpuLost", "A"): "suppressed",
    }
    assert [alert["labels"]["alertname"] for alert in receivers.hooks_about("down")[0]["alerts"]] == [
        "GputallyExporterDown"
    ]


def test_an_alert_at_critical_holds_back_the_same_at_warning(post: Post, alertmanager: Program) -> None:
    where = {"instance": "twice", "gpu": "0"}
    hot = {**where, "uuid": "A", "alertname": "GpuTooHot"}
    post(hot, {**hot, "severity": "warning"}, {**hot, "uuid": "B", "severity": "warning"})

    def held_back() -> list[bool]:
        found = requests.get(
            f"{alertmanager.url}/api/v2/alerts", params={"filter": 'instance="twice"'}, timeout=10
        ).json()
        return sorted(bool(alert["status"]["inhibitedBy"]) for alert in found)

    await_truth(lambda: held_back() == [False, False, True])


def test_a_critical_alert_is_mailed_too_with_our_words_and_escaped_html(
    post: Post, receivers: Receivers
) -> None:
    """The mail server takes nothing without the password from the file."""
    post({"alertname": "GpuLost", "instance": "node7:9836", "gpu": "3", "uuid": "GPU-3"})
    await_truth(lambda: receivers.mails_about("node7:9836"))
    mail = receivers.mails_about("node7:9836")[0]
    assert mail["Subject"] == "[CRITICAL] 1 firing: GpuLost on node7:9836"
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "GpuLost, GPU 3 (critical), since 20" in text
    assert "Described <here> & now." in text
    assert "Runbook: docs/alerts.md#gpulost" in text
    html = mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "Described &lt;here&gt; &amp; now." in html
    assert "#cf222e" in html


def test_the_end_of_an_alert_is_sent_as_well(post: Post, receivers: Receivers) -> None:
    post({"alertname": "GpuLost", "instance": "over", "gpu": "0", "uuid": "A"}, seconds=3)
    await_truth(lambda: any(hook["status"] == "resolved" for hook in receivers.hooks_about("over")))
    await_truth(
        lambda: (
            receivers.mails_about("over")
            and receivers.mails_about("over")[-1]["Subject"] == "[resolved] 1: GpuLost on over"
        )
    )
    text = receivers.mails_about("over")[-1].get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert text.splitlines()[:2] == ["No longer:", ""]
    assert text.splitlines()[2].startswith("GpuLost, GPU 0, from 20")
