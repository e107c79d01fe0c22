"""The two cards of the simulated machine: figures of the kind that their makers publish."""

from dataclasses import dataclass

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Card:
    """What does not depend on who uses the card."""

    name: str
    architecture: str
    compute_capability: str
    memory_bytes: int
    reserved_bytes: int
    limit_w: float
    limit_min_w: float
    idle_w: float
    held_w: float  # on top of idle while a program holds the card without using it
    clock_idle_hz: dict[str, float]
    clock_max_hz: dict[str, float]
    ambient_c: float
    kelvin_per_w: float
    limits_c: dict[str, float]
    idle_state: int  # performance state
    fans: int
    pcie_generation: int
    data_center: bool  # ECC, memory temperature, NVLink, activity counters


H200 = Card(
    name="Simulated H200",
    architecture="hopper",
    compute_capability="9.0",
    memory_bytes=141 * GIB,
    reserved_bytes=GIB // 2,
    limit_w=700.0,
    limit_min_w=200.0,
    idle_w=75.0,
    held_w=40.0,
    clock_idle_hz={"graphics": 345e6, "sm": 345e6, "memory": 3201e6, "video": 765e6},
    clock_max_hz={"graphics": 1980e6, "sm": 1980e6, "memory": 3201e6, "video": 1545e6},
    ambient_c=29.0,
    kelvin_per_w=0.055,
    limits_c={"gpu_max": 87.0, "memory_max": 95.0, "slowdown": 92.0, "shutdown": 95.0},
    idle_state=0,
    fans=0,
    pcie_generation=5,
    data_center=True,
)

RTX_6000 = Card(
    name="Simulated RTX 6000 Ada",
    architecture="ada",
    compute_capability="8.9",
    memory_bytes=48 * GIB,
    reserved_bytes=GIB // 3,
    limit_w=300.0,
    limit_min_w=100.0,
    idle_w=24.0,
    held_w=46.0,
    clock_idle_hz={"graphics": 210e6, "sm": 210e6, "memory": 405e6, "video": 1185e6},
    clock_max_hz={"graphics": 2505e6, "sm": 2505e6, "memory": 10001e6, "video": 1965e6},
    ambient_c=30.0,
    kelvin_per_w=0.155,
    limits_c={"gpu_max": 90.0, "slowdown": 97.0, "shutdown": 100.0},
    idle_state=8,
    fans=1,
    pcie_generation=4,
    data_center=False,
)
