"""One generation of the state file as bytes: checksum, schema, whose it is. Opens no file.

The first line is the CRC-32 of the rest in hexadecimal digits, the rest is one JSON document. That frame is
the same for every schema, so that a newer one is told from a damaged one.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gputally.node import gpustate
from gputally.node.gpustate import HOLD_NS, UNKNOWN_BOOTS, GpuState, held
from gputally.node.statejson import from_json, to_json

SCHEMA = 1
_FRAME = b"%08x\n"
_FRAME_BYTES = 9


class Unusable(Exception):
    """A file that cannot be gone on from. `reason` is a word, the message a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Generation:
    """The counters of all GPUs at one moment, and who wrote them."""

    number: int
    host: str  # "" where the machine has no identity of its own
    boot_id: str
    clean: bool  # nothing was published after it
    saved_ns: int  # boot clock
    states: Mapping[str, GpuState]
    extra: Mapping[str, Any] = field(default_factory=dict)


def encode(generation: Generation) -> bytes:
    """The bytes of a file."""
    document = {
        "schema": SCHEMA,
        "generation": generation.number,
        "host": generation.host,
        "boot": generation.boot_id,
        "clean": generation.clean,
        "saved_ns": generation.saved_ns,
        "gpus": {uuid: to_json(state) for uuid, state in generation.states.items()},
        "extra": generation.extra,
    }
    body = json.dumps(document, separators=(",", ":")).encode()
    return _FRAME % zlib.crc32(body) + body


def decode(data: bytes, host: str) -> Generation:
    """A generation that this machine can go on from. Raises Unusable."""
    body = data[_FRAME_BYTES:]
    if data[:_FRAME_BYTES] != _FRAME % zlib.crc32(body):
        raise Unusable("corrupt", "torn or damaged: the checksum differs")
    try:
        document = json.loads(body)
        if document["schema"] > SCHEMA:
            raise Unusable(
                "future_schema",
                f"written by a newer gputally (schema {document['schema']}, this one knows {SCHEMA})",
            )
        if host and document["host"] not in ("", host):
            raise Unusable("other_host", "belongs to another machine")
        return Generation(
            number=int(document["generation"]),
            host=str(document["host"]),
            boot_id=str(document["boot"]),
            clean=bool(document["clean"]),
            saved_ns=int(document["saved_ns"]),
            states={uuid: from_json(state) for uuid, state in document["gpus"].items()},
            extra=dict(document["extra"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise Unusable("invalid", f"not a state file: {type(error).__name__} {error}") from error


def outdated(generation: Generation, boot_id: str) -> bool:
    """Whether more may have been published after it: the machine went down without a goodbye."""
    if generation.clean:
        return False
    return boot_id in UNKNOWN_BOOTS or generation.boot_id != boot_id


def after_a_crash(generation: Generation) -> dict[str, GpuState]:
    """Its states, held where something may have been published that it does not know of."""
    still = standing(generation)
    return {uuid: state if uuid in still else held(state) for uuid, state in generation.states.items()}


def taken_up(
    generation: Generation, boot_id: str, *, recovered: bool, overtaken: bool, behind: bool
) -> dict[str, GpuState]:
    """Its states as the next process takes them up. `recovered`: a newer file was damaged."""
    states = generation.states
    if overtaken:
        known = boot_id not in UNKNOWN_BOOTS and generation.boot_id == boot_id
        return {
            uuid: gpustate.overtaken(state, same_boot=known and state.boot_id == boot_id)
            for uuid, state in states.items()
        }
    if recovered or outdated(generation, boot_id):
        return after_a_crash(generation)
    return {uuid: gpustate.behind(state) for uuid, state in states.items()} if behind else dict(states)


def standing(generation: Generation) -> frozenset[str]:
    """GPUs that had given no reading for a while when it was written: nothing moved, nothing to be held.

    The first reading after that has to reach the disk before it is published (StateFile.save).
    """
    return frozenset(
        uuid
        for uuid, state in generation.states.items()
        if state.last is None
        or state.boot_id != generation.boot_id
        or generation.saved_ns - state.last.boot_ns > HOLD_NS
    )
