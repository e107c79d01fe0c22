"""How Prometheus is reached: address, credentials, certificates; what cannot be right is refused at once."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gputally.report.failures import WrongQuestion

MOST_PASSWORD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Access:
    """Where the answers come from, and as whom we ask."""

    url: str = "http://127.0.0.1:9090"
    user: str | None = None
    password: str = field(default="", repr=False)
    tenant: str | None = None  # X-Scope-OrgID of Mimir, Cortex, Thanos
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure: bool = False  # whatever certificate the server has
    timeout_s: float = 60.0  # of one question

    def __post_init__(self) -> None:
        """Raises WrongQuestion for what no server could be asked with."""
        check_url(self.url)
        if self.user is None and self.password:
            raise WrongQuestion("a password without a user: give --prometheus.user")
        if self.user is not None and ":" in self.user:
            raise WrongQuestion("--prometheus.user: a name with a colon cannot be sent")
        if self.tenant is not None and not (
            self.tenant.isascii() and self.tenant.isprintable() and self.tenant.strip() == self.tenant != ""
        ):
            raise WrongQuestion("--tenant: expected printable ASCII characters")
        if self.key_file is not None and self.cert_file is None:
            raise WrongQuestion("--prometheus.key-file without --prometheus.cert-file")
        if self.insecure and self.ca_file is not None:
            raise WrongQuestion("either --prometheus.insecure or --prometheus.ca-file")
        for flag, path in (
            ("ca-file", self.ca_file),
            ("cert-file", self.cert_file),
            ("key-file", self.key_file),
        ):
            if path is not None:
                _check_readable(f"--prometheus.{flag}", path)


def check_url(url: str) -> None:
    """Raise WrongQuestion for what is no address of a web server, or has a password in it."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host, parts = None, None
    good = parts is not None and parts.scheme in ("http", "https") and host
    if parts is None or not good or not url.isascii() or not url.isprintable() or " " in url:
        raise WrongQuestion("--prometheus.url: expected an address such as http://127.0.0.1:9090")
    if parts.username is not None or parts.password is not None:
        raise WrongQuestion(
            "--prometheus.url: no user and password in it: everybody could read them; "
            "give --prometheus.user and --prometheus.password-file"
        )
    if parts.query or parts.fragment:
        raise WrongQuestion("--prometheus.url: expected an address without ? and #")


def read_password(path: Path) -> str:
    """The first line of a file."""
    _check_readable("--prometheus.password-file", path)
    with path.open("rb") as file:
        data = file.read(MOST_PASSWORD_BYTES + 1)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise WrongQuestion(f"--prometheus.password-file {path}: expected UTF-8") from None
    if len(data) > MOST_PASSWORD_BYTES or len(text.splitlines()) != 1 or not text.strip():
        raise WrongQuestion(f"--prometheus.password-file {path}: expected one line with the password")
    return text.splitlines()[0]


def _check_readable(flag: str, path: Path) -> None:
    try:
        if not path.is_file():
            raise WrongQuestion(
                f"{flag} {path}: {'not a file' if path.exists() else 'there is no such file'}"
            )
        path.open("rb").close()
    except OSError as error:
        raise WrongQuestion(f"{flag} {path}: {error.strerror}") from None
