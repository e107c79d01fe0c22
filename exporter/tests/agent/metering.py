"""What an agent has counted against what the fake driver knows, to the millijoule.

A GPU begins at 0 W, so that it does not matter when the agent first looks, and ends at 0 W, so that it does
not matter when it last did. In between anything may happen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakenvml import Constant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.agent.running import RunningAgent, Scrape
    from tests.fakenvml import FakeGpu, FakeNvml, Waveform

COUNTED_BEFORE_J = 50_000  # the driver has been loaded for a while
LEAST_MJ = 20_000  # a comparison of less proves little
IDLE = Constant(0)


def add_idle(fake: FakeNvml, *profiles: str) -> list[FakeGpu]:
    """Add GPUs that use nothing yet."""
    gpus = [fake.add_gpu(profile, power=IDLE) for profile in profiles]
    for gpu in gpus:
        gpu.shift_energy(COUNTED_BEFORE_J)
    return gpus


def uuid_of(gpu: FakeGpu) -> str:
    """The UUID as a label."""
    return gpu.uuid.decode()


def load(agent: RunningAgent, gpus: Iterable[FakeGpu], power: Waveform) -> None:
    """Once all GPUs are metered, let them draw power."""
    gpus = list(gpus)
    agent.wait_until(lambda s: all(counted_mj(s, gpu) == 0 and is_up(s, gpu) for gpu in gpus), what="GPUs up")
    for gpu in gpus:
        gpu.power = power


def counted_mj(scrape: Scrape, gpu: FakeGpu) -> int | None:
    """What the agent has counted."""
    joules = scrape.value("gpu_energy_joules_total", uuid=uuid_of(gpu))
    return None if joules is None else round(joules * 1000)


def true_mj(gpu: FakeGpu) -> int:
    """What the driver's own, healthy counter says since the GPU was added."""
    return gpu.counter_mj() - COUNTED_BEFORE_J * 1000


def is_up(scrape: Scrape, gpu: FakeGpu) -> bool:
    """Whether it answers."""
    return scrape.value("gpu_up", uuid=uuid_of(gpu)) == 1


def assert_exact(agent: RunningAgent, gpus: Iterable[FakeGpu], timeout: float = 5.0) -> None:
    """Stop all power; what is counted becomes the driver's counter, to the millijoule, and stays so."""
    gpus = list(gpus)
    agent.wait_until(lambda s: all((counted_mj(s, gpu) or 0) > LEAST_MJ for gpu in gpus), what="energy used")
    for gpu in gpus:
        gpu.power = IDLE

    def exact(scrape: Scrape) -> bool:
        return all(counted_mj(scrape, gpu) == true_mj(gpu) for gpu in gpus)

    try:
        agent.wait_until(exact, timeout)
    except AssertionError as error:
        scrape = agent.scrape()
        table = {uuid_of(gpu): (counted_mj(scrape, gpu), true_mj(gpu)) for gpu in gpus}
        raise AssertionError(f"(counted, true) mJ: {table}\n{error}") from None
    ticks = agent.scrape().value("gputally_samples_total") or 0
    assert exact(agent.wait_until(lambda s: (s.value("gputally_samples_total") or 0) > ticks + 1))


def samples(scrape: Scrape) -> int:
    """Ticks so far."""
    return int(scrape.value("gputally_samples_total") or 0)


def after_ticks(agent: RunningAgent, more: int) -> Scrape:
    """The scrape that many samples later."""
    ticks = agent.value("gputally_samples_total") or 0
    return agent.wait_until(lambda s: (s.value("gputally_samples_total") or 0) >= ticks + more)
