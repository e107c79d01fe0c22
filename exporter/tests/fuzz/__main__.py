"""`make fuzz`: each parser for a while, led by what its code does with an input (atheris, libFuzzer).

    python -m tests.fuzz --seconds=60 [TARGET...]

Seeds are those of the tests; what turned out to lead somewhere new stays in .fuzz/ for the next time. What
goes wrong is printed, and its input kept there: it becomes a test, then the parser is mended.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tests.fuzz.mutations import ODD, words_of
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

FOLDER = Path(__file__).parents[3] / ".fuzz"
_LINE = re.compile(r"#(\d+)\s+(\w+)\s+cov: (\d+) ft: (\d+) corp: (\d+)")
_TRACE = re.compile(r"=== Uncaught Python exception: ===\n(.*?)\n==\d+==", re.DOTALL)
_ROW = "{:<14} {:>10} {:>9} {:>16} {:>8}  {}\n"


@dataclass
class Course:
    """How it went."""

    runs: int = 0
    edges_at_first: int = 0  # by the seeds, and by what earlier runs have left
    edges: int = 0
    inputs: int = 0  # that lead somewhere of their own
    finding: str = ""


def prepared(target: Target) -> tuple[Path, list[str]]:
    """Its folder with the seeds in it, and the flags of libFuzzer."""
    folder = FOLDER / target.name
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = list(target.seeds())
    for seed in seeds:
        (corpus / sha256(seed).hexdigest()[:16]).write_bytes(seed)
    words = [word for word in (*words_of(seeds), *ODD) if 0 < len(word) < 64]
    quoted = ("".join(f"\\x{byte:02x}" for byte in word) for word in words)
    (folder / "words").write_text("".join(f'"{word}"\n' for word in quoted))
    longest = max(target.longest, *map(len, seeds))
    return corpus, [f"-max_len={longest}", f"-dict={folder / 'words'}", f"-artifact_prefix={folder}/"]


def fuzz(target: Target, seconds: int) -> Course:
    """Run one for so long, or until something is found."""
    corpus, flags = prepared(target)
    command = [sys.executable, "-m", "tests.fuzz.instrumented", target.name, str(corpus), *flags]
    command += [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-use_value_profile=1"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return course_of(done.stdout + "\n" + done.stderr, failed=done.returncode != 0)


def course_of(said: str, *, failed: bool) -> Course:
    """What libFuzzer has printed."""
    course = Course()
    for runs, word, edges, _, inputs in _LINE.findall(said):
        course.runs, course.edges, course.inputs = int(runs), int(edges), int(inputs)
        if word == "INITED":
            course.edges_at_first = int(edges)
    if failed:
        found = _TRACE.search(said)
        kept = re.findall(r"\nartifact_prefix.*; (Test unit written to .*)", said)
        course.finding = "\n".join([found[1].strip() if found else said[-3000:], *kept])
    return course


def main(arguments: list[str]) -> int:
    """Run the targets. Returns the exit status: 1 where anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    options = parser.parse_args(arguments)
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}")
    findings = dict(_run(options.targets or list(TARGETS), options.seconds))
    for name, finding in findings.items():
        sys.stdout.write(f"\n{name}: {finding}\n")
    return 1 if findings else 0


def _run(names: list[str], seconds: int) -> Iterator[tuple[str, str]]:
    sys.stdout.write(_ROW.format("target", "runs", "a second", "edges", "inputs", "found"))
    total = Course()
    for name in names:
        course = fuzz(TARGETS[name], seconds)
        edges = f"{course.edges_at_first} to {course.edges}"
        found = "1" if course.finding else "-"
        row = (name, f"{course.runs:,}", f"{course.runs / seconds:,.0f}", edges, course.inputs, found)
        sys.stdout.write(_ROW.format(*row))
        sys.stdout.flush()
        total.runs, total.edges = total.runs + course.runs, total.edges + course.edges
        if course.finding:
            yield name, course.finding
    sys.stdout.write(_ROW.format("all", f"{total.runs:,}", "", str(total.edges), "", ""))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
