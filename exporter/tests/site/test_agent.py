"""`gputally site` as its surroundings meet it: scrapes, signals, files that change, a service manager."""

from __future__ import annotations

import http.client
import itertools
import re
import signal
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import bcrypt
import pytest
import trustme

from tests.cli.badconfig import BAD, as_bytes
from tests.site.declaring import FULL, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.site.running import RunningSite

    Site = Callable[..., RunningSite]

NOW_PRICE = "site_electricity_price_now_per_kwh"
RELOADED = "gputally_config_last_reload_success"
RELOADED_AT = "gputally_config_last_reload_successful_timestamp_seconds"
LAST = "gputally_last_sample_timestamp_seconds"
MOST_MIB = 40


def test_without_a_tariff_series_page_and_log_say_that_it_is_the_default(site: Site) -> None:
    running = site()
    scrape = running.wait_until(lambda s: s.value("site_pue_ratio"))
    assert scrape.label("site_info", "tariff") == "default"
    assert scrape.value(NOW_PRICE, tariff="default", currency="USD") == 0.12
    (line,) = running.lines("no tariff is configured")
    assert "by default a kWh costs 0.12 USD" in line
    landing = running.get("/")[1]
    assert "<h1>gputally site <small>" in landing
    assert "0.12 USD per kWh, the default price: no tariff is configured" in landing
    assert [running.get(path)[0] for path in ("/-/healthy", "/-/ready", "/nothing")] == [200, 200, 404]


def test_a_declared_tariff_is_served_and_not_called_the_default(site: Site, tmp_path: Path) -> None:
    (tmp_path / "c.yml").write_text(FULL)
    running = site(f"--config.file={tmp_path / 'c.yml'}")
    scrape = running.scrape()
    assert scrape.label("site_info", "tariff") == "configured"
    assert scrape.label("site_info", "site") == "lab"
    assert len(scrape.series("site_electricity_price_per_kwh")) == 2
    assert len(scrape.series("site_day_info")) == len(scrape.series(NOW_PRICE)) == 1
    assert not running.lines("no tariff is configured")
    assert "default" not in running.get("/")[1]
    assert scrape.value("gputally_left_out_families") == 0


def test_it_publishes_every_second_and_all_who_ask_in_between_get_the_same_bytes(site: Site) -> None:
    running = site()
    bodies: dict[float, set[str]] = {}
    threads = []

    def read() -> None:
        until = time.monotonic() + 4
        while time.monotonic() < until:
            scrape = running.scrape()
            bodies.setdefault(scrape.value(LAST) or 0, set()).add(scrape.body)
            time.sleep(0.05)

    for _ in range(2):
        threads.append(threading.Thread(target=read))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert all(len(texts) == 1 for texts in bodies.values())
    times = sorted(bodies)
    assert 3 <= len(times) <= 6
    assert max(later - at for at, later in itertools.pairwise(times)) < 2


def test_a_scrape_computes_nothing(site: Site) -> None:
    """Scrapes within a second differ in nothing, not even in what they count themselves."""
    running = site()
    first = running.wait_until(lambda s: s.value("gputally_http_requests_total", code="200"))
    count = first.value("gputally_http_requests_total", code="200")
    again = [running.scrape() for _ in range(3)]
    same = [s for s in again if s.value(LAST) == first.value(LAST)]
    assert all(s.value("gputally_http_requests_total", code="200") == count for s in same)


@pytest.mark.fault("reload-bad")
def test_a_reload_takes_the_new_file_and_keeps_the_old_one_if_that_is_bad(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "gputally.yml"
    file.write_text("tariff: {currency: EUR, price_per_kwh: 0.25}\n")
    running = site(f"--config.file={file}")
    loaded_at = running.value(RELOADED_AT, config="main")
    with running.watch() as watch:
        for number, name in enumerate(("tab", "unknown key", "duplicate at depth three"), start=1):
            text, message = BAD[name]
            file.write_bytes(as_bytes(text))
            running.signal(signal.SIGHUP)
            running.until(lambda n=number: len(running.lines("configuration kept")) == n, what=name)
            assert message.split(":", 3)[-1].split('"')[0].strip() in running.lines("configuration kept")[-1]
        scrape = running.wait_until(lambda s: s.value(RELOADED, config="main") == 0)
        assert scrape.value(NOW_PRICE, tariff="flat", currency="EUR") == 0.25
        assert scrape.value(RELOADED_AT, config="main") == loaded_at
        file.write_text(FULL + "\nweb: {site_listen_addresses: ['127.0.0.1:1']}\nlog: {level: debug}\n")
        running.signal(signal.SIGHUP)
        scrape = running.wait_until(lambda s: s.value(RELOADED, config="main") == 1)
    assert scrape.label("site_info", "site") == "lab"
    assert len(scrape.series("site_owned_gpu_capital")) == 2
    assert scrape.value("gputally_threshold", alert="GpuCostPerDay") == 500
    assert (scrape.value(RELOADED_AT, config="main") or 0) > (loaded_at or 0)
    assert not running.lines("takes effect at the next start")  # the address is a flag's
    watch.assert_served(within=0.3)


def test_what_a_reload_cannot_change_is_named(new_site: Site, tmp_path: Path) -> None:
    file = tmp_path / "gputally.yml"
    file.write_text("web: {site_listen_addresses: ['127.0.0.1:0']}\n")
    running = new_site("--web.listen-address=", f"--config.file={file}").start()
    file.write_text("web: {site_listen_addresses: ['127.0.0.1:1'], telemetry_path: /m}\n")
    running.signal(signal.SIGHUP)
    running.until(lambda: running.lines("configuration reloaded"))
    said = [line for line in running.log if "takes effect at the next start" in line]
    assert [re.search(r'msg="(\w+) changed', line)[1] for line in said] == [
        "web_listen_address",
        "web_telemetry_path",
    ]


@pytest.mark.fault("signals-storm")
def test_a_storm_of_reloads_ends_with_the_last_file(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "gputally.yml"
    file.write_text("{}\n")
    running = site(f"--config.file={file}")
    with running.watch() as watch:
        for number in range(100):
            file.write_text(
                f"tariff: {{currency: EUR, price_per_kwh: 0.{number:02}}}\n" if number % 3 else "tariff:\n"
            )
            running.signal(signal.SIGHUP)
            time.sleep(0.005)
        file.write_text("tariff: {currency: EUR, price_per_kwh: 4}\n")
        running.signal(signal.SIGHUP)
        running.wait_until(lambda s: s.value(NOW_PRICE, tariff="flat", currency="EUR") == 4)
    assert running.value(RELOADED, config="main") == 1
    watch.assert_served(within=0.3)


@pytest.mark.fault("prices-bad")
def test_a_file_of_prices_that_is_replaced_is_taken_by_itself_and_a_bad_one_is_not(
    site: Site, dynamic: Path
) -> None:
    """Within a minute; carbon goes on while prices are bad; a repair heals without a nudge."""
    running = site(f"--config.file={dynamic}")
    folder = dynamic.parent
    scrape = running.scrape()
    assert scrape.value(NOW_PRICE, tariff="dynamic", currency="EUR") == 0.1
    assert scrape.value("site_carbon_intensity_grams_per_kwh", source="file") == 200
    assert scrape.series(RELOADED).keys() == {
        frozenset({("config", name)}) for name in ("main", "prices", "carbon")
    }
    time.sleep(1)  # past the first look
    with running.watch() as watch:
        put(folder / "prices.csv", "0.2")
        dynamic.write_text("not: yet\n")  # what is to be read at the next reload is not read now
        running.wait_until(lambda s: s.value(NOW_PRICE, tariff="dynamic", currency="EUR") == 0.2, timeout=60)
        (folder / "prices.csv").write_text("start,end,price_per_kwh\nnow,then,1\n")
        put(folder / "carbon.csv", "300", "grams_per_kwh")
        scrape = running.wait_until(lambda s: s.value(RELOADED, config="prices") == 0, timeout=60)
        assert scrape.value(NOW_PRICE, tariff="dynamic", currency="EUR") == 0.2
        scrape = running.wait_until(
            lambda s: s.value("site_carbon_intensity_grams_per_kwh", source="file") == 300, timeout=60
        )
        assert scrape.value(RELOADED, config="carbon") == scrape.value(RELOADED, config="main") == 1
        put(folder / "prices.csv", "0.3")
        scrape = running.wait_until(lambda s: s.value(RELOADED, config="prices") == 1, timeout=60)
    assert scrape.value(NOW_PRICE, tariff="dynamic", currency="EUR") == 0.3
    assert len(running.lines("the old values stay", "prices.csv:2:1")) == 1
    assert len(running.lines("level=error")) == 1
    watch.assert_served(within=0.3)


def test_signals_end_it_well_and_one_that_is_meant_for_the_node_agent_does_not(site: Site) -> None:
    running = site()
    running.signal(signal.SIGUSR1)
    running.signal(signal.SIGHUP)  # without a file
    time.sleep(0.3)
    assert running.value(RELOADED, config="main") == 1
    for number in (signal.SIGTERM, signal.SIGINT):
        began = time.monotonic()
        while running.running:
            running.signal(number)
            time.sleep(0.002)
            assert time.monotonic() - began < 2
        assert running.wait() == 0
        running.start()
    assert not running.lines("Traceback")


@pytest.mark.fault("environment-bare")
def test_it_needs_no_environment_no_home_and_no_gpu_and_opens_no_driver(new_site: Site) -> None:
    running = new_site()
    running.env = {"LANG": "C", "TZ": "Mars/Phobos", "PATH": ""}
    running.start()
    assert running.value("site_pue_ratio") == 1
    maps = Path(f"/proc/{running.pid}/maps").read_text()
    assert "nvidia" not in maps
    assert running.threads == 1
    assert running.fds < 16
    assert not any(path.name.startswith("state") for path in running.folder.iterdir())


def test_it_is_no_larger_than_the_node_agent_may_be(site: Site, tmp_path: Path) -> None:
    (tmp_path / "c.yml").write_text(FULL)
    running = site(f"--config.file={tmp_path / 'c.yml'}")
    for _ in range(50):
        running.scrape()
    scrape = running.wait_until(lambda s: s.value("process_resident_memory_bytes"))
    assert (scrape.value("process_resident_memory_bytes") or 0) < MOST_MIB << 20


@pytest.mark.fault("port-taken")
def test_a_port_that_is_taken_is_one_line_and_status_1(new_site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        running = new_site(f"--web.listen-address={address}").start(serving=False)
        assert running.wait() == 1
    assert running.log[-1] == f"gputally: error: cannot listen on {address}: the port is in use"
    assert not running.lines("Traceback")


def test_a_service_manager_hears_that_it_is_ready_alive_and_stopping(new_site: Site, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000000"}
        running = new_site(env=told).start()
        assert [manager.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
        running.signal(signal.SIGTERM)
        while (message := manager.recv(100)) == b"WATCHDOG=1":
            pass
        assert message == b"STOPPING=1"
        assert running.wait() == 0


def test_tls_and_a_password_hold_for_it_too(new_site: Site, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "s.crt"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "s.key"))
    word = bcrypt.hashpw(b"word", bcrypt.gensalt(4)).decode()
    web = tmp_path / "web.yml"
    web.write_text(
        f"tls_server_config: {{cert_file: s.crt, key_file: s.key}}\nbasic_auth_users: {{prom: '{word}'}}\n"
    )
    running = new_site(f"--web.config.file={web}").start(serving=False)
    running.until(lambda: bool(running.lines("serving http")))
    context = ssl.create_default_context()
    authority.configure_trust(context)

    def ask(headers: dict[str, str]) -> tuple[int, str]:
        connection = http.client.HTTPSConnection(*running.address, context=context, timeout=10)
        connection.request("GET", "/metrics", headers=headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body

    assert ask({})[0] == 401
    status, body = ask({"Authorization": "Basic cHJvbTp3b3Jk"})
    assert status == 200
    assert 'gputally_config_last_reload_success{config="web"} 1' in body
    assert "gputally_web_certificate_expiry_timestamp_seconds " in body
