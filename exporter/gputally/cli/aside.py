"""Work that may block for as long as a disk likes, beside the event loop, in a thread that nobody waits for.

Not the loop's own pool of threads: that one is joined at the end, and a file system that hangs would keep the
agent from ending.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def aside(work: Callable[[], T]) -> T:
    """Do it in a thread of its own; gives what it gives, raises what it raises."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(act: Callable[[], None]) -> None:
        if not done.cancelled():
            act()

    def run() -> None:
        try:
            result = work()
        except BaseException as caught:  # noqa: BLE001 - whoever waits is told
            error = caught
            act = lambda: done.set_exception(error)  # noqa: E731 - one of two
        else:
            act = lambda: done.set_result(result)  # noqa: E731 - the other
        with suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(settle, act)

    threading.Thread(target=run, name="aside", daemon=True).start()
    return await done
