"""Flags, their variables, their precedence, and the help about them."""

import re
import sys
from dataclasses import fields, replace
from pathlib import Path

import click
import pytest

from gputally import __version__
from gputally.cli import COMMANDS
from gputally.cli.check import check
from gputally.cli.node import node
from gputally.cli.options import VARIABLES
from gputally.cli.site import site
from gputally.config.settings import NodeSettings, SiteSettings
from tests.cli.command import Answer, gputally
from tests.cli.flags import (
    FLAGS,
    IN_FILE,
    SITE_FLAGS,
    SITE_IN_FILE,
    settled,
    settled_site,
    switched,
    variable,
)

# Too long for a flag.
FILE_ONLY = {
    *("idle_watts", "teams", "site", "owned_gpus", "thresholds", "config_text", "reservations"),
    *("market", "rentals", "plans"),
    *("budgets", "chargeback"),
    *("ledger_file", "bills"),
}


def differing(flag: str, value: object) -> NodeSettings:
    return replace(NodeSettings(), **{FLAGS[flag][0]: value})


def test_every_setting_has_a_flag():
    settings = {field.name for field in fields(NodeSettings)}
    assert {setting for setting, *_ in FLAGS.values()} == settings - FILE_ONLY
    settings = {field.name for field in fields(SiteSettings)}
    assert {FLAGS[flag][0] for flag in SITE_FLAGS} == settings - FILE_ONLY


@pytest.mark.parametrize("flag", FLAGS)
def test_each_source_of_a_setting_beats_the_ones_behind_it(flag, tmp_path, monkeypatch):
    _, text, value, other_text, other_value = FLAGS[flag]
    assert settled() == NodeSettings()
    files = []
    if flag in IN_FILE:
        in_file, file_value = IN_FILE[flag]
        (tmp_path / "c.yml").write_text(in_file)
        files = [f"--config.file={tmp_path / 'c.yml'}"]
        assert settled(*files) == differing(flag, file_value)
    monkeypatch.setenv(variable(flag), other_text)
    assert settled(*files) == differing(flag, other_value)
    assert settled(*files, switched(flag, text)) == differing(flag, value)
    monkeypatch.setenv(variable(flag), "")  # as an environment file writes "not set"
    assert settled(switched(flag, text)) == differing(flag, value)
    assert settled() == NodeSettings()


@pytest.mark.parametrize("flag", SITE_FLAGS)
def test_so_it_is_for_the_site_agent_which_listens_elsewhere(flag, tmp_path, monkeypatch):
    name, text, value, other_text, other_value = FLAGS[flag]
    assert settled_site() == SiteSettings()
    in_file, file_value = SITE_IN_FILE[flag]
    file = tmp_path / "c.yml"
    file.write_text(in_file)
    given = f"--config.file={file}"
    assert settled_site(given) == replace(SiteSettings(), **{name: file_value})
    monkeypatch.setenv(variable(flag), other_text)
    assert settled_site(given) == replace(SiteSettings(), **{name: other_value})
    assert settled_site(given, f"{flag}={text}") == replace(SiteSettings(), **{name: value})


def test_one_file_tells_each_agent_where_it_listens_and_neither_the_other(tmp_path):
    file = tmp_path / "c.yml"
    file.write_text("web: {listen_addresses: [':1'], site_listen_addresses: [':2']}")
    given = f"--config.file={file}"
    assert (settled(given).web_listen_address, settled_site(given).web_listen_address) == ((":1",), (":2",))
    file.write_text("web: {listen_addresses: [':1']}")
    assert settled_site(given).web_listen_address == ("127.0.0.1:9837",)
    assert settled().web_listen_address == ("127.0.0.1:9836",)


def test_a_flag_equal_to_the_default_still_beats_the_file(tmp_path):
    (tmp_path / "c.yml").write_text("log: {level: error}\nnode: {collectors: {host: false}}\n")
    assert (
        settled(f"--config.file={tmp_path / 'c.yml'}", "--log.level=info", "--collector.host")
        == NodeSettings()
    )


def test_the_file_itself_may_be_named_by_its_variable(tmp_path, monkeypatch):
    (tmp_path / "c.yml").write_text("log: {level: error}")
    monkeypatch.setenv("GPUTALLY_CONFIG_FILE", str(tmp_path / "c.yml"))
    assert settled().log_level == "error"


def test_several_addresses_are_several_flags_or_words_of_the_variable(monkeypatch):
    two = ("127.0.0.1:1", "[::1]:2")
    assert settled(*(f"--web.listen-address={one}" for one in two)).web_listen_address == two
    monkeypatch.setenv("GPUTALLY_WEB_LISTEN_ADDRESS", " ".join(two))
    assert settled().web_listen_address == two


def test_the_two_commands_share_all_flags():
    node_flags = {option for parameter in node.params for option in parameter.opts}
    check_flags = {option for parameter in check.params for option in parameter.opts}
    assert node_flags == {*FLAGS, "--config.file"}
    assert check_flags == node_flags | {"--format"}
    site_flags = {option for parameter in site.params for option in parameter.opts}
    assert site_flags == {*SITE_FLAGS, "--config.file"}


def test_every_flag_has_its_variable_and_no_other_variable_is_known():
    named = {parameter.opts[0]: parameter.envvar for parameter in node.params}
    assert named == {flag: variable(flag) for flag in named}
    assert set(named.values()) == VARIABLES
    assert {parameter.opts[0]: parameter.envvar for parameter in site.params}.items() <= named.items()


def test_version_is_one_line(tmp_path):
    expected = Answer(0, f"gputally, version {__version__}\n", "")
    assert gputally("--version", folder=tmp_path) == expected
    assert gputally("--version", folder=tmp_path, program=(sys.executable, "-m", "gputally")) == expected
    assert (
        gputally("--version", folder=tmp_path, program=(sys.executable, "-I", "-m", "gputally")) == expected
    )


def test_help_names_every_command_and_every_flag_with_variable_and_default(tmp_path):
    answer = gputally("--help", folder=tmp_path)
    assert (answer.status, answer.err) == (0, "")
    assert re.findall(r"^  ([\w-]+)  +[A-Z]", answer.out.partition("Commands:")[2], re.MULTILINE) == sorted(
        COMMANDS
    )
    for command in (node, check):
        answer = gputally(command.name, "--help", folder=tmp_path)
        assert (answer.status, answer.err) == (0, "")
        words = " ".join(answer.out.split())
        for parameter in command.params:
            assert f" {parameter.opts[0]} " in words
            assert parameter.help in words
        for name, (setting, *_) in FLAGS.items():
            assert f"env var: {variable(name)}" in words
            default = getattr(NodeSettings(), setting)
            about = words.partition(f"env var: {variable(name)}")[2].partition("]")[0]
            assert ("default: " in about) == (default is not None), name
    answer = gputally("site", "--help", folder=tmp_path)
    words = " ".join(answer.out.split())
    assert (answer.status, answer.err) == (0, "")
    for parameter in site.params:
        assert f" {parameter.opts[0]} " in words
        assert parameter.help in words
    assert "default: 127.0.0.1:9837" in words
    assert "9836" not in words
    assert click.unstyle(answer.out) == answer.out


def test_module_and_program_are_the_same(tmp_path):
    one, other = (
        gputally("node", "--help", folder=tmp_path, program=program)
        for program in ((Path(sys.executable).parent / "gputally",), (sys.executable, "-m", "gputally"))
    )
    assert one == other
