"""The manual against the program: flags, defaults, variables, keys, commands; and where links lead."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import click
import pytest

import gputally
from gputally.cli import COMMANDS, OFFERS_VARIABLES, REPORT_VARIABLES, RESERVATIONS_VARIABLES, RUN_VARIABLES
from gputally.cli.node import node
from gputally.cli.options import VARIABLES, combine
from gputally.cli.site import site
from gputally.config.durations import format_ns
from gputally.config.settings import NodeSettings, SiteSettings
from tests.release.built import committed

REPOSITORY = Path(gputally.__file__).parents[2]
CONFIGURATION = REPOSITORY / "docs" / "configuration.md"
ARCHITECTURE = REPOSITORY / "docs" / "architecture.md"
PAGES = [REPOSITORY / name for name in committed() if name.endswith(".md")]
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")  # pictures, too


@cache
def prose(path: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """The anchors that a renderer makes of the headings, and those written by hand."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'(?:id|name)="([^"]+)"', path.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_link_of_the_manual_leads_to_a_file_or_heading_that_is_there(page):
    for target in _LINK.findall(prose(page)):
        if re.match(r"https?://|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        file = page if not name else (page.parent / name).resolve()
        assert file.exists(), f"{page.name}: {target}"
        assert file.is_relative_to(REPOSITORY), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}"


def test_the_readme_leads_to_every_page_of_the_manual():
    linked = {target.partition("#")[0] for target in _LINK.findall(prose(REPOSITORY / "README.md"))}
    assert {f"docs/{page.name}" for page in (REPOSITORY / "docs").glob("*.md")} <= linked


def test_the_page_on_architecture_names_files_that_are_there():
    """A folder ends in a slash; a bare name is that of a file in a folder that stands before it."""
    files = committed()
    named = set(re.findall(r"`([\w./*-]+(?:/|\.(?:py|yml|md|toml)))`", prose(ARCHITECTURE)))
    for name in named:
        pattern = name + "*" * name.endswith("/")
        places = (pattern, f"exporter/gputally/{pattern}", *([f"*/{name}"] if "/" not in name else []))
        assert name == "gputally.yml" or any(fnmatch(f, one) for f in files for one in places), name
    assert len(named) > 50


def test_the_page_on_architecture_has_the_layers_that_the_linter_keeps():
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    spelled = " > ".join(layer.replace(" | ", "`, `").join("``") for layer in layers)
    assert spelled in ARCHITECTURE.read_text()


def rows() -> dict[str, str]:
    """Flag -> default, as the table of flags has them; a row may be about several flags."""
    found = {}
    for line in CONFIGURATION.read_text().splitlines():
        if line.startswith("| `--"):
            flags, defaults = (cell.strip() for cell in line.split("|")[1:3])
            names = [flag.split()[0].replace("[no-]", "") for flag in re.findall(r"`(--[^`]+)`", flags)]
            values = defaults.split(", ") if len(names) > 1 else [defaults]
            found |= dict(zip(names, (value.strip("`") for value in values), strict=True))
    return found


def shown(name: str) -> str:
    """A default as the manual writes it."""
    value = getattr(NodeSettings(), name)
    if isinstance(value, bool):
        return "on" if value else "off"
    if name.endswith("_ns"):
        return format_ns(value)
    if name == "memory_limit_bytes":
        return f"{value >> 20} MiB"
    if isinstance(value, tuple):
        return ", ".join(value)
    return "" if value is None else str(value)


def test_the_table_of_flags_has_every_flag_with_its_default():
    names = {parameter.opts[0]: parameter.name for parameter in node.params}
    settings = {field.name for field in fields(NodeSettings)}
    assert rows() == {flag: shown(name) if name in settings else "" for flag, name in names.items()}


def test_the_chapter_about_the_site_agent_has_its_flags_and_where_it_listens():
    chapter = prose(CONFIGURATION).partition("## `gputally site`\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(--[a-z.-]+)`", chapter)) == {parameter.opts[0] for parameter in site.params}
    assert f"`{SiteSettings().web_listen_address[0]}`" in chapter


def test_the_rule_for_variables_stands_there_and_holds():
    text = " ".join(prose(CONFIGURATION).split())
    assert "dots and dashes as underscores, behind `GPUTALLY_`" in text
    assert "`--sample.interval` is `GPUTALLY_SAMPLE_INTERVAL`" in text
    for flag in rows():
        assert "GPUTALLY_" + re.sub(r"[.-]", "_", flag.removeprefix("--")).upper() in VARIABLES


def test_the_example_of_the_file_is_good_and_has_every_key(tmp_path):
    example = next(
        re.finditer(r"^```yaml\n(node:.*?)^```$", CONFIGURATION.read_text(), re.DOTALL | re.MULTILINE)
    )[1]
    (tmp_path / "gputally.yml").write_text(example)
    made = combine(tmp_path / "gputally.yml", {})
    assert made.web_config_file == tmp_path / "web.yml"
    spelled = {match[1] for match in re.finditer(r"^ *(\w+):", example, re.MULTILINE)}
    (tmp_path / "gputally.yml").write_text("web: {x: 1}")
    for section in ("node", "web", "log", "node.collectors", "node.simulated"):
        assert set(keys_of(section, tmp_path)) <= spelled, section


def keys_of(section: str, folder: Path) -> list[str]:
    """The keys that the program knows in a section, as it says when it meets one that it does not know."""
    *outer, inner = section.split(".")
    text = "".join(f"{{{name}: " for name in (*outer, inner)) + "{qqqqqqqq: 1}" + "}" * (len(outer) + 1)
    (folder / "unknown.yml").write_text(text)
    with pytest.raises(click.UsageError, match="unknown key") as caught:
        combine(folder / "unknown.yml", {})
    return caught.value.message.rpartition("expected one of ")[2].split(", ")


def test_every_signal_and_exit_status_is_explained():
    text = prose(CONFIGURATION)
    for word in ("`SIGHUP`", "`SIGUSR1`", "`SIGTERM`", "`SIGINT`", "0 stopped, 1 failed, 2 wrong usage"):
        assert word in text


def test_what_the_shipped_files_set_are_variables_that_exist():
    ours = VARIABLES | {*RUN_VARIABLES, *REPORT_VARIABLES, *OFFERS_VARIABLES, *RESERVATIONS_VARIABLES}
    for path in (REPOSITORY / "grafana" / "provisioning").rglob("*.yml"):  # Grafana's, of which we tell it
        ours |= set(re.findall(r"\$(GPUTALLY_\w+)", path.read_text()))
    places = [*PAGES, REPOSITORY / "exporter" / "Dockerfile"]
    places += [path for path in (REPOSITORY / "systemd").iterdir() if path.is_file()]
    for path in places:
        named = set(re.findall(r"\bGPUTALLY_[A-Z_]+[A-Z]\b", path.read_text()))
        assert named <= ours, path.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_commands_in_the_manual_are_commands_of_the_program_and_the_makefile(page):
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    targets.update(re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)[1].split())
    code = "\n".join(re.findall(r"^```.*?^```$", page.read_text(), re.DOTALL | re.MULTILINE))
    for target in re.findall(r"^make ([a-z-]+)", code, re.MULTILINE) + re.findall(
        r"`make ([a-z-]+)", prose(page)
    ):
        assert target in targets, f"{page.name}: make {target}"
    for command in re.findall(r"^gputally ([a-z-]+)", code, re.MULTILINE) + re.findall(
        r"`gputally ([a-z-]+)", prose(page)
    ):
        assert command in COMMANDS, f"{page.name}: gputally {command}"
