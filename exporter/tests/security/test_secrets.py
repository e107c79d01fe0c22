"""No secret that the product reads is in what it shows: pages, logs, messages, command lines, environments.

Each is a canary: a word that stands in one file and is looked for everywhere else.
"""

from __future__ import annotations

import http.client
import json
import re
import signal
import ssl
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

import bcrypt
import pytest
import trustme

from gputally.config import strict
from gputally.config.strict import ConfigError
from gputally.report.access import Access
from gputally.tokens.authfile import DamagedError, Token, read_tokens
from gputally.tokens.holders import read_holders
from gputally.web import settings as web_settings
from tests.cli.command import PROGRAM, environment, gputally
from tests.report.answering import Answer, Seen, speaking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.agent.running import RunningAgent
    from tests.security.listening import Ear

TOP = Path(__file__).parents[3]
PASSWORD = "canary-password-51b2"  # noqa: S105 - made up
KEY = "canary-key-8c1f0d3e"
PATHS = ("/", "/metrics", "/offers", "/-/healthy", "/-/ready", "/config", "/debug/vars", f"/{PASSWORD}")


def assert_absent(secrets: Iterable[str], places: dict[str, str]) -> None:
    """None of the words, nor a good part of one, is anywhere."""
    for secret in secrets:
        assert len(secret) >= 12, secret
        found = [name for name, text in places.items() if secret in text]
        assert not found, f"{secret} stands in {found}"


def of_process(pid: int) -> dict[str, str]:
    """What `ps` and its like show of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {
        f"/proc/{one}/{name}": Path(f"/proc/{one}/{name}").read_bytes().decode(errors="replace")
        for one in (str(pid), *children)
        for name in ("cmdline", "environ", "comm")
    }


@pytest.fixture
def web_config(tmp_path: Path) -> tuple[Path, list[str], ssl.SSLContext]:
    """Users and a private key in the file itself; all that is secret of it; who trusts the certificate."""
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    key = leaf.private_key_pem.bytes().decode()
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems).decode()
    file = tmp_path / "web.yml"
    file.write_text(
        f"tls_server_config:\n  cert: {json.dumps(chain)}\n  key: {json.dumps(key)}\n"
        f"basic_auth_users:\n  prometheus: {hashed}\n"
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return file, [hashed[7:40], *key.splitlines()[1:3]], context


def ask(running: RunningAgent, context: ssl.SSLContext, path: str, password: str) -> tuple[int, str]:
    """One answer, head and body."""
    connection = http.client.HTTPSConnection(*running.address, context=context, timeout=10)
    word = b64encode(f"prometheus:{password}".encode()).decode()
    try:
        connection.request("GET", path, headers={"Authorization": f"Basic {word}"})
        answer = connection.getresponse()
        return answer.status, f"{answer.getheaders()}\n{answer.read().decode()}"
    finally:
        connection.close()


@pytest.mark.parametrize("command", ["node", "site"])
def test_passwords_and_private_keys_of_the_web_configuration_are_shown_nowhere(
    command: str,
    heard: Callable[..., RunningAgent],
    ear: Ear,
    web_config: tuple[Path, list[str], ssl.SSLContext],
) -> None:
    """At the most talkative level, with right and wrong passwords, and after a reload that fails."""
    file, secrets, context = web_config
    source = ["--source=simulated", "--simulated.gpus=1"] if command == "node" else []
    running = heard(command, *source, f"--web.config.file={file}", "--log.level=debug", serving=False)
    running.until(lambda: bool(running.lines("serving http on")), 20, "it serves")
    places = {}
    for path in PATHS:
        for password, good in ((PASSWORD, True), (f"{PASSWORD}-wrong", False)):
            status, places[f"{path} {good}"] = ask(running, context, path, password)
            assert (status != 401) == good, (path, status)
    assert "# TYPE" in places["/metrics True"]
    whole = file.read_text()
    for broken in (whole[: len(whole) // 2], whole.replace("prometheus: ", "prometheus : : "), whole[:-9]):
        file.write_text(broken)
        running.signal(signal.SIGHUP)
        running.until(lambda: bool(running.lines("not reloaded")), 10, "it refuses the file")
    places |= of_process(running.pid)
    places |= {str(path): path.read_text(errors="replace") for path in running.state_dir.glob("*")}
    running.terminate()
    places |= {"log": "\n".join(running.log), "events": ear.file.read_text()}
    assert_absent([PASSWORD, *secrets], places)


def test_a_key_of_a_provider_is_shown_nowhere_whatever_the_provider_says(
    heard: Callable[..., RunningAgent], ear: Ear, key_file: Path, tmp_path: Path
) -> None:
    """It is sent to the provider, who refuses it, repeats it, and answers with it in a good reply."""
    file = tmp_path / "gputally.yml"
    said = iter((401, 403, 500, 200))

    def answer(seen: Seen) -> Answer:
        head = {"X-You-Sent": KEY, "WWW-Authenticate": f"Bearer error={KEY}"}
        body = json.dumps({"errors": [{"message": f"bad key {KEY}"}], KEY: KEY, "sent": str(seen.headers)})
        return Answer(next(said, 200), body.encode(), head)

    with speaking(answer) as provider:
        keyed = f"{{base_url: '{provider.url}', api_key_file: {key_file}, interval: 1m}}"
        for minute in (1, 2, 3, 4):
            names = ("runpod", "lambda", "verda")
            text = "".join(f"    {name}: {keyed.replace('1m', f'{minute}m')}\n" for name in names)
            file.write_text(f"market:\n  providers:\n{text}")
            if minute == 1:
                running = heard("site", f"--config.file={file}", "--log.level=debug")
            else:
                running.signal(signal.SIGHUP)
            running.until(lambda m=minute: len(provider.seen) >= 3 * m, 30, "all are asked again")
        places = {path: running.get(path)[1] for path in PATHS}
        places |= of_process(running.pid)
        running.terminate()
        assert all(KEY in str(seen.headers) for seen in provider.seen)
    places |= {"log": "\n".join(running.log), "events": ear.file.read_text()}
    assert_absent([KEY], places)


@pytest.mark.parametrize("way", ["file", "variable"])
def test_the_password_of_prometheus_is_on_no_command_line_and_in_no_message(way: str, tmp_path: Path) -> None:
    """From a file it is in no environment either."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    places: dict[str, str] = {}
    process: list[subprocess.Popen[str]] = []

    def answer(seen: Seen) -> Answer:
        assert PASSWORD.encode() not in seen.body
        assert PASSWORD not in seen.path
        places.update(of_process(process[0].pid))
        return Answer(401, f"no such password: {PASSWORD}".encode())

    env = {"GPUTALLY_PROMETHEUS_PASSWORD": PASSWORD} if way == "variable" else {}
    flags = [f"--prometheus.password-file={tmp_path / 'password'}"] if way == "file" else []
    with speaking(answer) as server:
        command = [
            PROGRAM,
            "report",
            "teams",
            f"--prometheus.url={server.url}",
            "--prometheus.user=me",
            *flags,
        ]
        with subprocess.Popen(
            [*command, *flags],
            env=environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as running:
            process.append(running)
            places["out"], places["err"] = running.communicate(timeout=30)
        assert running.returncode == 1
    if way == "variable":
        places = {name: text for name, text in places.items() if not name.endswith("/environ")}
    assert any(name.endswith("/cmdline") for name in places)
    assert "401" in places["err"]
    assert_absent([PASSWORD, b64encode(f"me:{PASSWORD}".encode()).decode()], places)


def test_the_password_of_a_site_agent_is_in_no_message(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    places: dict[str, str] = {}
    for status in (401, 302, 200):
        with speaking(lambda _, s=status: Answer(s, f"<h1>{PASSWORD}</h1>".encode())) as server:
            done = gputally(
                "offers",
                f"--site.url={server.url}",
                "--site.user=me",
                "--site.password-file=password",
                folder=tmp_path,
            )
            assert (done.status, len(server.seen)) == (1, 1)
            places[f"{status}"] = done.out + done.err
    assert_absent([PASSWORD], places)


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "teams", f"--prometheus.password={PASSWORD}"),
        ("report", "teams", f"--prometheus.url=http://me:{PASSWORD}@127.0.0.1:9"),
        ("offers", f"--site.password={PASSWORD}"),
        ("offers", f"--site.url=http://me:{PASSWORD}@127.0.0.1:9"),
    ],
)
def test_a_secret_in_a_wrong_place_is_refused_and_not_repeated(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    """It stands on a command line by then: a log of what went wrong shall not keep it as well."""
    done = gputally(*arguments, folder=tmp_path)
    assert done.status == 2
    assert_absent([PASSWORD], {"out": done.out, "err": done.err})


@pytest.mark.parametrize("command", [("node",), ("site",), ("offers",), ("report", "teams")])
def test_a_secret_in_a_variable_that_nobody_knows_is_not_repeated(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    done = gputally(*command, folder=tmp_path, env={"GPUTALLY_PROMETEUS_PASSWORD": PASSWORD})
    assert done.status == 2
    assert "GPUTALLY_PROMETEUS_PASSWORD" in done.err
    assert_absent([PASSWORD], {"out": done.out, "err": done.err})


WRONG_PLACES = (
    f"api_key: {KEY}",
    f"api_key_file: [{KEY}]",
    f"base_url: 'https://me:{KEY}@a.example'",
    f"base_url: 'https://me:{KEY}@a.example:port'",
    f"base_url: 'https://a.example/?key={KEY}'",
)


def test_a_key_that_is_written_into_the_configuration_is_refused_and_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "gputally.yml"
    for text in WRONG_PLACES:
        file.write_text(f"market: {{providers: {{vast: {{{text}}}}}}}\n")
        done = gputally("site", f"--config.file={file}", folder=tmp_path)
        assert done.status == 2
        assert_absent([KEY], {"out": done.out, "err": done.err})


def damaged(text: str) -> Iterator[str]:
    """A file as editors, disks and hands leave it."""
    for at in range(0, len(text), 2):
        yield text[:at]
        yield text[:at] + text[at + 1 :]
        for mark in "\n:\"'{[&*!%@`\t":
            yield text[:at] + mark + text[at:]


def test_no_damage_of_the_web_configuration_makes_a_message_that_shows_a_part_of_it(tmp_path: Path) -> None:
    hashed = "$2y$10$" + "CANARYcanary" * 4 + "CANAR"
    key = "-----BEGIN PRIVATE KEY-----\n  CANARYcanary0CANARY\n  -----END PRIVATE KEY-----"
    text = f"basic_auth_users:\n  me: {hashed}\ntls_server_config:\n  cert_file: c\n  key: |\n  {key}\n"
    file, messages = tmp_path / "web.yml", []
    for broken in damaged(text):
        file.write_text(broken)
        try:
            web_settings.load(file)
        except ConfigError as error:
            messages.append(str(error))
    assert len(messages) > 1000
    assert not [message for message in messages if re.search("CANARY|canary", message)]


def test_no_damage_of_the_file_of_tokens_makes_a_message_that_shows_one() -> None:
    token = Token("node:a", "CANARYcanaryCANARYcanaryCANARYcanaryCANARYc")
    user = f"{token.holder}:{token.fingerprint}"
    text = f"users:\n- name: {user}\n  bearer_token: {token.secret}\n  url_prefix: http://a/\n"
    assert read_tokens(text) == [token]
    messages = []
    for broken in damaged(text):
        try:
            read_tokens(broken)
        except DamagedError as error:
            messages.append(str(error))
    assert len(messages) > 500
    assert not [message for message in messages if re.search("CANARY|canary", message)]


def test_settings_that_are_printed_by_accident_show_no_secret(tmp_path: Path) -> None:
    """As in a traceback of somebody's debugger."""
    hashed = "$2y$10$" + "CANARYcanary" * 4 + "CANAR"
    file = tmp_path / "web.yml"
    file.write_text(
        f"basic_auth_users: {{me: {hashed}}}\ntls_server_config: {{cert_file: c, key: CANARYcanary}}\n"
    )
    assert "CANARY" not in repr(web_settings.load(file))
    file.write_text("password: CANARYcanary\n")
    root = strict.load(file)
    with pytest.raises(ConfigError) as caught:
        root.mapping("password", secret=True)
    assert "CANARY" not in str(caught.value)
    assert "CANARY" not in repr(Token("node:a", "CANARYcanary"))
    assert "CANARY" not in repr(Access(user="me", password="CANARYcanary"))  # noqa: S106 - made up


def test_the_file_of_holders_has_no_place_for_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "holders.yml"
    file.write_text("store: 'http://me:CANARYcanary@127.0.0.1:8428'\n")
    with pytest.raises(ConfigError) as caught:
        read_holders(file)
    assert "CANARY" not in str(caught.value)


# what is shipped

_FLAG = re.compile(
    r"(password|passwd|bearer_?token|secret|credentials|api_?key)(=|: )[^\s$%{/]", re.IGNORECASE
)
_FILES = re.compile(r"(_file|file|/run/secrets|\$\{|%d/|^\s*#)", re.IGNORECASE)


def test_no_command_line_and_no_environment_that_is_shipped_carries_a_secret() -> None:
    looked = 0
    patterns = ("systemd/*.service", "systemd/*.env", "central/systemd/*", "central/*.env", "k8s/**/*.yml")
    files = [file for pattern in patterns for file in TOP.glob(pattern)]
    for file in (*files, TOP / "docker-compose.yml", TOP / "central" / "vmagent.yml"):
        for line in file.read_text().splitlines():
            looked += 1
            if _FLAG.search(line) and not _FILES.search(line):
                pytest.fail(f"{file.relative_to(TOP)}: {line}")
    assert looked > 500
