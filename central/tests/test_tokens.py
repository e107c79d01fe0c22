"""`gputally tokens`: who gets one, who loses one, what is in files afterwards; the real vmauth obeys."""

import contextlib
import io
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
import requests
import yaml
from central.tests.conftest import Centre
from central.tests.programs import CENTRAL, Front, wait_for
from scripts.stack.processes import LOOPBACK

from gputally.cli import main
from tests.cli.command import Answer, assert_refused, gputally

NODE, TEAM = "node:gpu-node-1", "team:nlp"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped example, and tokens made from it."""
    (tmp_path / "holders.yml").write_text((CENTRAL / "holders.yml").read_text())
    (tmp_path / "new").mkdir()
    return tmp_path


def arguments(*given: str) -> tuple[str, ...]:
    return ("tokens", *given, "--holders.file=holders.yml", "--auth.file=vmauth.yml")


def run(folder: Path, *given: str) -> Answer:
    """The command within this process: starting one takes longer than all that it does."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments(*given))
        except SystemExit as ended:
            return Answer(int(ended.code or 0), out.getvalue(), err.getvalue())
    raise AssertionError("no exit status")


def users(folder: Path) -> dict[str, dict]:
    return {user["name"]: user for user in yaml.safe_load((folder / "vmauth.yml").read_text())["users"]}


def holders_of(folder: Path) -> list[str]:
    return [name.rpartition(":")[0] for name in users(folder)]


def declare(folder: Path, old: str, new: str) -> None:
    text = (folder / "holders.yml").read_text()
    assert old in text
    (folder / "holders.yml").write_text(text.replace(old, new))


def test_everyone_declared_gets_a_token_once_in_a_file_that_only_its_owner_reads(folder):
    answer = run(folder, "apply", "--output=new")
    assert (answer.status, answer.err) == (0, "")
    assert len(answer.out.splitlines()) == 8
    tokens = {path.name: path.read_text().strip() for path in (folder / "new").iterdir()}
    assert len(set(tokens.values())) == len(tokens) == 8
    assert all(len(token) == 43 for token in tokens.values())  # 256 bits
    assert not any(token in answer.out for token in tokens.values())
    for path in (*(folder / "new").iterdir(), folder / "vmauth.yml"):
        assert path.stat().st_mode & 0o777 == 0o600
    before = (folder / "vmauth.yml").read_text()
    assert run(folder, "apply") == Answer(0, "", "")
    assert (folder / "vmauth.yml").read_text() == before


def test_without_a_folder_tokens_are_printed(folder):
    lines = dict(line.split() for line in run(folder, "apply").out.splitlines())
    assert lines[NODE] in (folder / "vmauth.yml").read_text()


def test_who_is_not_declared_any_more_loses_the_token_and_nobody_else(folder):
    run(folder, "apply")
    before = users(folder)
    declare(folder, "  gpu-node-1: {cluster: north}\n", "")
    out = run(folder, "apply").out
    assert [line.split()[::2] for line in out.splitlines()] == [[NODE, "gone"]]
    assert users(folder) == {name: user for name, user in before.items() if not name.startswith(NODE)}


def test_a_rotated_token_and_the_new_one_are_good_until_the_old_one_is_retired(folder):
    run(folder, "apply")
    old = next(name for name in users(folder) if name.startswith(NODE))
    run(folder, "rotate", NODE, "--output=new")
    assert holders_of(folder).count(NODE) == 2
    run(folder, "retire", NODE)
    assert holders_of(folder).count(NODE) == 1
    assert old not in users(folder)
    new = (folder / "new" / "node-gpu-node-1.token").read_text().strip()
    assert new in (folder / "vmauth.yml").read_text()


@pytest.mark.fault("token-wrong")
def test_a_stolen_token_is_taken_by_holder_or_by_fingerprint(folder):
    run(folder, "apply")
    fingerprint = next(name for name in users(folder) if name.startswith(TEAM)).rpartition(":")[2]
    assert run(folder, "revoke", fingerprint).out == f"{TEAM} {fingerprint} gone\n"
    run(folder, "revoke", NODE)
    assert not {TEAM, NODE} & set(holders_of(folder))
    assert "no token" in next(line for line in run(folder, "list").out.splitlines() if line.startswith(TEAM))
    run(folder, "apply")  # the file still declares them
    assert {TEAM, NODE} <= set(holders_of(folder))


def test_the_list_tells_labels_and_fingerprints_and_no_token(folder):
    run(folder, "apply", "--output=new")
    out = run(folder, "list").out
    assert [line.split()[0] for line in out.splitlines()] == holders_of(folder)
    assert "writes instance=gpu-node-1,cluster=north" in out
    assert "reads team=deep learning" in out
    assert "reads everything" in out
    for path in (folder / "new").iterdir():
        assert path.read_text().strip() not in out


WRONG = {
    "stor: http://x": "missing key store",
    "store: x": "expected an address such as http://127.0.0.1:8428",
    "store: http://u:p@x": "expected an address such as http://127.0.0.1:8428",
    "store: 'http://[x'": "expected an address such as http://127.0.0.1:8428",
    "store: http://x:99999": "expected an address such as http://127.0.0.1:8428",
    "store: 'http://x?'": "expected an address such as http://127.0.0.1:8428",
    "store: http://x y": "expected an address such as http://127.0.0.1:8428",
    "store: http://x\nnode: {}": "unknown key, did you mean nodes?",
    "store: http://x\nnodes: {a/b: {}}": "a name has letters, digits",
    "store: http://x\nteams: {a: nlp}": "expected a mapping",
    "store: http://x\nteams: {a: {__name__: x}}": "expected the name of a label",
    'store: http://x\nteams: {a: {team: "a\\nb"}}': "printable characters",
    "store: http://x\nconcurrency: {teams: 0}": "expected a whole number",
    "store: http://x\nteams: {a: {}, a: {}}": "duplicate key",
}


@pytest.mark.fault("config-tokens")
@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_file_of_holders_changes_nothing(folder, text):
    (folder / "holders.yml").write_text(text)
    before = {entry.name for entry in folder.iterdir()}
    assert WRONG[text] in assert_refused(run(folder, "apply"), folder, before)


@pytest.mark.fault("config-tokens")
def test_a_file_of_vmauth_that_was_not_written_here_is_left_alone(folder):
    for text in (
        "users: [{username: a, password: b, url_prefix: 'http://x'}]",
        "users: [{",
        "[]",
        "users: [{name: a:b:c, bearer_token: d}]",
        "users: 2026-02-30",
        "users: " + "[" * 5000,
    ):
        (folder / "vmauth.yml").write_text(text)
        answer = run(folder, "apply")
        assert (answer.status, answer.out) == (1, "")
        assert "vmauth.yml: not written by gputally tokens" in answer.err
        assert (folder / "vmauth.yml").read_text() == text


def test_unknown_names_are_refused_and_what_cannot_be_written_changes_nothing(folder):
    run(folder, "apply")
    before = (folder / "vmauth.yml").read_text()
    for command in ("rotate", "retire", "revoke"):
        assert run(folder, command, "node:nobody").status == 2
    answer = run(folder, "rotate", NODE, "--output=nowhere")
    assert answer.status == 1
    assert "nowhere" in answer.err
    assert (folder / "vmauth.yml").read_text() == before


@pytest.mark.fault("config-tokens")
def test_two_at_once_lose_nothing(folder):
    run(folder, "apply")
    command = arguments("rotate", NODE)
    threads = [threading.Thread(target=gputally, args=command, kwargs={"folder": folder}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert holders_of(folder).count(NODE) == 5


def good(centre: Centre, token: str) -> bool:
    return centre.front.ask(token, "/api/v1/query?query=1").status_code == requests.codes.ok


def test_vmauth_takes_new_tokens_and_refuses_old_ones(centre):
    front = centre.front
    first = front.token(TEAM)
    assert good(centre, first)
    front.change("rotate", TEAM)
    second = front.token(TEAM)
    wait_for("both are good", lambda: good(centre, second))
    assert good(centre, first)
    front.change("retire", TEAM)
    wait_for("the old one is refused", lambda: not good(centre, first))
    assert good(centre, second)
    front.change("revoke", TEAM)
    wait_for("and the new one", lambda: not good(centre, second))


def test_when_the_last_token_goes_vmauth_does_not_keep_it(centre):
    """It refuses a file without users, and would go on with the old one."""
    front = centre.front
    front.change("apply")
    token = front.token("operator:grafana")
    wait_for("it is good", lambda: good(centre, token))
    declared = front.holders.read_text()
    front.holders.write_text(next(line for line in declared.splitlines() if line.startswith("store:")))
    front.change("apply")
    wait_for("it is refused", lambda: not good(centre, token))
    front.holders.write_text(declared)
    front.change("apply")


def under_way(front: Front, token: str) -> tuple[ssl.SSLSocket, bytes]:
    """A request of which the body is still to come, and what nginx said of its head."""
    plain = socket.create_connection((LOOPBACK, front.port), timeout=10)
    connection = ssl.create_default_context(cafile=front.ca_file).wrap_socket(plain, server_hostname=LOOPBACK)
    head = ("POST /api/v1/write HTTP/1.1", f"Host: {LOOPBACK}", f"Authorization: Bearer {token}")
    more = ("Content-Length: 9", "Expect: 100-continue", "", "")
    connection.sendall("\r\n".join((*head, *more)).encode())
    return connection, connection.recv(4096).split(b" ")[1]


@pytest.mark.fault("token-floods")
def test_more_requests_at_once_than_a_token_may_have_are_refused(centre):
    """Sixteen that are under way, and one more; another token is not held up, and ended ones make room."""
    front = centre.front
    token, other = front.token(NODE), front.token("node:gpu-node-2")
    with contextlib.ExitStack() as held:
        for _ in range(16):
            connection, answer = under_way(front, token)
            held.enter_context(connection)
            assert answer == b"100"  # it is counted, and may go on
        assert front.ask(token, "/api/v1/write", "POST", data=b"x").status_code == 429
        assert front.ask(other, "/api/v1/write", "POST", data=b"x").status_code != 429
    wait_for(
        "there is room again",
        lambda: front.ask(token, "/api/v1/write", "POST", data=b"x").status_code != 429,
    )


def test_a_limit_of_vmauths_own_is_written_where_it_is_asked_for(folder):
    """Debian 12's release refuses a key that it does not know, which is why the example has none."""
    assert "max_concurrent_requests" not in str(users_after(folder))
    (folder / "holders.yml").write_text(
        (folder / "holders.yml").read_text().replace("# concurrency:", "concurrency:")
    )
    limits = {
        name.split(":")[0]: user.get("max_concurrent_requests") for name, user in users_after(folder).items()
    }
    assert limits == {"node": 4, "site": 16, "team": 4, "tenant": 8, "operator": None}
    usage = subprocess.run(["vmauth", "-help"], capture_output=True, text=True, check=False)
    knows = "-maxConcurrentPerUserRequests" in usage.stdout + usage.stderr
    argv = ["vmauth", "-auth.config=vmauth.yml", "-httpListenAddr=127.0.0.1:0"]
    with subprocess.Popen(argv, cwd=folder, stderr=subprocess.PIPE, text=True) as program:
        lines: list[str] = []
        assert program.stderr is not None
        for line in program.stderr:
            lines.append(line)
            if "started vmauth" in line or "FATAL" in line or "fatal" in line:
                break
        program.terminate()
        program.stderr.read()
    assert ("started vmauth" in lines[-1]) == knows, lines[-1]


def users_after(folder: Path) -> dict[str, dict]:
    run(folder, "apply")
    return users(folder)
