"""Cgroups of real layouts and of those who imitate them, and what each of them proves."""

from pathlib import Path

CORPUS = Path(__file__).parent / "corpus/cgroups.txt"
CONTAINER = "3f084b4c7b789c1a0f174da3fcd339e31125d3096b3ff46a0bef4fad71d09362"
POD = "57e67067-89e4-4001-bdd4-8632d39ea02b"
STATIC = "7690535ab745cd438a6b753796ac489f"
KINDS = {"slurm", "kubernetes", "docker", "podman", "lxc", "lsf", "pbs", "systemd", "session", ""}


def cases() -> list[tuple[str, bytes]]:
    text = CORPUS.read_text()
    for mark, value in (("{c}", CONTAINER), ("{p}", POD), ("{p_}", POD.replace("-", "_")), ("{s}", STATIC)):
        text = text.replace(mark, value)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [
        (want, "\n".join(file.split(" ; ")).encode() + b"\n")
        for want, file in (x.split(" <= ") for x in lines)
    ]
