"""A machine that is lost, one that nobody wants to hear of, and an Alertmanager that is killed."""

from datetime import UTC, datetime

import requests
from alertmanager.tests.conftest import iso
from scripts.stack.processes import Program


def lost(place: str) -> dict[str, str]:
    return {"alertname": "GpuLost", "instance": place, "gpu": "0", "uuid": "A"}


def kill(program: Program) -> None:
    """SIGKILL, as the machine's end or the kernel's lack of memory."""
    assert program._process is not None
    program._process.kill()
    program._process.wait()


def silence(program: Program, place: str) -> str:
    """Silence a machine for an hour; the silence's id."""
    now = datetime.now(UTC).timestamp()
    body = {
        "matchers": [{"name": "instance", "value": place, "isRegex": False}],
        "startsAt": iso(now),
        "endsAt": iso(now + 3600),
        "createdBy": "ada",
        "comment": "known",
    }
    answer = requests.post(f"{program.url}/api/v2/silences", json=body, timeout=10)
    return str(answer.json()["silenceID"])


def silences(program: Program) -> set[str]:
    return {one["id"] for one in requests.get(f"{program.url}/api/v2/silences", timeout=10).json()}
