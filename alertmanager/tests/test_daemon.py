"""The real daemon groups, holds back and sends as configured, to services that are particular."""

import time
from functools import partial

import pytest
from alertmanager.tests.conftest import Config, Post, World, open_always, routes_of, states, tell
from alertmanager.tests.mailserver import html_of, text_of
from alertmanager.tests.services import await_truth
from scripts.stack.processes import Program

SEVERITIES = ("critical", "warning", "info")


def names(hook: dict) -> list[str]:
    return [alert["labels"]["alertname"] for alert in hook["alerts"]]


@pytest.mark.fault("alert-flood")
def test_eight_lost_gpus_of_a_machine_are_one_message(post: Post, world: World) -> None:
    gpus = [
        {"alertname": "GpuLost", "instance": "eight", "gpu": str(gpu), "uuid": f"GPU-{gpu}"}
        for gpu in range(8)
    ]
    post(*gpus)
    await_truth(lambda: world.services.hooks("page", "eight"))
    (hook,) = world.services.hooks("page", "eight")
    assert hook["groupLabels"] == {"cluster": "c", "instance": "eight"}
    assert {alert["labels"]["uuid"] for alert in hook["alerts"]} == {f"GPU-{gpu}" for gpu in range(8)}
    assert hook["status"] == "firing"


def test_two_machines_are_two_messages(post: Post, world: World) -> None:
    post(
        {"alertname": "GputallyExporterDown", "instance": "left"},
        {"alertname": "GputallyExporterDown", "instance": "right"},
    )
    await_truth(lambda: world.services.hooks("page", "left") and world.services.hooks("page", "right"))


HOT = {"alertname": "GpuTooHot", "severity": "warning", "gpu": "0", "uuid": "A"}
HELD_BACK = [
    (
        {"alertname": "GpuLost", "uuid": "A"},
        [
            HOT,
            {"alertname": "GpuRecoveryActionNeeded", "uuid": "A"},
            {"alertname": "RoomTooWarm", "uuid": "A"},
        ],
        [{**HOT, "uuid": "B"}, {"alertname": "GputallyCollectorFailing", "severity": "warning"}],
    ),
    (
        {"alertname": "GputallyExporterDown"},
        [{"alertname": "GpuLost", "uuid": "A"}, {"alertname": "GputallySamplerStale"}, HOT],
        [{"alertname": "GpuLost", "uuid": "A", "instance": "elsewhere"}],
    ),
    (
        {"alertname": "GputallySamplerStale"},
        [
            *(
                {"alertname": "GpuLost", "uuid": "A"},
                HOT,
                {"alertname": "GpuIdleAllocated", "severity": "info"},
            ),
            {"alertname": "GputallySampleOld"},
        ],
        [{"alertname": "GputallyCollectorFailing"}, {**HOT, "instance": "elsewhere"}],
    ),
    (
        {"alertname": "GputallyDriverDown"},
        [{"alertname": "GpuLost", "uuid": "A"}, HOT],
        [{"alertname": "GputallySampleOld"}, {"alertname": "GpuLost", "instance": "elsewhere"}],
    ),
    (
        {"alertname": "GpuMissing", "uuid": "A"},
        [HOT],
        [{"alertname": "GpuLost", "uuid": "A"}, {**HOT, "uuid": "B"}],
    ),
    (
        {"alertname": "GpuRecoveryActionNeeded", "uuid": "A"},
        [
            {"alertname": name, "uuid": "A"}
            for name in (
                "GpuXidCritical",
                "GpuEccUncorrectable",
                "GpuRowRemapFailed",
                "GpuRetiredPagesPending",
            )
        ],
        [HOT, {"alertname": "GpuXidCritical", "uuid": "B"}, {"alertname": "GpuNvlinkErrors", "uuid": "A"}],
    ),
    (
        {"alertname": "GpuCostPerDay", "team": "nlp"},
        [{"alertname": "GpuCostPerDay", "team": "nlp", "severity": "warning"}],
        [
            {"alertname": "GpuCostPerDay", "team": "vision", "severity": "warning"},
            {"alertname": "GpuCostRise", "team": "nlp", "severity": "warning"},
        ],
    ),
    (
        HOT,
        [{**HOT, "severity": "info"}],
        [{**HOT, "uuid": "B", "severity": "info"}, {**HOT, "alertname": "GpuPowerBrake", "severity": "info"}],
    ),
]


@pytest.mark.fault("alert-flood")
@pytest.mark.parametrize(("cause", "held", "free"), HELD_BACK, ids=lambda one: str(one)[:40])
def test_what_follows_from_a_cause_is_held_back_and_nothing_else(
    cause: dict[str, str], held: list, free: list, alertmanager: Program, request: pytest.FixtureRequest
) -> None:
    name = str(abs(hash(request.node.name)))

    def placed(labels: dict[str, str]) -> dict[str, str]:
        return {**labels, "instance": name + labels.get("instance", "")}

    tell(alertmanager, *map(placed, [cause, *held, *free]))

    def here() -> dict[tuple[str, ...], str]:
        return states(alertmanager, name)

    def seen() -> dict[str, int]:
        every = [*here().values(), *states(alertmanager, f"{name}elsewhere").values()]
        return {state: every.count(state) for state in set(every)}

    everything = {"active": 1 + len(free), "suppressed": len(held)}
    await_truth(lambda: seen() == everything, what=f"{everything}, but {seen()}")
    found = {(alert, severity) for (alert, severity, *_), state in here().items() if state == "suppressed"}
    assert found == {(one["alertname"], one.get("severity", "critical")) for one in held}


def test_a_fleet_wide_alert_without_labels_holds_nothing_back(post: Post, alertmanager: Program) -> None:
    post({"alertname": "GputallyExporterAbsent", "cluster": ""}, {**HOT, "instance": "bystander"})
    await_truth(lambda: states(alertmanager, "bystander") == {("GpuTooHot", "warning", "A", ""): "active"})


def test_a_critical_alert_is_mailed_too_with_our_words_and_escaped_html(post: Post, world: World) -> None:
    """The mail server takes nothing without TLS and the password from the file."""
    post({"alertname": "GpuLost", "instance": "node7:9836", "gpu": "3", "uuid": "GPU-3"}, value="<3>")
    await_truth(lambda: world.mail.about("node7:9836"))
    mail = world.mail.about("node7:9836")[0]
    assert mail["Subject"] == "[CRITICAL] 1 firing: GpuLost on node7:9836"
    assert "GpuLost, GPU 3 (critical), since 20" in text_of(mail)
    assert "Described <here> & now." in text_of(mail)
    assert "docs/alerts.md#gpulost" in text_of(mail)
    assert "value: <3>" in text_of(mail)
    assert "Described &lt;here&gt; &amp; now." in html_of(mail)
    assert "value: <strong>&lt;3&gt;</strong>" in html_of(mail)
    assert "#cf222e" in html_of(mail)


def test_the_end_of_an_alert_is_sent_as_well(post: Post, world: World) -> None:
    post({"alertname": "GpuLost", "instance": "over", "gpu": "0", "uuid": "A"}, seconds=3)
    subject = "[resolved] 1: GpuLost on over"
    await_truth(lambda: any(hook["status"] == "resolved" for hook in world.services.hooks("page", "over")))
    await_truth(lambda: [mail for mail in world.mail.about("over") if mail["Subject"] == subject])
    text = text_of(world.mail.about("over")[-1])
    assert text.splitlines()[:2] == ["No longer:", ""]
    assert text.splitlines()[2].startswith("GpuLost, GPU 0, from 20")


@pytest.mark.parametrize("name", ["mail", "page", "webhook", "slack", "discord"])
def test_a_rule_of_ones_own_reaches_the_receiver_that_it_names(name: str, post: Post, world: World) -> None:
    place = f"own-{name}"
    post({"alertname": "RoomTooWarm", "severity": "warning", "receiver": name, "instance": place})
    get = {
        "mail": world.mail.about,
        "slack": partial(world.services.chats, "slack"),
        "discord": partial(world.services.chats, "discord"),
    }.get(name, partial(world.services.hooks, name))
    await_truth(lambda: get(place))
    if name in ("slack", "discord"):
        (chat,) = get(place)
        assert chat["title"] == f"[WARNING] 1 firing: RoomTooWarm on {place}"
        assert chat["text"].startswith(f"{'*' if name == 'slack' else '**'}RoomTooWarm*")
        assert chat["color"] == "#bf8700"


def test_a_team_is_told_of_all_its_machines_at_once_and_the_pager_of_what_is_critical(
    post: Post, world: World
) -> None:
    def team_mails() -> list[str]:
        return [mail["Subject"] for mail in world.mail.mails if mail["To"] == "gpu-team@example.org"]

    idle = {"alertname": "GpuIdleAllocated", "severity": "warning", "team": "example", "cluster": "teams"}
    post(
        {**idle, "instance": "a"},
        {**idle, "instance": "b"},
        {**idle, "instance": "d", "severity": "critical"},
    )
    await_truth(lambda: world.services.hooks("page", "d") and len(team_mails()) == 2)
    assert sorted(team_mails()) == [
        "[CRITICAL] 1 firing: GpuIdleAllocated on d",
        "[WARNING] 2 firing: GpuIdleAllocated on cluster teams",
    ]


@pytest.mark.parametrize("open_now", [True, False])
def test_out_of_office_hours_only_what_is_info_waits(open_now: bool, world: World) -> None:
    def never(config: Config) -> None:
        config["time_intervals"][0]["time_intervals"] = [{"years": ["2000"]}]

    alertmanager = world.start(open_always if open_now else never)
    place = f"hours-{open_now}"
    tell(
        alertmanager,
        *(
            {"alertname": f"X{one}", "severity": one, "instance": place}
            for one in ("critical", "warning", "info")
        ),
        {"alertname": "OwnInfo", "severity": "info", "receiver": "slack", "instance": place},
        {"alertname": "OwnCritical", "severity": "critical", "receiver": "slack", "instance": place},
    )
    end = f" on {place}"
    mails = {
        f"[{one.upper()}] 1 firing: X{one}{end}" for one in ("critical", "warning", "info")[: 2 + open_now]
    }
    chats = {
        f"[{one.upper()}] 1 firing: Own{one.title()}{end}" for one in ("critical", "info")[: 1 + open_now]
    }

    def told() -> tuple[set[str], set[str]]:
        return (
            {mail["Subject"] for mail in world.mail.about(place)},
            {chat["title"] for chat in world.services.chats("slack", place)},
        )

    await_truth(lambda: told() == (mails, chats), what=str(mails | chats))
    (hook,) = world.services.hooks("page", place)
    assert names(hook) == ["Xcritical"]
    time.sleep(1.5)  # all groups have had their turn once more
    alertmanager.stop()
    assert told() == (mails, chats)


@pytest.mark.fault("alerting-dead")
def test_a_heartbeat_is_repeated_with_its_own_token_and_its_end_is_not_sent(world: World) -> None:
    def faster(config: Config) -> None:
        (route,) = (one for one in routes_of(config) if one.get("receiver") == "watchdog")
        route["repeat_interval"] = "1s"

    inbox = world.services.inbox["watchdog"]
    alertmanager = world.start(faster)
    tell(alertmanager, {"alertname": "GputallyWatchdog", "severity": "info"}, seconds=4)
    await_truth(lambda: len(inbox.messages) >= 2)
    await_truth(lambda: states(alertmanager, "") == {})
    time.sleep(1.5)  # the group has had its turn once more
    alertmanager.stop()
    assert {one["status"] for one in inbox.messages} == {"firing"}
    assert not [mail for mail in world.mail.mails if "Watchdog" in mail["Subject"]]


@pytest.mark.fault("secret-missing")
def test_receivers_that_nothing_is_routed_to_need_no_secrets(world: World) -> None:
    def without(config: Config) -> None:
        for receiver in config["receivers"]:
            for chat in receiver.get("slack_configs", []):
                chat["api_url_file"] = "/nowhere/url"
            if receiver["name"] in ("webhook", "watchdog"):
                receiver["webhook_configs"][0]["http_config"]["authorization"]["credentials_file"] = (
                    "/nowhere/x"
                )

    alertmanager = world.start(without)
    tell(alertmanager, {"alertname": "GpuLost", "instance": "bare"})
    await_truth(lambda: world.services.hooks("page", "bare") and world.mail.about("bare"))
    alertmanager.stop()
    assert "/nowhere" not in alertmanager.log.read_text().replace("Completed loading", "")


@pytest.mark.fault("secret-missing")
def test_a_receiver_without_its_secret_says_which_file_is_missing(world: World) -> None:
    def without(config: Config) -> None:
        for receiver in config["receivers"]:
            for chat in receiver.get("slack_configs", []):
                chat["api_url_file"] = "/nowhere/url"

    alertmanager = world.start(without)
    tell(alertmanager, {"alertname": "Own", "severity": "warning", "receiver": "slack", "instance": "bare"})
    await_truth(lambda: "open /nowhere/url: no such file" in alertmanager.log.read_text())
    alertmanager.stop()
