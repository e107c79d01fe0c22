"""`--web.config.file`: a folder of files that are refused, each with a message, and one of good files."""

import ssl
from pathlib import Path

import hypothesis
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from hypothesis import strategies as st

from gputally.config.strict import ConfigError
from gputally.web import settings, tls
from gputally.web.settings import ClientAuth, RateLimit
from tests.golden import assert_recorded
from tests.web.harness import write_pair

FOLDER = Path(__file__).with_name("webconfig")
MESSAGES = FOLDER / "bad.txt"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA, leaf: trustme.LeafCert) -> Path:
    """A directory with the certificates that the files name."""
    directory = tmp_path_factory.mktemp("web")
    write_pair(leaf, directory)
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    authority.issue_cert("other").private_key_pem.write_to_path(str(directory / "other-key.pem"))
    lines = (directory / "cert.pem").read_text().splitlines()
    (directory / "damaged.pem").write_text("\n".join([lines[0], "bm9uc2Vuc2U=", lines[-1]]))
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    (directory / "encrypted-key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"passphrase"),
        )
    )
    return directory


def check(place: Path, file: Path) -> settings.WebSettings:
    """Load a file as a server does at its start."""
    here = place / file.name
    here.write_bytes(file.read_bytes())
    loaded = settings.load(here)
    if loaded.tls:
        tls.build(loaded.tls)
    return loaded


def message(place: Path, file: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        check(place, file)
    return str(caught.value).replace(f"{place}/", "").replace(str(place), "DIRECTORY")


BAD = sorted((FOLDER / "bad").iterdir())


@pytest.mark.fault("config-web")
def test_every_bad_file_is_refused_with_its_message(place: Path) -> None:
    """Compared as one text: a file without a message shows, and so does a message without a file."""
    assert_recorded(MESSAGES, "".join(message(place, file) + "\n" for file in BAD))


def test_no_message_shows_a_secret_or_breaks_the_line() -> None:
    text = MESSAGES.read_text()
    assert len(text.splitlines()) == len(BAD) >= 40
    assert "secret-text" not in text
    assert "$2y$10$" not in text
    assert text.isascii()


@pytest.mark.parametrize("file", sorted((FOLDER / "good").iterdir()), ids=lambda file: file.stem)
def test_good_files_are_accepted(place: Path, file: Path) -> None:
    check(place, file)


def read(place: Path, name: str) -> settings.WebSettings:
    return check(place, FOLDER / "good" / f"{name}.yml")


def test_nothing_asked_for_is_nothing_done(place: Path) -> None:
    assert read(place, "nothing") == settings.WebSettings()


def test_paths_are_relative_to_the_file(place: Path) -> None:
    assert read(place, "tls").files() == (place / "cert.pem", place / "key.pem")


def test_every_option_arrives(place: Path) -> None:
    found = read(place, "tls_everything").tls
    assert found
    assert found.client_auth is ClientAuth.REQUIRED
    assert found.allowed_sans == {"prometheus", "10.0.0.1", "spiffe://site/prometheus"}
    assert (found.minimum, found.maximum) == (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    assert found.suites == ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256")
    assert found.curve == "prime256v1"
    assert found.server_preference is False
    context = tls.build(found).context
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert not context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    offered = {cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"}
    assert offered == set(found.suites)


def test_a_context_is_safe_without_being_asked(place: Path) -> None:
    found = read(place, "tls").tls
    assert found
    context = tls.build(found).context
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    for option in (
        ssl.OP_NO_RENEGOTIATION,
        ssl.OP_NO_COMPRESSION,
        ssl.OP_NO_TICKET,
        ssl.OP_CIPHER_SERVER_PREFERENCE,
    ):
        assert context.options & option
    assert context.num_tickets == 0


def test_suites_of_tls_1_3_alone_mean_tls_1_3(place: Path) -> None:
    found = read(place, "tls_13_by_its_suites").tls
    assert found
    assert found.minimum is ssl.TLSVersion.TLSv1_3


def test_a_limit_is_read_and_can_be_off(place: Path) -> None:
    assert read(place, "limit").rate_limit == RateLimit(interval_s=1.0, burst=20)
    assert read(place, "limit_off").rate_limit is None


def test_doubtful_settings_are_noted(place: Path) -> None:
    def notices(name: str) -> tuple[str, ...]:
        return read(place, name).notices

    assert notices("users") == ()
    assert notices("users_with_cheap_hash") == (
        "basic_auth_users.alice: bcrypt cost 4 is quickly guessed, expected 10",
    )
    assert notices("http2") == ("http2 is accepted and not served: clients get HTTP/1.1",)
    assert len(notices("tls_client_cert_if_given")) == 1
    assert notices("tls_everything") == ("cipher_suites: TLS 1.3 chooses among all of its suites, as in Go",)


def test_a_key_that_everyone_may_read_is_noted(place: Path, leaf: trustme.LeafCert, tmp_path: Path) -> None:
    write_pair(leaf, tmp_path)
    for mode, count in ((0o600, 0), (0o640, 0), (0o644, 1), (0o606, 1)):
        (tmp_path / "key.pem").chmod(mode)
        found = check(tmp_path, FOLDER / "good" / "tls.yml").tls
        assert found
        assert len(tls.build(found).notices) == count, oct(mode)
    assert place


def test_the_users_and_the_key_stay_out_of_a_log(place: Path) -> None:
    shown = repr(read(place, "users")) + repr(read(place, "tls"))
    assert "$2" not in shown
    assert "PRIVATE" not in shown


GOOD_TEXTS = [file.read_bytes() for file in (FOLDER / "good").iterdir()]


@pytest.mark.fault("config-web")
@hypothesis.given(st.data())
def test_a_damaged_file_is_one_line_or_accepted(place: Path, data: st.DataObject) -> None:
    """Cut, overwrite and splice good files; nothing but a clean error may come of it."""
    text = bytearray(data.draw(st.sampled_from(GOOD_TEXTS)) + data.draw(st.sampled_from(GOOD_TEXTS)))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        text[start : start + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=4))
    file = place / "damaged.yml"
    file.write_bytes(text)
    try:
        loaded = settings.load(file)
        if loaded.tls:
            tls.build(loaded.tls)
    except ConfigError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 - either outcome is fine, a traceback is not
