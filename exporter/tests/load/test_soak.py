"""Hours of a real agent whose clock leaps: nothing grows. `benchmarks/soak.py` plays a whole day."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

from scripts.recorded_market import RecordedMarket

from tests.agent.running import RunningAgent
from tests.load.day import CONFIG, Day, grown
from tests.load.honest import looked
from tests.load.leaping import leaping
from tests.report.answering import Answer, Seen, speaking
from tests.site.running import RunningSite

if TYPE_CHECKING:
    from pathlib import Path

HOURS = 5
INTERVAL_S = 15
MOST_GROWN_MIB = 2.0
ROUNDS = 8


def test_hours_of_ticks_scrapes_reloads_and_bad_clients_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "gputally.yml").write_text(CONFIG)
    agent = RunningAgent(
        tmp_path / "agent",
        "--source=simulated",
        "--simulated.gpus=2",
        f"--sample.interval={INTERVAL_S}s",
        f"--config.file={tmp_path / 'gputally.yml'}",
    )
    agent.program = leaping(tmp_path)
    try:
        agent.start()
        day = Day(agent.address, agent.pid, agent.signal)
        day.live(HOURS, most_s=240)
        hours, last = day.hours, agent.scrape()
        assert agent.terminate()[0] == 0
    finally:
        agent.stop()
    lived = hours[-1].ticks - hours[0].ticks
    assert lived >= 0.95 * (HOURS - 1) * 3600 / INTERVAL_S  # the clock leaps, and no tick is left out
    assert last.value("gputally_sample_gaps_total") == 0
    assert last.value("gputally_config_last_reload_success", config="main") == 1
    assert day.scrapes > HOURS * 240
    settled = hours[1:]
    assert grown([hour.memory_mib for hour in settled]) < MOST_GROWN_MIB
    assert max(hour.descriptors for hour in settled) <= min(hour.descriptors for hour in settled) + 2
    assert max(hour.threads for hour in settled) <= min(hour.threads for hour in settled) + 1
    assert len(agent.log) < 20 + 3 * HOURS, agent.tail()
    assert not agent.lines("Traceback")


def test_hundreds_of_questions_to_providers_leave_nothing(tmp_path: Path) -> None:
    """Hundreds of good and bad replies, and a configuration that changes between them."""
    names, file = ("vast", "akash", "ionet", "runpod", "lambda", "verda"), tmp_path / "gputally.yml"
    recorded = RecordedMarket(clock=lambda: 0.0)

    def answer(seen: Seen) -> Answer:
        if len(server.seen) % 5 == 0:
            return Answer(500, b"<h1>down</h1>" * 1000)
        status, content = recorded.reply(seen.method, seen.path, seen.body)
        return Answer(status, json.dumps(content).encode())

    def configure(minutes: int) -> None:
        more = f"recording: true, interval: {minutes}m"
        asked = (f"    {name}: {{base_url: '{server.url}/{name}', {more}}}\n" for name in names)
        file.write_text("market:\n  providers:\n" + "".join(asked))

    with speaking(answer) as server:
        configure(ROUNDS + 1)
        agent = RunningSite(tmp_path / "site", f"--config.file={file}")
        try:
            agent.start()
            looks = []
            for minutes in range(1, ROUNDS + 1):
                before = agent.scrape().series("gpu_market_fetches_total")
                configure(minutes)
                agent.signal(signal.SIGHUP)
                agent.wait_until(
                    lambda scrape, before=before: (
                        sum(
                            value > before.get(labels, 0)
                            for labels, value in scrape.series("gpu_market_fetches_total").items()
                        )
                        == len(names)
                    ),
                    timeout=30,
                    what="all to be asked",
                )
                looks.append(looked(agent.pid))
            assert agent.terminate()[0] == 0
        finally:
            agent.stop()
            recorded.stop()
    memory, descriptors, threads = ([look[at] for look in looks[ROUNDS // 4 :]] for at in range(3))
    assert grown(memory) < 3 * MOST_GROWN_MIB
    assert max(descriptors[-4:]) <= max(descriptors[:4]) + 4
    assert max(threads) <= 2 + 2 * len(names)
    assert not agent.lines("Traceback")
