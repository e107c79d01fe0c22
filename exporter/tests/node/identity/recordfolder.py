"""A folder of records of Slurm jobs for the tests, and its reader on a clock that stands still."""

from pathlib import Path

from gputally.node.identity.slurm import SlurmRecords

FULL = {
    "JOB_ID": "4711",
    "RESTARTS": "0",
    "SLUID": "sAEXM7YZW7XE00",
    "ARRAY_JOB_ID": "4700",
    "ARRAY_TASK_ID": "3",
    "CLUSTER": "lab",
    "USER": "ada",
    "UID": "1000",
    "ACCOUNT": "nlp",
    "PARTITION": "gpu",
    "JOB_NAME": "train",
    "MODEL": "llama-70b",
    "GPUS": "2,3",
    "BOOT_ID": "boot-a",
    "START_SECONDS": "1700000000",
}


class Folder:
    """A folder of records, and a reader on a clock that stands still."""

    def __init__(self, path: Path, boot_id: str = "") -> None:
        self.path = path
        self.now_ns = 0
        path.mkdir(mode=0o755)
        self.reader = SlurmRecords(path, boot_id, lambda: self.now_ns)

    def write(self, job_id: str = "4711", restarts: int = 0, **changes: str) -> Path:
        """As the script does: under another name first."""
        fields = FULL | {"JOB_ID": job_id, "RESTARTS": str(restarts)} | changes
        return self.put(f"{job_id}-r{restarts}", "".join(f"{k}={v}\n" for k, v in fields.items()).encode())

    def put(self, name: str, text: bytes) -> Path:
        new = self.path / f".{name}"
        new.write_bytes(text)
        new.chmod(0o644)
        return new.rename(self.path / name)

    def ids(self) -> list[str]:
        return sorted(record.run_id for record in self.reader.records())

    def pass_ns(self, ns: int) -> None:
        self.now_ns += ns
