"""What Grafana is given: data sources, folders, pages that lead to each other; and the manual about it.

There is no Grafana here. What it would refuse is known from its documentation, and said in the tests.
"""

import json
import re
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import yaml
from grafana.tests.conftest import DASHBOARDS, GRAFANA, Json

from tests.report.answering import Answer, speaking

TOP = GRAFANA.parent
MANUAL = TOP / "docs" / "dashboards.md"
IMAGES = TOP / "docs" / "images"
IMAGE_BYTES_MAX = 200_000
UID = re.compile(r"[A-Za-z0-9_-]{1,40}")
VIEW, EDIT, ADMIN = 1, 2, 4
HIDDEN = 2  # a variable that its reader does not choose


def provisioned(kind: str) -> Json:
    (file,) = (GRAFANA / "provisioning" / kind).glob("*.yml")
    loaded = yaml.safe_load(file.read_text())
    assert loaded["apiVersion"] == 1
    assert isinstance(loaded, dict)
    return loaded


SOURCES: dict[str, Json] = {one["type"]: one for one in provisioned("datasources")["datasources"]}
PROVIDERS: list[Json] = provisioned("dashboards")["providers"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", MANUAL.read_text(), re.DOTALL | re.MULTILINE)


def block(language: str, word: str) -> str:
    (found,) = (text for text in blocks(language) if word in text)
    return found


# data sources


def test_data_sources_are_fixed_and_reached_by_grafana_itself() -> None:
    assert {name: source["uid"] for name, source in SOURCES.items()} == {
        "prometheus": "gputally-prometheus",
        "alertmanager": "gputally-alertmanager",
    }
    for name, source in SOURCES.items():
        assert (source["editable"], source["access"]) == (False, "proxy")
        assert source["url"] == f"$GPUTALLY_{name.upper()}_URL"
    assert [source["type"] for source in SOURCES.values() if source.get("isDefault")] == ["prometheus"]


def test_prometheus_knows_the_scrape_interval_and_where_its_alerts_are_silenced() -> None:
    options = SOURCES["prometheus"]["jsonData"]
    assert options["timeInterval"] == "$GPUTALLY_SCRAPE_INTERVAL"
    assert options["alertmanagerUid"] == SOURCES["alertmanager"]["uid"]


def test_alertmanager_is_prometheus_own_and_gets_no_alerts_of_grafana() -> None:
    """Without a word Grafana takes it for Mimir's, whose interface is another."""
    options = SOURCES["alertmanager"]["jsonData"]
    assert (options["implementation"], options["handleGrafanaManagedAlerts"]) == ("prometheus", False)


def test_no_file_names_a_machine() -> None:
    for file in (GRAFANA / "provisioning").rglob("*.yml"):
        assert "localhost" not in file.read_text()
        assert " /" not in file.read_text()


# folders


def folder_of(provider: Json) -> Path:
    """On this machine."""
    path = str(provider["options"]["path"])
    assert path.startswith("$GPUTALLY_GRAFANA_DIR/")
    return GRAFANA / path.removeprefix("$GPUTALLY_GRAFANA_DIR/")


def test_every_page_stands_in_one_folder() -> None:
    """Grafana refuses both where two providers bring the same uid."""
    found = [path for provider in PROVIDERS for path in folder_of(provider).iterdir()]
    assert sorted(path.name for path in found) == sorted(f"{uid}.json" for uid in DASHBOARDS)
    for path in found:
        assert path.resolve() == GRAFANA / "dashboards" / path.name
        assert not path.readlink().is_absolute()  # it is mounted and copied


def test_folders_have_names_and_uids_of_their_own() -> None:
    """Folders and dashboards share one table in Grafana."""
    uids = [provider["folderUid"] for provider in PROVIDERS]
    assert len(set(uids) | set(DASHBOARDS)) == len(uids) + len(DASHBOARDS)
    assert all(UID.fullmatch(uid) for uid in uids)
    for key in ("name", "folder"):
        assert len({provider[key] for provider in PROVIDERS}) == len(PROVIDERS)


def test_nobody_changes_what_is_provisioned() -> None:
    for provider in PROVIDERS:
        assert (provider["type"], provider["allowUiUpdates"], provider["disableDeletion"]) == (
            "file",
            False,
            True,
        )


# links


def links(dashboard: Json) -> Iterator[tuple[str, str]]:
    """Title of the panel and address, of every link of cells and panels."""
    for panel in dashboard["panels"]:
        config = panel.get("fieldConfig", {"defaults": {}, "overrides": []})
        found = [*panel.get("links", []), *config["defaults"].get("links", [])]
        for override in config["overrides"]:
            found += [
                one for part in override["properties"] if part["id"] == "links" for one in part["value"]
            ]
        yield from ((panel["title"], one["url"]) for one in found)


def passed(part: str) -> str | None:
    """The variable that a part of an address passes on or sets; None where it is the time range."""
    if part == "${__url_time_range}" or re.fullmatch(r"(from|to)=(now|\$\{__data\.fields[\w.]+\})", part):
        return None
    found = re.fullmatch(r"\$\{(\w+):queryparam\}|var-(\w+)=.+", part)
    assert found, part
    return found[1] or found[2]


def test_every_link_leads_to_a_page_that_has_the_variables_it_passes(dashboard: Json) -> None:
    here = {one["name"] for one in dashboard["templating"]["list"]}
    for title, url in links(dashboard):
        found = re.fullmatch(r"/d/([\w-]+)\?(.+)", url)
        assert found, (title, url)
        assert found[1] in DASHBOARDS, (title, url)
        there = {one["name"] for one in DASHBOARDS[found[1]]["templating"]["list"]}
        assert {passed(part) for part in found[2].split("&")} <= there | {None}, (title, url)
        assert set(re.findall(r"\$\{(\w+):queryparam\}", url)) <= here, (title, url)


def test_a_time_range_of_a_link_is_that_of_a_column(dashboard: Json) -> None:
    for panel in dashboard["panels"]:
        titles = {
            title
            for step in panel.get("transformations", [])
            for title in step["options"].get("renameByName", {}).values()
        }
        for _, url in links({"panels": [panel]}):
            assert set(re.findall(r"__data\.fields\.(\w+)", url)) <= titles, (panel["title"], url)


def test_a_page_is_reached_from_another_by_more_than_the_menu() -> None:
    """But for home, which is where one begins, and pages that are about everything."""
    reached = {url.split("?")[0] for body in DASHBOARDS.values() for _, url in links(body)}
    led_to = ("gputally-gpu", "gputally-job", "gputally-cost", "gputally-market", "gputally-rent-or-own")
    assert {f"/d/{uid}" for uid in led_to} <= reached


# the manual


def section(dashboard: Json) -> str:
    text = MANUAL.read_text().partition(f"\n### {dashboard['title']}\n")[2]
    return re.split(r"^##", text, flags=re.MULTILINE)[0]


def test_the_manual_has_a_section_and_a_picture_of_every_page(dashboard: Json) -> None:
    text = section(dashboard)
    assert text
    picture = IMAGES / f"{dashboard['uid']}.png"
    assert f"](images/{picture.name})" in text
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size <= IMAGE_BYTES_MAX


def test_the_manual_names_the_variables_of_every_page(dashboard: Json) -> None:
    labels = [one["label"] for one in dashboard["templating"]["list"] if one["hide"] != HIDDEN]
    assert f"\nVariables: {', '.join(labels)}.\n" in section(dashboard)


def test_there_is_no_picture_of_a_page_that_is_gone() -> None:
    named = set(re.findall(r"images/([\w-]+\.png)", MANUAL.read_text() + (TOP / "README.md").read_text()))
    assert {path.name for path in IMAGES.glob("*.png")} == named


def test_the_readme_names_every_page() -> None:
    text = (TOP / "README.md").read_text()
    for body in DASHBOARDS.values():
        anchor = body["title"].lower().replace(" ", "-")
        assert f"(docs/dashboards.md#{anchor})" in text


def test_the_manual_says_what_the_provisioning_has_to_be_told() -> None:
    text = "".join(path.read_text() for path in (GRAFANA / "provisioning").rglob("*.yml"))
    for name in re.findall(r"\$(GPUTALLY_\w+)", text):
        assert f"| `{name}` |" in MANUAL.read_text()


def test_the_commands_about_folders_ask_what_grafana_understands(tmp_path: Path) -> None:
    """POST /api/folders/:uid/permissions: items of a role, team or user with a level; the rest is removed."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "grafana_admin_password").write_text("s3cret\n")
    command = block("sh", "/api/folders/")
    with speaking(lambda _: Answer()) as grafana:
        done = subprocess.run(
            ["bash", "-euc", command.replace("http://127.0.0.1:3000", grafana.url)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert {one.headers["Content-Type"] for one in grafana.seen} == {"application/json"}
    assert {b64decode(one.headers["Authorization"].split()[1]) for one in grafana.seen} == {b"admin:s3cret"}
    asked = {one.path: json.loads(one.body) for one in grafana.seen}
    permissions = {path: body for path, body in asked.items() if "/permissions" in path}
    assert set(permissions) == {f"/api/folders/{one['folderUid']}/permissions" for one in PROVIDERS}
    for body in permissions.values():
        assert set(body) == {"items"}
        for item in body["items"]:
            (whom,) = set(item) - {"permission"}
            assert whom in {"role", "teamId", "userId"}
            assert item["permission"] in {VIEW, EDIT, ADMIN}
            assert item.get("role") in {"Viewer", "Editor", None}
    others = {path: set(body) for path, body in asked.items() if path not in permissions}
    assert others == {"/api/teams": {"name"}, "/api/teams/1/members": {"userId"}}


def test_a_teams_own_prometheus_is_configured_rightly(tmp_path: Path) -> None:
    file = tmp_path / "prometheus.yml"
    file.write_text(block("yaml", "/federate"))
    done = subprocess.run(["promtool", "check", "config", str(file)], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_teams_own_organisation_has_its_pages_and_its_data_source() -> None:
    (source,) = yaml.safe_load(block("yaml", "datasources:"))["datasources"]
    (provider,) = yaml.safe_load(block("yaml", "providers:"))["providers"]
    assert source["orgId"] == provider["orgId"] != 1
    assert source["uid"] not in {one["uid"] for one in SOURCES.values()}
    assert provider["options"]["path"] == PROVIDERS[1]["options"]["path"]
    asked = yaml.safe_load(block("yaml", "/federate"))["scrape_configs"][0]
    assert source["jsonData"]["timeInterval"] == asked["scrape_interval"]


def test_the_override_for_mail_sets_what_compose_has_prepared() -> None:
    base = yaml.safe_load((TOP / "docker-compose.yml").read_text())["services"]["grafana"]["environment"]
    added = yaml.safe_load(block("yaml", "GF_SMTP_HOST"))["services"]["grafana"]["environment"]
    assert all(isinstance(value, str) for value in added.values())  # compose refuses a bare true
    assert base["GF_SMTP_ENABLED"] == base["GF_SECURITY_COOKIE_SECURE"] == "false"
    assert added["GF_SMTP_ENABLED"] == added["GF_SECURITY_COOKIE_SECURE"] == "true"
    assert "GF_SMTP_PASSWORD__FILE" in base
