"""Runs nvidia-smi and judges how it ended: which flags bring what, what a status or a sentence means."""

import re
import time
from collections.abc import Sequence

from gputally.node.sources.nvidia_smi import listing, xmllog
from gputally.node.sources.program import Output, Program, refusal
from gputally.node.sources.protocol import GpuLost, SourceError, Unavailable

_CORRUPT_INFOROM = 14  # a warning at the end of an answer that is whole
_TABLE = "--format=csv,noheader,nounits"
_UNKNOWN_FIELD = re.compile(r'Field "([^"]{1,100})" is not a valid field to query')
_LOST = re.compile(r"Unable to determine the device handle for gpu|Problem with GPU", re.IGNORECASE)
_REASONS = {  # exit status -> reason; the numbers are those of NVML
    4: "no_permission",
    9: "driver_not_loaded",
    12: "library_not_found",
    13: "function_missing",
    18: "version_mismatch",
}
_SENTENCES = (  # what is printed with a status that says nothing, usually 255
    ("version mismatch", "version_mismatch"),
    ("couldn't communicate with the nvidia driver", "driver_not_loaded"),
    ("couldn't find libnvidia-ml", "library_not_found"),
    ("insufficient permissions", "no_permission"),
)
_FIELD_NAME = re.compile(r'"([a-z][A-Za-z0-9_.]{1,80})"')
_MOST_UNKNOWN_FIELDS = 40


class NoGpus(Unavailable):
    """nvidia-smi works and sees no GPU."""

    reason = "no_gpus"


class _UnknownField(SourceError):
    def __init__(self, field: str) -> None:
        super().__init__(f"nvidia-smi does not know the field {field}", reason="unknown_field")
        self.field = field


class Until:
    """A deadline for several runs together."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._seconds = seconds

    def left(self) -> float:
        """Seconds that are left. Raises SourceError, reason `timeout`, when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise SourceError(f"nvidia-smi took longer than {self._seconds:g} s", reason="timeout")
        return left


class NvidiaSmi:
    """The program. `selection`: the indices to ask for; None = all that there are."""

    def __init__(self, program: Program | None = None) -> None:
        self.selection: tuple[int, ...] | None = None
        self._program = program or Program("nvidia-smi")

    def log(self, until: Until) -> xmllog.Log:
        """Everything about every GPU, as XML. Slow: it waits 40 ms for the PCI Express rates of each.

        Raises NoGpus, GpuLost, Unavailable and SourceError, as all of these do.
        """
        return xmllog.parse(self._answer(until, "-q", "-x").stdout)

    def query(self, what: str, fields: Sequence[str], until: Until) -> list[list[str]]:
        """A table: `what` is gpu or compute-apps. Lines that are no row, such as warnings, are left out."""
        output = self._answer(until, f"--query-{what}={','.join(fields)}", _TABLE)
        rows = ([cell.strip() for cell in line.split(",")] for line in _text(output).splitlines())
        return [row for row in rows if len(row) == len(fields)]

    def query_known(
        self, what: str, fields: Sequence[str], until: Until
    ) -> tuple[list[str], list[list[str]]]:
        """A table of those fields that this version knows, and which they are."""
        known = list(fields)
        for _ in range(_MOST_UNKNOWN_FIELDS):
            try:
                return known, self.query(what, known, until)
            except _UnknownField as error:
                if error.field not in known:
                    raise
                known.remove(error.field)
        raise SourceError("nvidia-smi knows none of the fields", reason="garbage")

    def fields(self, until: Until) -> frozenset[str]:
        """The fields that --query-gpu knows; none if this version does not say. Does not touch a GPU."""
        output = self._program.run("--help-query-gpu", seconds=until.left())
        return frozenset(_FIELD_NAME.findall(_text(output))) if output.code == 0 else frozenset()

    def listing(self, until: Until) -> listing.Listing:
        """GPUs that answer, and their partitions. The exit status tells of those that do not: no matter."""
        return listing.parse(_text(self._program.run("-L", seconds=until.left())))

    def _answer(self, until: Until, *arguments: str) -> Output:
        chosen = () if self.selection is None else ("-i", ",".join(map(str, self.selection)))
        output = self._program.run(*arguments, *chosen, seconds=until.left())
        if output.code not in (0, _CORRUPT_INFOROM):
            raise _error_of(output)
        return output


def _error_of(output: Output) -> SourceError:
    text = f"{_head(output.stderr)}\n{_head(output.stdout)}"
    if (unknown := _UNKNOWN_FIELD.search(text)) is not None:
        return _UnknownField(unknown[1])
    if "no devices were found" in text.lower():
        return NoGpus("nvidia-smi sees no GPU")
    if output.code == 15 or _LOST.search(text) is not None:
        return GpuLost(f"nvidia-smi: {output.sentence}")
    reason = _REASONS.get(output.code) or next((r for s, r in _SENTENCES if s in text.lower()), None)
    if reason is not None:
        return Unavailable(f"nvidia-smi: {output.sentence}", reason=reason)
    return refusal("nvidia-smi", output)


def _text(output: Output) -> str:
    return output.stdout.decode(errors="replace")


def _head(stream: bytes) -> str:
    return stream[:4096].decode(errors="replace")
