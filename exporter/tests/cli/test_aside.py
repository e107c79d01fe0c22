"""Work beside the event loop: its result, its error, and that nobody waits for it at the end."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from gputally.cli.aside import aside


def test_it_gives_what_the_work_gives_and_the_loop_goes_on_meanwhile():
    go = threading.Event()

    async def main() -> str:
        loop, begun = asyncio.get_running_loop(), asyncio.Event()

        def work() -> str:
            loop.call_soon_threadsafe(begun.set)
            assert go.wait(10)
            return threading.current_thread().name

        task = asyncio.create_task(aside(work))
        await begun.wait()  # would never come if the work were done here
        go.set()
        return await task

    assert asyncio.run(main()) == "aside"


def test_it_raises_what_the_work_raises():
    with pytest.raises(ZeroDivisionError):
        asyncio.run(aside(lambda: 1 // 0))


def test_a_result_that_nobody_waits_for_any_more_is_dropped():
    go = threading.Event()
    complaints: list[object] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        task = asyncio.create_task(aside(lambda: go.wait(10)))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        await asyncio.sleep(0.05)

    asyncio.run(main())
    assert complaints == []


def test_work_that_never_ends_keeps_no_process_alive():
    code = """
import asyncio, time
from gputally.cli.aside import aside
async def main():
    task = asyncio.create_task(aside(lambda: time.sleep(60)))
    await asyncio.sleep(0.1)
asyncio.run(main())
"""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - began < 20


def test_work_that_ends_after_the_loop_says_nothing():
    code = """
import asyncio, threading, time
from gputally.cli.aside import aside
async def main():
    task = asyncio.create_task(aside(lambda: time.sleep(0.3)))
    await asyncio.sleep(0.1)
asyncio.run(main())
for thread in threading.enumerate():
    if thread.name == "aside":
        thread.join()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
