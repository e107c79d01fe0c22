"""Scrapes of six kinds of card, from the driver's library to the text, on a clock that stands still."""

from pathlib import Path
from queue import SimpleQueue

import pytest

from gputally.collect.page import Page
from gputally.model import Instant
from gputally.node.crew import Crew
from gputally.node.persistence import Persistence
from gputally.node.roster import Roster
from gputally.node.sampler import Sampler
from gputally.node.session import Session
from gputally.node.sources.nvml import NvmlSource
from gputally.node.sources.protocol import Choice
from tests.fakenvml import Constant, FakeNvml, Instance, Link, Process
from tests.golden import assert_recorded

GOLDEN = Path(__file__).parent / "golden_cards"
CARDS = ("h100", "h100-mig", "a100", "rtx4090", "t4", "p100")
WALL_NS = 1_700_000_000_000_000_000
VOLATILE = ("process_", "gputally_collector_duration_seconds", "gputally_build_info", "host_")


def page_of(fake: FakeNvml, ticks: int) -> str:
    """The scrape after some ticks of one second."""

    def clock() -> Instant:
        return Instant(fake.now_ns(), WALL_NS)

    outcomes = SimpleQueue()
    persistence = Persistence(None, "a-boot")
    sampler = Sampler(
        session=Session(
            (Choice("nvml", lambda: NvmlSource(gpm=True, clock=clock), deadline_seconds=30),), outcomes, clock
        ),
        crew=Crew(outcomes, clock),
        roster=Roster("a-boot", 1_000_000_000, persistence),
        persistence=persistence,
        outcomes=outcomes,
        clock=clock,
        interval_seconds=1.0,
        processes=None,
        host=None,
    )
    for _ in range(ticks):
        sampler.tick()
        fake.advance(1.0)
    text = Page(lambda: sampler.latest).render("text-0.0.4").decode()
    sampler.session.close()
    return text


@pytest.mark.parametrize("card", CARDS)
def test_scrape_of_a_card_is_as_recorded(card, fake_nvml_library, tmp_path):
    """Every line that changes is a change of the contract."""
    with FakeNvml(tmp_path / "control", library=fake_nvml_library, virtual=True) as fake:
        fake.load_in_process()
        gpu = fake.add_gpu(card.removesuffix("-mig"), power=Constant(300.0))
        gpu.set(energy_step_ns=0, gpu_percent=80, memory_percent=35)
        gpu.set_processes([Process(4_000_001, 1 << 30, sm=60, memory=20)])
        if card.startswith(("h100", "a100")):
            gpu.set_links([Link(transmit_kib=1024, receive_kib=2048)] * 2)
        if card.endswith("-mig"):
            gpu.slice([Instance(1), Instance(2, name="MIG 2g.20gb", compute_slices=2, gpm={2: 25.0})])
        fake.advance(100.0)
        text = page_of(fake, ticks=11)
    shown = "".join(
        line
        for line in text.splitlines(keepends=True)
        if not line.startswith("#") and not line.startswith(VOLATILE)
    )
    assert_recorded(GOLDEN / f"{card}.txt", shown)


def test_no_golden_card_is_stale():
    assert {path.stem for path in GOLDEN.iterdir()} == set(CARDS)
