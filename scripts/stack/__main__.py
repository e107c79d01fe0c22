"""`make run`: starts the stack, shows one line of live figures, stops everything on Ctrl-C."""

import argparse
import fcntl
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from scripts.stack.configuration import TOP
from scripts.stack.figures import live_line
from scripts.stack.past import HISTORY, check
from scripts.stack.processes import StackError
from scripts.stack.stack import PORTS, Stack

REFRESH_SECONDS = 2.0  # on a terminal, where the line is written over
REPEAT_SECONDS = 15.0  # elsewhere, where each line stays
COMMAND = Path(sys.executable).with_name("gputally")  # of the environment of this run, on nobody's PATH


class Stopped(Exception):
    """Somebody asked us to stop."""


def say(text: str) -> None:
    """One line for the person; at once, also into a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Refuse a second run on the same data: two servers would spoil each other's."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(f"already running with its data in {folder}") from None
        yield


def addresses(stack: Stack) -> str:
    """What to open in a browser."""
    pages = {
        "grafana": "dashboards",
        "prometheus": "queries, rules, alerts, targets",
        "alertmanager": "who is told",
        "node": "the node agent: what the GPUs do, with /metrics",
        "site": "the site agent: prices and calendar, with /metrics",
        "market": "a recording of what GPUs are rented out for: made-up figures",
    }
    lines = []
    for name, what in pages.items():
        if program := stack.programs.get(name):
            moved = "" if program.port == PORTS[name] else f"  (port {PORTS[name]} is taken)"
            lines.append(f"  {name:<13} {program.url:<23} {what}{moved}")
    if stack.is_simulated and stack.past.text:
        lines.append(f"  {stack.past.text}")
    if stack.is_simulated:
        prometheus = stack.programs["prometheus"]
        url = "" if prometheus.port == PORTS["prometheus"] else f" --prometheus.url={prometheus.url}"
        where = f"--config.file={here(stack.declared)}{url}"
        lines.append(f"  what a team has spent: {here(COMMAND)} report statement --team=vision {where}")
    lines.append(f"  data and settings in {stack.folder}, logs and notifications in {stack.folder / 'log'}")
    return "\n".join(lines)


def here(path: Path) -> str:
    """A path as short as it can be typed."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def watch(stack: Stack, seconds: float | None) -> None:
    """Show the live line until it is time, or until a program ends by itself (StackError)."""
    begun = now = next_line = time.monotonic()
    while seconds is None or now - begun < seconds:
        stack.check()
        if now >= next_line:
            next_line = now + show(line(stack, now - stack.started_s))
        time.sleep(0.2)
        now = time.monotonic()
    show(line(stack, now - stack.started_s))


def line(stack: Stack, elapsed: float) -> str:
    """The live line; empty until there is something to tell."""
    try:
        figures = live_line(stack.ports["prometheus"], elapsed)
    except OSError:
        return "prometheus does not answer"
    if figures and stack.is_simulated:
        figures = f"simulated: {figures}"
    news = stack.notices.latest if stack.notices else ""
    return "  ·  ".join(part for part in (figures, news) if part)


def show(text: str) -> float:
    """Write the line, over the one before on a terminal; how long it may stand, in seconds."""
    if sys.stdout.isatty():
        sys.stdout.write(f"\r\x1b[K{text or 'waiting for the first figures'}")
        sys.stdout.flush()
        return REFRESH_SECONDS
    if not text:
        return REFRESH_SECONDS
    say(text)
    return REPEAT_SECONDS


def on_signals(action: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    """What the signals do that end a run: Ctrl-C, a polite kill, a terminal that is closed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, action)


def stop(_number: int, _frame: FrameType | None) -> None:
    """Leave whatever is being waited for."""
    raise Stopped


def main() -> int:
    """Exit status 0 when stopped by a person or by --run-for, 1 when the stack could not go on."""
    parser = argparse.ArgumentParser(prog="make run", description="Runs the gputally stack on this machine.")
    parser.add_argument("--run-for", type=float, metavar="SECONDS", help="end by itself after so long")
    parser.add_argument(
        "--source", default="auto", help="the agent's --source; auto: simulated without a GPU"
    )
    parser.add_argument("--scrape-interval", default="5s", help="how often Prometheus reads the agent")
    parser.add_argument(
        "--history",
        default=HISTORY,
        help=f"past of a simulated machine, played before it starts; default {HISTORY}, 0: none",
    )
    parser.add_argument("--folder", type=Path, default=TOP / ".run", help="where data, logs and settings go")
    arguments = parser.parse_args()

    try:
        check(arguments.history)
        stack = Stack(
            arguments.folder.resolve(), arguments.source, arguments.scrape_interval, arguments.history, say
        )
        with only_run(stack.folder):
            run(stack, arguments.run_for)
    except StackError as error:
        sys.stderr.write(f"make run: {error}\n")
        return 1
    return 0


def run(stack: Stack, seconds: float | None) -> None:
    """From the first program's start to the last one's end, whatever happens in between."""
    on_signals(stop)
    try:
        say("starting agents, Alertmanager and Prometheus ...")
        stack.start()
        say(addresses(stack))
        watch(stack, seconds)
    except Stopped:
        pass
    finally:
        on_signals(signal.SIG_IGN)  # a second Ctrl-C would leave programs behind
        say("\nstopping")
        stack.stop()


if __name__ == "__main__":
    sys.exit(main())
