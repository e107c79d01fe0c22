"""The page about health where there is something to see: real agents on a fake driver whose GPUs are sick.

One machine has three GPUs: one with every complaint that a driver can tell, one that falls off the bus, one
whose driver tells nonsense. A second machine has no driver, and serves over TLS.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
import yaml
from grafana.absence import ABSENT
from grafana.tests.conftest import PANELS, QUERIES
from grafana.tests.running import ask, hurry, wait_for
from scripts.stack.processes import LOOPBACK, Command, Program, free_port
from scripts.stack.stack import Stack

from tests.fakenvml import Constant, FakeNvml, Link, Rate, build

HEALTH = [(panel, target) for page, panel, target in QUERIES if page == "gputally-health"]
HW_THERMAL = 0x40  # nvmlClocksEventReasonHwThermalSlowdown
FALLEN_OFF = 15  # NVML_ERROR_GPU_IS_LOST
NOT_LOADED = 9  # NVML_ERROR_DRIVER_NOT_LOADED
STEP_S = 15  # of graphs: slow readings are five seconds apart


class SickStack(Stack):
    """The stack of `make run`, with the fake driver's GPUs instead of this machine's."""

    fake: FakeNvml

    def _agent(self, source: str) -> Program:
        program = super()._agent(source)
        program.environment = os.environ | self.fake.env
        return program


class Ailing(threading.Thread):
    """What gets worse as long as it runs: counters of errors, one by one."""

    def __init__(self, fake: FakeNvml) -> None:
        super().__init__(daemon=True)
        self.fake = fake
        self.over = threading.Event()

    def run(self) -> None:
        count = 0
        sick, _, odd = (self.fake.gpu(slot) for slot in range(3))
        while not self.over.wait(2):
            count += 1
            # corrected, uncorrected; since the driver was loaded and for life
            sick.set(ecc_total=(count, count, 10 + count, 5 + count), pcie_replays=count)
            sick.set_links([link(count, active=False), link(count)])
            sick.inject_xid(79 if count % 2 else 48)
            odd.shift_energy(1e9)


def link(count: int, *, active: bool = True) -> Link:
    traffic = Rate(0, 4e6)
    return Link(active=active, transmit_kib=traffic, receive_kib=traffic, errors=(count,) * 5)


def sicken(fake: FakeNvml) -> None:
    """Faults that are there and stay."""
    sick, lost, odd = (fake.gpu(slot) for slot in range(3))
    sick.set(recovery_action=2, remapped=(3, 1, 1, 1), retired_pending=1)
    sick.set_retired_pages(single_bit=[0x1000, 0x2000], double_bit=[0xABC])
    sick.set(event_reasons=HW_THERMAL, throttle_ns=(0, Rate(0, 5e8), 0), temperature=88, temperature_margin=1)
    sick.set(pcie_width=8, pcie_generation=3)
    fake.fault("*", gpu=lost.slot, code=FALLEN_OFF)
    odd.set(temperature=0xFFFFFFFF, memory_percent=808_334)


def busy_at_once(stack: Stack) -> None:
    """A GPU that is seen for a minute is busy, in our copy of the rules: five cannot be waited for."""
    rules = stack.folder / "etc" / "rules" / "power.yml"
    long, short = "rate(gpu_busy_seconds_total[5m])", "rate(gpu_busy_seconds_total[1m])"
    assert long in rules.read_text()
    rules.write_text(rules.read_text().replace(long, short))


def start_blind_agent(folder: Path, library: Path) -> tuple[Command, str, trustme.CA]:
    """An agent that serves over TLS and whose driver is not loaded."""
    folder.mkdir()
    fake = FakeNvml(folder / "control", library=library)
    fake.fault("nvmlInitWithFlags", code=NOT_LOADED)
    authority = trustme.CA()
    leaf = authority.issue_cert(LOOPBACK)
    leaf.private_key_pem.write_to_path(str(folder / "key.pem"))
    leaf.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    (folder / "key.pem").chmod(0o600)
    web = folder / "web.yml"
    web.write_text(yaml.safe_dump({"tls_server_config": {"cert_file": "cert.pem", "key_file": "key.pem"}}))
    address = f"{LOOPBACK}:{free_port()}"
    argv = [sys.executable, "-m", "gputally", "node", "--source=nvml", f"--web.listen-address={address}"]
    command = Command(
        "blind", [*argv, f"--web.config.file={web}"], folder / "log", environment=os.environ | fake.env
    )
    command.start()
    return command, address, authority


def scrape_both(stack: Stack, address: str, authority: trustme.CA) -> None:
    """Let Prometheus know the second agent, and whom to believe."""
    etc = stack.folder / "etc" / "prometheus"
    authority.cert_pem.write_to_path(str(etc / "ca.pem"))
    config = yaml.safe_load((etc / "prometheus.yml").read_text())
    (nodes,) = (job for job in config["scrape_configs"] if job["job_name"] == "gputally-node")
    nodes["tls_config"] = {"ca_file": "ca.pem"}
    (etc / "prometheus.yml").write_text(yaml.safe_dump(config, sort_keys=False))
    target = {"targets": [address], "labels": {"cluster": "default", "__scheme__": "https"}}
    (etc / "targets" / "node-blind.yml").write_text(json.dumps([target]))


@pytest.fixture(scope="module")
def prometheus_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("faults")
    library = build(folder / "library")
    fake = FakeNvml(folder / "control", library=library)
    for _ in range(3):
        gpu = fake.add_gpu(power=Constant(300), gpu_percent=90)
        gpu.set(pcie_transmit_bytes=Rate(0, 2e9), pcie_receive_bytes=Rate(0, 5e9))
    fake.gpu(0).set_links([link(0), link(0)])
    said: list[str] = []
    stack = SickStack(folder / "stack", source="nvml", scrape_interval="1s", say=said.append)
    stack.fake = fake
    ailing, blind = Ailing(fake), None
    try:
        stack.start()
        blind, address, authority = start_blind_agent(folder / "blind", library)
        hurry(stack)
        busy_at_once(stack)
        scrape_both(stack, address, authority)
        server = stack.programs["prometheus"]
        server._process.send_signal(signal.SIGHUP)
        wait_for(server.url, "sum(gpu_up) == 3")
        wait_for(server.url, "gpu_nvlink_up == 1")  # one that was never up does not count as down
        sicken(fake)
        ailing.start()
        yield server.url
    finally:
        ailing.over.set()
        stack.stop()
        if blind:
            blind.stop()


def quick(expression: str) -> str:
    """With the steps of a graph that is looked at closely."""
    return expression.replace("$__interval_ms", str(STEP_S * 1000)).replace("$__interval", f"{STEP_S}s")


def figures(url: str, expression: str) -> list[float]:
    """What a query brings, without what only stands for a word."""
    found = [float(one["value"][1]) for one in ask(url, quick(expression))]
    return [figure for figure in found if figure != ABSENT]


def test_every_query_of_the_page_brings_figures(prometheus_url: str) -> None:
    """And no word for something that is absent."""
    waiting = {f"{panel['title']}, {target['refId']}": target["expr"] for panel, target in HEALTH}
    deadline = threading.Event()
    for _ in range(120):
        waiting = {name: query for name, query in waiting.items() if not figures(prometheus_url, query)}
        if not waiting:
            return
        deadline.wait(1)
    pytest.fail(f"no data: {waiting}")


def expression_of(title: str, letter: str = "A") -> str:
    (found,) = (
        target["expr"] for panel, target in HEALTH if (panel["title"], target["refId"]) == (title, letter)
    )
    return str(found)


@pytest.mark.parametrize(
    ("title", "figure"),
    [
        ("GPUs lost", 1),
        ("Want a reset", 1),
        ("Want replacing", 1),
        ("Memory errors", 1),
        ("XIDs", 2),
        ("Slowed down", 1),
        ("Agents up", 2),
        ("Agents down", 0),
        ("Without a driver", 1),
        ("NVLinks down", 1),
    ],
)
def test_a_tile_counts_what_is_broken(prometheus_url: str, title: str, figure: int) -> None:
    wait_for(prometheus_url, f"({quick(expression_of(title))}) == {figure}")
    assert figures(prometheus_url, expression_of(title)) == [figure]


@pytest.mark.parametrize(
    ("title", "letter"),
    [
        ("XIDs and device events", "A"),
        ("New memory errors", "A"),
        ("New memory errors", "B"),
        ("GPUs held down, by reason", "A"),
        ("GPUs held down by heat or a brake", "A"),
        ("PCIe traffic", "A"),
        ("PCIe replays", "A"),
        ("PCIe links below their maximum", "A"),
        ("PCIe links below their maximum", "B"),
        ("NVLink traffic", "A"),
        ("NVLink errors", "A"),
        ("Failed reads", "B"),
        ("Energy that was not believed", "A"),
    ],
)
def test_what_goes_on_going_wrong_is_more_than_nothing(prometheus_url: str, title: str, letter: str) -> None:
    wait_for(prometheus_url, f"sum({quick(expression_of(title, letter))}) > 0")


def test_alerts_are_listed_with_severity_and_when_they_began(prometheus_url: str) -> None:
    severity, began = expression_of("Firing alerts", "A"), expression_of("Firing alerts", "B")
    wait_for(prometheus_url, 'ALERTS{alertname="GpuRowRemapFailed", alertstate="firing"}')
    listed = {one["metric"]["alertname"]: one["value"][1] for one in ask(prometheus_url, severity)}
    assert (listed["GpuRowRemapFailed"], listed["GpuRowRemapPending"]) == ("3", "2")
    assert listed["GputallyWatchdog"] == "1"
    assert set(listed) <= {one["metric"]["alertname"] for one in ask(prometheus_url, began)}


def test_the_sickest_gpu_has_the_most_findings(prometheus_url: str) -> None:
    expression = expression_of("GPUs by health", "A")
    wait_for(prometheus_url, f"max({expression}) == 10")  # all but being lost
    found = {one["metric"]["gpu"]: one["value"][1] for one in ask(prometheus_url, expression)}
    assert found == {"0": "10", "1": "1", "2": "0"}


@pytest.mark.parametrize("title", ["GPUs by health", "Links by GPU"])
def test_tables_have_one_row_for_each_gpu_in_every_column(prometheus_url: str, title: str) -> None:
    """A card that tells nothing has a word there."""
    (table,) = (panel for page, panel in PANELS if panel["title"] == title and page == "gputally-health")
    columns = {target["refId"]: len(ask(prometheus_url, target["expr"])) for target in table["targets"]}
    assert set(columns.values()) == {3}, columns
