"""The stand-in for nvidia-smi that benchmarks/peers.py gives to peers: it says what the fake driver says."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.fakenvml import Constant, Process

SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "sidebyside" / "nvidia_smi.py"


@pytest.fixture
def ask(fake_nvml):
    fake_nvml.add_gpu(power=Constant(123.5), temperature=61)
    fake_nvml.add_gpu(power=Constant(400), memory_used=5 << 30)
    fake_nvml.set_processes(1, [Process(4242, 1 << 30)])

    def run(*arguments):
        return subprocess.run(
            [sys.executable, SCRIPT, *arguments],
            env={**os.environ, **fake_nvml.env},
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )

    return run


def test_columns_are_those_asked_for(ask):
    done = ask("--query-gpu=index,power.draw,temperature.gpu", "--format=csv,noheader")
    assert done.stdout.splitlines()[0] == "0, 123.50 W, 61"
    assert ask("--query-gpu=power.draw", "--format=csv,noheader,nounits").stdout == "123.50\n400.00\n"
    assert ask("--query-gpu=nonsense").returncode == 2


def test_the_log_has_every_gpu_and_its_processes(ask):
    first, second = ET.fromstring(ask("-q", "-x").stdout).findall("gpu")  # noqa: S314 - our own
    assert first.findtext("power_readings/power_draw") == "123.50 W"
    assert second.findtext("processes/process_info/pid") == "4242"
    assert (
        "4242, python, 1024" in ask("--query-compute-apps=gpu_uuid,pid,process_name,used_gpu_memory").stdout
    )


def test_it_ends_at_a_lost_gpu_and_without_a_driver(ask, fake_nvml):
    fake_nvml.fault("*", 1, code=15)
    lost = ask("--query-gpu=power.draw")
    assert (lost.returncode, "GPU is lost" in lost.stdout) == (15, True)
    for function in ("nvmlInit", "nvmlInit_v2", "nvmlInitWithFlags"):
        fake_nvml.fault(function, code=9)
    assert ask("-q", "-x").returncode == 9
