"""What kernel, schedulers and users say of processes, and what the agent has written down itself."""

from __future__ import annotations

import json
import math
import os
import shutil
import zlib
from typing import TYPE_CHECKING, Any

from gputally.model import Gpu, Instant
from gputally.node import counters
from gputally.node.generation import decode, encode
from gputally.node.host import HostReader
from gputally.node.identity import runfile
from gputally.node.identity.cgroups import folders, place
from gputally.node.identity.environ import NO_CLAIMS, read_claims
from gputally.node.identity.podresources import MOST_DEVICES
from gputally.node.identity.podresources import decode as decode_pods
from gputally.node.identity.proc import parse_stat
from gputally.node.identity.runs import RunRecords
from gputally.node.identity.slurm import Untrusted, parse
from gputally.node.persistence import Persistence
from tests.fuzz.target import Target, file, folder, one_line
from tests.node.attribution.bookrig import Rig as BookRig
from tests.node.attribution.bookrig import round_trip, used
from tests.node.attribution.garbage import meters_on
from tests.node.card import BOOT_NS, SECOND, WALL_NS, Rig
from tests.node.hostfiles import FILES, FIXTURE
from tests.node.identity.cgroupcases import KINDS, cases
from tests.node.identity.kubelets import devices, pod
from tests.node.identity.recordfolder import FULL as SLURM
from tests.node.identity.runrecords import BOOT, ENDED, PID, RUNNING, TICKS
from tests.node.statefolder import paid

if TYPE_CHECKING:
    from collections.abc import Iterator

_CUT = b"\n%%\n"
_STAT = b"4711 (python (x) 3) S 4242 4711 4242 34816 4711 4194304 1 0 0 0 9 5 0 0 20 0 3 0 815000 9 8 7\n"
_LOOKED_FOR = (b"GPUTALLY_", b"WANDB_", b"TORCHELASTIC_RUN_ID=", b"SLURM_JOB")
_ENVIRON = b"\0".join(
    [
        b"PATH=/bin:SECRET",
        b"GPUTALLY_TEAM=nlp",
        b"GPUTALLY_MODEL=llama-70b",
        b"WANDB_PROJECT=p",
        b"WANDB_RUN_ID=r",
        b"TORCHELASTIC_RUN_ID=none",
        b"SLURM_JOB_ID=4711",
        b"SLURM_JOB_SLUID=sFNDM35NQ39R00",
    ]
)
_SLURM = "".join(f"{key}={value}\n" for key, value in SLURM.items()).encode()
_PODS = (
    pod("ml", "train-0", devices("nvidia.com/gpu", "GPU-5c2f", "GPU-77aa::2"), devices("cpu", "1"))
    + pod("ml", "mig", devices("nvidia.com/mig-1g.10gb", "MIG-12/3", "nvidia7"))
    + b"\x10\x01"
)


def cgroup(data: bytes) -> bool:
    """/proc/PID/cgroup: a kind that there is, a short id, a folder below the root."""
    found = place(data)
    assert found.kind in KINDS
    assert found.id.isprintable()
    assert len(found.id) <= 262
    for where in (found.folder, *folders(found)):
        assert ".." not in where.split("/")
        assert not where.startswith("/")
    return found.kind != ""


def process(data: bytes) -> bool:
    """/proc/PID/stat and environ: a process or ValueError, and claims that fit a label."""
    stat, _, environ = data.partition(_CUT)
    read = False
    try:
        found = parse_stat(4711, 1000, stat)
    except ValueError:
        pass
    else:
        read = True
        assert found.pid == 4711
        assert b"(" not in stat or stat.partition(b"(")[2].startswith(found.comm)
    claims = read_claims(environ)
    words = (claims.job_name, claims.team, claims.model, claims.sluid, *claims.slurm_jobs)
    assert all(word.isprintable() and len(word) <= 128 for word in words)
    others = [entry for entry in environ.split(b"\0") if not entry.startswith(_LOOKED_FOR)]
    if len(others) == len(environ.split(b"\0")):
        assert claims == NO_CLAIMS
    return read


def run_record(data: bytes) -> bool:
    """The record of one `gputally run`, as the agent finds it in its folder."""
    path = file(f"{PID}-{TICKS}.json", data[: runfile.MOST_BYTES + 1])
    found = RunRecords(path.parent, BOOT).find(PID, TICKS, os.geteuid())
    if found is None:
        return False
    assert found.job_id == "run-4711-815000-5f3a"
    for text in (found.job_name, found.team, found.model):
        assert len(text) <= 128
        assert text == "" or text.isprintable()
    assert 0 <= found.start_seconds < 2**41
    if found.end is not None:
        assert found.end.state in runfile.ENDED
        assert 0 <= found.end.exit_code <= 255
        assert found.end.seconds >= found.start_seconds
    return True


def slurm_record(data: bytes) -> bool:
    """A record of prolog and epilog."""
    try:
        found = parse(data, "/run/slurm/4711-r0")
    except Untrusted as error:
        one_line(str(error))
        return False
    assert (found.job_id, found.restarts) == ("4711", 0)
    assert all(0 <= gpu < 10**14 for gpu in found.gpus)
    assert 0 <= found.start_seconds < 1e14
    words = (found.user, found.account, found.job_name, found.comment_model, found.sluid, found.cluster)
    assert all(word.isprintable() and len(word) <= 128 for word in words)
    return True


def kubelet(data: bytes) -> bool:
    """The kubelet's answer: pods with devices, or ValueError."""
    try:
        found = decode_pods(data)
    except ValueError:
        return False
    assert sum(len(one.uuids) + len(one.minors) for one in found) <= MOST_DEVICES
    for one in found:
        assert one.uuids or one.minors
        assert all(uuid.isascii() and uuid.startswith(("GPU-", "MIG-")) for uuid in one.uuids)
        assert all(0 <= minor < 10_000 for minor in one.minors)
    return bool(found)


def host(data: bytes) -> bool:
    """The kernel's files about the host, one behind the other: finite figures, none negative."""
    root = folder() / "proc"
    (root / "net").mkdir(parents=True, exist_ok=True)
    for name, text in zip(FILES, (data.split(_CUT) + [b""] * len(FILES)), strict=False):
        (root / name).write_bytes(text)
    reader = HostReader(root, root)
    for found in (reader.read(), reader.read()):
        assert all(name.isprintable() for name in (*found.disk_read_bytes, *found.network_receive_bytes))
        _finite(found.cpu_seconds, found.load_average, found.disk_read_bytes, found.disk_written_bytes)
        _finite(found.network_receive_bytes, found.network_transmit_bytes, {"up": found.uptime_seconds})
        _finite({"total": found.memory_total_bytes, "used": found.memory_used_bytes, "cpus": found.cpus})
    assert all("\n" not in why for why in reader.absent.values())
    return len(reader.absent) < len(FILES)


def _finite(*figures: Any) -> None:
    for family in figures:
        for name, value in (family or {}).items():
            assert value is None or (math.isfinite(value) and value >= 0), (name, value)


def state(data: bytes) -> bool:
    """A state file whose checksum is right: the agent starts on it, and its counters go on from there."""
    where = folder() / "state"
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir()
    (where / "counters.json").write_bytes(b"%08x\n" % zlib.crc32(data) + data)
    found = Persistence(where, "boot-a")
    _finite(found.host_joules, {"/".join(key): n for key, n in found.events.items()})
    now = Instant(BOOT_NS + 3600 * SECOND, WALL_NS + 3600 * SECOND)
    kept = {}
    for uuid, (gpu, one) in found.remembered.items():
        rig = Rig(state=one, now=now)
        before = counters.publish(one, now)
        rig.tick(energy_mj=10**12, utilization_ratio=0.5, pcie_transmit_bytes=5)
        rig.tick(energy_mj=10**12 + 300_000, utilization_ratio=0.5)
        _never_less(before, rig.shown)
        kept[uuid] = gpu, rig.state
    found.save(kept, found.events, rig.now if kept else now, final=True)
    if kept:
        assert found.write_success
        again = decode((where / "counters.json").read_bytes(), "")
        assert decode(encode(again), "") == again
    return bool(kept)


def _never_less(before: Any, after: Any) -> None:
    for name in before.__dataclass_fields__:
        old, new = getattr(before, name), getattr(after, name)
        if (
            isinstance(old, int | float)
            and not isinstance(old, bool)
            and name.endswith(("_joules", "_seconds", "_total", "_bytes"))
        ):
            assert math.isfinite(new), name
            assert new >= old >= 0, (name, old, new)


def book(data: bytes) -> bool:
    """Jobs and teams out of a state file: refused as a whole, or metering goes on from them."""
    try:
        saved = json.loads(data)
    except (ValueError, RecursionError):
        return False
    rig = BookRig()
    lines = rig.restore(saved, clean=True, same_boot=True)
    meters_on(rig)
    return not any("not usable" in line for line in lines)


def states() -> Iterator[bytes]:
    rig = Rig()
    for _ in range(3):
        rig.tick(
            energy_mj=10**12 + rig.now.boot_ns, utilization_ratio=1.0, pcie_transmit_bytes=rig.now.boot_ns
        )
    where = folder() / "seed"
    kept = Persistence(where, "boot-a")
    kept.host_joules["package-0"] = 17.5
    gpus = {f"GPU-{n}": (Gpu(f"GPU-{n}", str(n)), one) for n, one in enumerate((rig.state, paid()))}
    kept.save(gpus, {("GPU-0", "xid"): 3}, rig.now, ledger=round_trip(used().book), final=True)
    yield (where / "counters.json").read_bytes()[9:]


TARGETS = (
    Target("cgroup", cgroup, lambda: [text for _, text in cases()], 1024),
    Target("process", process, lambda: [_STAT + _CUT + _ENVIRON], 1024),
    Target("run-record", run_record, lambda: [json.dumps(one).encode() for one in (RUNNING, ENDED)], 1024),
    Target(
        "slurm-record",
        slurm_record,
        lambda: [_SLURM, _SLURM + b"END_SECONDS=1700000100\nSTATE=failed\nEXIT_CODE=3\n"],
        1024,
    ),
    Target("kubelet", kubelet, lambda: [_PODS], 512),
    Target("host", host, lambda: [_CUT.join((FIXTURE / name).read_bytes() for name in FILES)], 8192),
    Target("state", state, states, 8192),
    Target("book", book, lambda: [json.dumps(round_trip(used().book)).encode()], 8192),
)
