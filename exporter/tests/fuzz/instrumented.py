"""One target in a process of its own, with the flags of libFuzzer; every branch of ours is instrumented."""

import logging
import sys

import atheris

with atheris.instrument_imports(include=["gputally"], enable_loader_override=False):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    check = TARGETS[sys.argv.pop(1)].check

    def one(data: bytes) -> None:
        """As libFuzzer has it: no word about what was read."""
        check(data)

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
