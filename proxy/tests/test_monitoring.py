"""The optional part: Prometheus and Alertmanager behind a password."""

import re
import subprocess
from collections.abc import Iterator

import pytest
import trustme
from proxy.tests.conftest import FILES, Proxy, _serve
from proxy.tests.grafana import Upstream

PASSWORD = "battery staple"  # noqa: S105 - an example
MANUAL = (FILES / "README.md").read_text()


@pytest.fixture(scope="module")
def open_proxy(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Iterator[Proxy]:
    """As the manual tells how to switch it on."""
    folder = tmp_path_factory.mktemp("open")
    (made,) = re.findall(r"printf 'ada:%s\\n' \"\$\((openssl passwd -6)\)\"", MANUAL)
    digest = subprocess.run([*made.split(), PASSWORD], capture_output=True, text=True, check=True).stdout
    (folder / "proxy").mkdir()
    (folder / "proxy" / "passwords").write_text(f"ada:{digest}")
    for proxy in _serve(folder, authority, "monitoring.conf"):
        with (
            Upstream(proxy.ports["grafana"]),
            Upstream(proxy.ports["prometheus"], "prometheus"),
            Upstream(proxy.ports["alertmanager"], "alertmanager"),
        ):
            yield proxy


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_who_knows_the_password_reaches_it_without_the_prefix(open_proxy: Proxy, name: str) -> None:
    heard = open_proxy.ask(f"/{name}/api/v1/query?query=up%7Bjob%3D%22a%22%7D", auth=("ada", PASSWORD)).json()
    assert (heard["name"], heard["uri"]) == (name, "/api/v1/query?query=up%7Bjob%3D%22a%22%7D")
    assert "Authorization" not in heard["headers"]
    assert heard["headers"]["X-Forwarded-Proto"] == "https"


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
@pytest.mark.parametrize(
    "auth", [None, ("ada", "wrong"), ("bob", PASSWORD)], ids=["none", "wrong", "unknown"]
)
def test_who_does_not_is_asked_for_it(open_proxy: Proxy, name: str, auth: tuple[str, str] | None) -> None:
    answer = open_proxy.ask(f"/{name}/", auth=auth)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="gputally"')
    assert answer.headers["Strict-Transport-Security"]


@pytest.mark.parametrize(
    "path",
    [
        "/prometheus/-/reload",
        "/prometheus/-/quit",
        "/prometheus//-/quit",
        "/prometheus/%2d/quit",
        "/prometheus/api/v1/admin/tsdb/delete_series",
        "/prometheus/api/v1/write",
        "/alertmanager/-/reload",
    ],
)
def test_what_changes_a_server_stays_inside_even_for_those(open_proxy: Proxy, path: str) -> None:
    assert open_proxy.ask(path, "POST", auth=("ada", PASSWORD)).status_code == 403


def test_grafana_is_still_at_the_top(open_proxy: Proxy) -> None:
    assert open_proxy.ask("/d/x").json()["name"] == "grafana"
