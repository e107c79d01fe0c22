"""How far gputally's energy is from the truth: square and sine power, 0.4 to 20 s, 70 to 700 W, real time.

    python benchmarks/energy.py [--seconds 300]

Every waveform runs twice at once: on a GPU with a hardware counter, and on one without, whose power is a 1 s
average. Beside them stands the error of the rule that most dashboards use: the power gauge times the scrape
interval.
"""

import argparse
import re
import tempfile
import time
from pathlib import Path

from measure import BIN, exporter, free_port, scrape
from tests.fakenvml import FakeNvml, Sine, Square, build
from tests.fakenvml.waveform import Waveform

PERIODS_S = (0.4, 1.0, 3.0, 7.0, 20.0)
SCRAPE_S = 15
COUNTERS = (83, 191)  # NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION, NVML_FI_DEV_ENERGY
_SAMPLE = re.compile(r'^(\w+)\{gpu="\d+",uuid="([^"]+)"\} (\S+)$', re.MULTILINE)
Figures = dict[tuple[str, str], float]


def main() -> None:
    """Print the table; exit status 1 if a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    seconds = parser.parse_args().seconds
    waves: list[Waveform] = [Square(70, 700, p) for p in PERIODS_S] + [Sine(385, 315, p) for p in PERIODS_S]
    with tempfile.TemporaryDirectory() as folder:
        library = build(Path(folder) / "lib")
        with FakeNvml(Path(folder) / "control", library=library) as fake:
            for wave in waves * 2:
                fake.add_gpu("full", power=wave)
            for slot in range(len(waves), 2 * len(waves)):
                fake.fault("nvmlDeviceGetTotalEnergyConsumption", slot, code=3)
                fake.fault("nvmlDeviceGetSamples", slot, code=3)
                for field in COUNTERS:
                    fake.gpu(slot).set_field(field, code=3)
            port = free_port()
            command = [
                str(BIN / "gputally"),
                "node",
                "--source=nvml",
                f"--web.listen-address=127.0.0.1:{port}",
            ]
            url = f"http://127.0.0.1:{port}/metrics"
            with exporter([*command, f"--state.dir={folder}/state"], url, fake.env):
                rows = compare(fake, waves, url, seconds)
    report(rows, seconds)


def compare(
    fake: FakeNvml, waves: list[Waveform], url: str, seconds: float
) -> list[tuple[str, float, float, float]]:
    """Errors in percent of each waveform: counter, integrated, gauge times interval."""
    time.sleep(5)
    first = last = figures(url)
    gauge: dict[str, float] = {}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(min(SCRAPE_S, max(0.1, until - time.monotonic())))
        previous, last = last, figures(url)
        for (name, uuid), watts in last.items():
            if name == "gpu_power_watts":
                read = ("gpu_last_reading_timestamp_seconds", uuid)
                gauge[uuid] = gauge.get(uuid, 0.0) + watts * (last[read] - previous[read])
    rows = []
    for slot, wave in enumerate(waves):
        errors = [_error(fake, n, first, last) for n in (slot, slot + len(waves))]
        uuid = fake.gpu(slot).uuid.decode()
        truth_j = _truth_j(fake, slot, first, last)
        rows.append((f"{type(wave).__name__.lower()} {PERIODS_S[slot % len(PERIODS_S)]} s", *errors,
                     (gauge[uuid] / truth_j - 1) * 100))  # fmt: skip
    return rows


def _error(fake: FakeNvml, slot: int, first: Figures, last: Figures) -> float:
    key = ("gpu_energy_joules_total", fake.gpu(slot).uuid.decode())
    return ((last[key] - first[key]) / _truth_j(fake, slot, first, last) - 1) * 100


def _truth_j(fake: FakeNvml, slot: int, first: Figures, last: Figures) -> float:
    """The exact integral between the two readings, whose instants the exporter itself published."""
    key = ("gpu_last_reading_timestamp_seconds", fake.gpu(slot).uuid.decode())
    to_boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.time_ns()
    return fake.energy_mj(slot, int(first[key] * 1e9) + to_boot_ns, int(last[key] * 1e9) + to_boot_ns) / 1000


def figures(url: str) -> Figures:
    """Samples by (name, uuid)."""
    return {(name, uuid): float(value) for name, uuid, value in _SAMPLE.findall(scrape(url).decode())}


def report(rows: list[tuple[str, float, float, float]], seconds: float) -> None:
    """Print errors and the bounds."""
    print(f"\nenergy error over {seconds:.0f} s, 70 to 700 W\n")
    print(f"| power | hardware counter | integrated at 1 s | gauge x {SCRAPE_S} s |\n|---|---|---|---|")
    for name, counter, integrated, gauge in rows:
        print(f"| {name} | {counter:+.3f} % | {integrated:+.3f} % | {gauge:+.2f} % |")
    worst = [max(abs(row[n]) for row in rows) for n in (1, 2, 3)]
    print(f"| worst | {worst[0]:.3f} % | {worst[1]:.3f} % | {worst[2]:.2f} % |")
    print("| limit | 0.1 % | 1 % | |")
    if worst[0] > 0.1 or worst[1] > 1:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
