"""Passwords: right ones, wrong ones, strange ones, and many at once."""

import asyncio
import base64
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest

from gputally.web.auth import MOST_WAITING, Authenticator, TooManyLoginsError
from tests.web.harness import Answer, Running, ask, basic, hashed, write_users

Serve = Callable[..., Running]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A web configuration with two users."""
    file = tmp_path / "web.yml"
    write_users(file, {"alice": hashed(b"opensesame"), "bob": hashed(b"pa:ss w\xc3\xb6rd")})
    return file


def test_the_right_password_opens_every_path(serve: Serve, config: Path) -> None:
    address = serve(config).address
    for path, code in (("/metrics", 200), ("/", 200), ("/-/healthy", 200), ("/-/ready", 200), ("/x", 404)):
        assert ask(address, path, Authorization=basic("alice", "opensesame")).code == code
        assert ask(address, path, Authorization=basic("bob", "pa:ss wörd")).code == code


def test_without_credentials_every_path_asks_for_them(serve: Serve, config: Path) -> None:
    running = serve(config)
    for path in ("/metrics", "/", "/-/healthy", "/-/ready", "/x"):
        for method in ("GET", "HEAD", "POST"):
            answer = ask(running.address, path, method)
            assert answer.code == 401
            assert answer.headers["WWW-Authenticate"] == 'Basic realm="gputally", charset="UTF-8"'
    assert running.server.auth_failures_total == 0


WRONG = {
    "wrong password": basic("alice", "sesame"),
    "empty password": basic("alice", ""),
    "password of another user": basic("alice", "pa:ss wörd"),
    "unknown user": basic("mallory", "opensesame"),
    "no user": basic("", "opensesame"),
    "user in capitals": basic("ALICE", "opensesame"),
    "more than the password": basic("alice", "opensesame "),
    "password and NUL": basic("alice", "opensesame\0"),
    "NUL first": basic("alice", "\0opensesame"),
    "73 bytes": basic("alice", "x" * 73),
    "5 KB": basic("alice", "x" * 5000),
    "password that is no UTF-8": basic("alice", b"\xff\xfe"),
    "user that is no UTF-8": basic(b"\xff\xfe", "opensesame"),
    "no colon": "Basic " + base64.b64encode(b"alice").decode(),
    "bad base64": "Basic ???",
    "base64 with a line break inside": "Basic YWxp Y2U6",
    "nothing after the scheme": "Basic",
    "another scheme": "Bearer " + base64.b64encode(b"alice:opensesame").decode(),
    "empty header": "",
}


@pytest.mark.fault("passwords-odd")
def test_nothing_else_opens(serve: Serve, config: Path) -> None:
    running = serve(config)
    for kind, header in WRONG.items():
        answer = ask(running.address, Authorization=header)
        assert (answer.code, answer.body) == (401, b"Unauthorized\n"), kind
    assert running.server.auth_failures_total == len(WRONG)
    assert running.server.requests_total[401] == len(WRONG)


def test_nothing_else_opens_when_the_right_password_is_remembered(serve: Serve, config: Path) -> None:
    running = serve(config)
    assert ask(running.address, Authorization=basic("alice", "opensesame")).code == 200
    for kind, header in WRONG.items():
        assert ask(running.address, Authorization=header).code == 401, kind


@pytest.mark.fault("passwords-odd")
def test_two_authorization_headers_are_one_too_many(serve: Serve, config: Path) -> None:
    right = basic("alice", "opensesame")
    assert ask(serve(config).address, Authorization=f"{right}\r\nAuthorization: {right}").code == 401


def test_the_scheme_may_be_written_in_lower_case(serve: Serve, config: Path) -> None:
    header = basic("alice", "opensesame").replace("Basic", "basic")
    assert ask(serve(config).address, Authorization=header).code == 200


@pytest.mark.fault("passwords-odd")
def test_a_password_counts_up_to_72_bytes_as_in_go(serve: Serve, config: Path) -> None:
    write_users(config, {"long": hashed(b"x" * 72)})
    address = serve(config).address
    assert ask(address, Authorization=basic("long", "x" * 72)).code == 200
    assert ask(address, Authorization=basic("long", "x" * 80)).code == 200
    assert ask(address, Authorization=basic("long", "x" * 71)).code == 401


def test_a_remembered_login_cannot_be_cut_at_another_place(serve: Serve, config: Path) -> None:
    """User and password are not simply joined: `ab` + `c` must not stand for `a` + `bc`."""
    write_users(config, {"ab": hashed(b"c"), "a": hashed(b"other")})
    address = serve(config).address
    assert ask(address, Authorization=basic("ab", "c")).code == 200
    assert ask(address, Authorization=basic("a", "bc")).code == 401


class Checks:
    """Counts the hashes that are really computed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hashes: list[bytes] = []
        genuine = bcrypt.checkpw

        def counted(password: bytes, known: bytes) -> bool:
            self.hashes.append(known)
            return genuine(password, known)

        monkeypatch.setattr(bcrypt, "checkpw", counted)


@pytest.mark.fault("passwords-guessed")
def test_an_unknown_user_costs_the_same_work_as_a_known_one(
    serve: Serve, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One hash each, of the slowest user's cost, so names cannot be listed by time."""
    write_users(config, {"alice": hashed(b"a", 5), "bob": hashed(b"b", 6)})
    checks, address = Checks(monkeypatch), serve(config).address
    ask(address, Authorization=basic("bob", "wrong"))
    ask(address, Authorization=basic("mallory", "wrong"))
    known, unknown = checks.hashes
    assert known[:7] == unknown[:7] == b"$2b$06$"
    assert unknown not in (hashed(b"a"), hashed(b"b"))


def test_a_regular_scraper_computes_one_hash_and_a_wrong_password_one_each_time(
    serve: Serve, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks, address = Checks(monkeypatch), serve(config).address
    for _ in range(10):
        assert ask(address, Authorization=basic("alice", "opensesame")).code == 200
    assert len(checks.hashes) == 1
    for _ in range(3):
        assert ask(address, Authorization=basic("alice", "wrong")).code == 401
    assert len(checks.hashes) == 4


@pytest.mark.fault("passwords-guessed")
def test_guessers_do_not_starve_a_scraper_that_is_known(serve: Serve, config: Path) -> None:
    """Eight clients guess without pause at the full cost of a hash."""
    write_users(config, {"alice": hashed(b"opensesame", 10)})
    running, right = serve(config), basic("alice", "opensesame")
    assert ask(running.address, Authorization=right).code == 200
    stop, codes = threading.Event(), set()

    def guess() -> None:
        while not stop.is_set():
            codes.add(ask(running.address, Authorization=basic("alice", "guess")).code)

    guessers = [threading.Thread(target=guess) for _ in range(8)]
    for thread in guessers:
        thread.start()
    try:
        for _ in range(4):  # one quiet round is enough: the machine has other work too
            times = []
            for _ in range(40):
                start = time.perf_counter()
                assert ask(running.address, Authorization=right).code == 200
                times.append(time.perf_counter() - start)
            if sorted(times)[-2] < 0.05:
                break
        else:
            pytest.fail(f"second slowest scrape: {sorted(times)[-2]:.3f} s")
    finally:
        stop.set()
        for thread in guessers:
            thread.join()
    assert codes <= {401, 429}
    assert 401 in codes


@pytest.mark.fault("passwords-guessed")
def test_a_crowd_of_logins_is_told_to_come_back(serve: Serve, config: Path) -> None:
    write_users(config, {"alice": hashed(b"opensesame", 10)})
    running = serve(config)
    answers: list[Answer] = []

    def log_in() -> None:
        answers.append(ask(running.address, Authorization=basic("alice", "guess")))

    threads = [threading.Thread(target=log_in) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    turned_away = [answer for answer in answers if answer.code == 429]
    assert {answer.code for answer in answers} == {401, 429}
    assert turned_away[0].headers["Retry-After"] == "1"
    assert ask(running.address, Authorization=basic("alice", "opensesame")).code == 200


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def login(authenticator: Authenticator, user: str, password: str, address: str = "a") -> bool:
    async def wait() -> bool:
        right = authenticator.check(basic(user, password), address)
        return right if isinstance(right, bool) else await right

    return asyncio.run(wait())


def known_at_once(authenticator: Authenticator, user: str, password: str) -> bool:
    """Whether a login needs no hash."""

    async def look() -> bool:
        right = authenticator.check(basic(user, password), "a")
        if isinstance(right, bool):
            return right
        await right
        return False

    return asyncio.run(look())


def test_a_login_is_remembered_for_ten_minutes_after_its_last_use() -> None:
    clock = Clock()
    authenticator = Authenticator(clock)
    authenticator.adopt({"alice": hashed(b"a")})
    assert login(authenticator, "alice", "a")
    for _ in range(5):
        clock.now += 599
        assert known_at_once(authenticator, "alice", "a")
    clock.now += 601
    assert not known_at_once(authenticator, "alice", "a")
    authenticator.close()


def test_new_users_forget_every_login() -> None:
    authenticator = Authenticator(Clock())
    users = {"alice": hashed(b"a")}
    authenticator.adopt(users)
    assert login(authenticator, "alice", "a")
    authenticator.adopt({**users, "bob": hashed(b"b")})
    assert not known_at_once(authenticator, "alice", "a")
    authenticator.adopt({"alice": hashed(b"new")})
    assert not login(authenticator, "alice", "a")
    assert login(authenticator, "alice", "new")
    authenticator.close()


def test_a_login_that_was_under_way_when_its_user_was_replaced_fails() -> None:
    authenticator = Authenticator(Clock())
    authenticator.adopt({"alice": hashed(b"a", 8)})

    async def replace_meanwhile() -> bool:
        right = authenticator.check(basic("alice", "a"), "a")
        assert not isinstance(right, bool)
        await asyncio.sleep(0)  # the thread has its work
        authenticator.adopt({"bob": hashed(b"b")})
        return await right

    assert not asyncio.run(replace_meanwhile())
    authenticator.close()


def test_at_most_a_hundred_logins_are_remembered() -> None:
    authenticator = Authenticator(Clock())
    word = hashed(b"a")
    authenticator.adopt({f"user{index}": word for index in range(105)})
    for index in range(105):
        assert login(authenticator, f"user{index}", "a")
    assert not known_at_once(authenticator, "user0", "a")
    assert known_at_once(authenticator, "user104", "a")
    authenticator.close()


def test_one_address_cannot_fill_the_queue_and_two_can() -> None:
    authenticator = Authenticator(Clock())
    authenticator.adopt({"alice": hashed(b"a", 6)})

    async def crowd() -> list[int]:
        waiting, refused = [], [0, 0, 0]
        for turn, address in enumerate(("greedy", "other", "late")):
            for _ in range(MOST_WAITING):
                try:
                    right = authenticator.check(basic("alice", "guess"), address)
                    assert not isinstance(right, bool)
                    waiting.append(right)
                except TooManyLoginsError:
                    refused[turn] += 1
        assert not any(await asyncio.gather(*waiting))
        return refused

    assert asyncio.run(crowd()) == [4, 4, 8]
    assert login(authenticator, "alice", "a")
    authenticator.close()


@pytest.mark.fault("passwords-guessed")
def test_three_hundred_mixed_logins_get_the_right_verdicts() -> None:
    authenticator = Authenticator(Clock())
    authenticator.adopt({f"user{index}": hashed(str(index).encode()) for index in range(5)})

    async def one(index: int) -> bool:
        user, right = f"user{index % 5}", index % 3 == 0
        header = basic(user, str(index % 5) if right else "wrong")
        while True:
            try:
                verdict = authenticator.check(header, index)
            except TooManyLoginsError:
                await asyncio.sleep(0.001)
                continue
            return (verdict if isinstance(verdict, bool) else await verdict) is right

    async def all_of_them() -> list[bool]:
        return await asyncio.gather(*(one(index) for index in range(300)))

    assert all(asyncio.run(all_of_them()))
    authenticator.close()


def test_what_is_not_asked_for_is_not_loaded() -> None:
    """Memory: no password library without users, no template engine at all."""
    code = (
        "import sys; import gputally.web.server; print(set(sys.modules) &"
        "{'bcrypt', 'tornado.web', 'tornado.template', 'cryptography', 'multiprocessing'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
