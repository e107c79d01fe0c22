"""What comes before Alertmanager: GPUs of a fake driver, a real agent, a real Prometheus in a hurry."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from alertmanager.tests.conftest import ALERTMANAGER, Config
from scripts.stack.processes import LOOPBACK, Program, free_port

from tests.agent.running import PROGRAM, RunningAgent
from tests.fakenvml import FakeNvml

PROMETHEUS = ALERTMANAGER.parent / "prometheus"
# What is about machines and cards. Energy that is nobody's, and a budget, are not what this machine is about.
ALERTS = ("availability.yml", "hardware.yml", "thermal_power.yml")
OWN_RULES = """
alerts:
  rules:
    - {name: GpuTooHotForSlack, metric: gpu_temperature_celsius, comparison: above, threshold: 80, for: 1m,
       severity: warning, receiver: slack}
    - {name: GpuTooHotForDiscord, metric: gpu_temperature_celsius, comparison: above, threshold: 80, for: 1m,
       severity: warning, receiver: discord}
"""


def hurried(rules: Path, folder: Path) -> Path:
    """A copy of a rule file whose alerts do not wait, and whose groups are all evaluated alike."""
    text = re.sub(r"^( +(?:for|keep_firing_for)): .*$", r"\1: 0s", rules.read_text(), flags=re.MULTILINE)
    path = folder / rules.name
    path.write_text(re.sub(r"^ +interval: .*\n", "", text, flags=re.MULTILINE))
    return path


def own_rules(folder: Path) -> Path:
    """Rules that a user has declared, as the command renders them."""
    config, rendered = folder / "gputally.yml", folder / "own.yml"
    config.write_text(OWN_RULES)
    command = [PROGRAM, "alerts", "render", f"--config.file={config}", f"--output={rendered}"]
    subprocess.run(command, check=True)
    return rendered


def _static(port: int, **labels: str) -> Config:
    return {"static_configs": [{"targets": [f"{LOOPBACK}:{port}"], "labels": labels}]}


def prometheus(folder: Path, agent_port: int, alertmanager_port: int) -> Program:
    """A server that scrapes the agent every second, and tells Alertmanager every second what fires."""
    rules = folder / "rules"
    rules.mkdir(parents=True)
    shipped = [PROMETHEUS / "rules" / "thresholds.yml", *(PROMETHEUS / "alerts" / name for name in ALERTS)]
    files = [hurried(path, rules) for path in [*shipped, own_rules(folder)]]
    config: Config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": list(map(str, files)),
        "alerting": {"alertmanagers": [_static(alertmanager_port)]},
        "scrape_configs": [
            {
                "job_name": "gputally-node",
                **_static(agent_port, cluster="lab"),
            }
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    argv = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--rules.alert.resend-delay=1s",
    ]
    return Program("prometheus", argv, folder / "log", port)


@contextmanager
def hot_machine(folder: Path, library: Path, gpus: int) -> Iterator[tuple[FakeNvml, RunningAgent]]:
    """A machine whose cooling has failed: its agent has just been started, and every GPU is at its limit."""
    folder.mkdir()
    with FakeNvml(folder / "control", library=library) as driver:
        for _ in range(gpus):
            driver.add_gpu(temperature=99, temperature_margin=1)
        agent = RunningAgent(folder / "agent", env=driver.env).start()
        try:
            agent.wait_until(
                lambda scrape: all(
                    scrape.value("gpu_temperature_celsius", gpu=f"{gpu}") for gpu in range(gpus)
                )
            )
            yield driver, agent
        finally:
            driver.release()
            agent.stop()
