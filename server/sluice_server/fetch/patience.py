"""Waits for a registry, or a store of files, as long as something comes.

MLflow, and the clients of object stores, give up on a connection that is silent, and not on one that brings a byte now
and then. So they are asked in a thread that nobody waits for when too little comes of it, and that ends with the
process.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from sluice_server.store.steady import LEAST, WITHIN  # MLflow's own attempts take 45 s at most

_THREAD = "asking"
_BLOCK = 512  # bytes, as POSIX counts what a file takes
Answer = TypeVar("Answer")


def patient(ask: Callable[[], Answer], came: Callable[[], int] = lambda: 0) -> Answer:
    """What `ask` gives or raises; TimeoutError if it takes WITHIN seconds in which `came` has not grown by LEAST."""
    asked = Future[Answer]()
    threading.Thread(target=_settle, args=(asked, ask), name=_THREAD, daemon=True).start()
    before = came()
    while True:
        try:
            return asked.result(WITHIN)
        except TimeoutError:
            if asked.done():  # it is what `ask` has raised
                raise
        now = came()
        if now - before < LEAST:
            raise TimeoutError(f"less than {LEAST // 1024} KiB have come within {WITHIN:g} s")
        before = now


def size(folder: Path) -> int:
    """A number that grows with whatever is written below a folder, also inside of a file that has its size already."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # it has another name already
            found = path.stat()
            total += found.st_size + _BLOCK * getattr(found, "st_blocks", 0)
    return total


def is_asking() -> bool:
    """Whether a thread still waits for an answer."""
    return any(thread.name == _THREAD for thread in threading.enumerate())


def _settle(asked: Future[Answer], ask: Callable[[], Answer]) -> None:
    try:
        asked.set_result(ask())
    except BaseException as error:  # of whatever kind, it is for who waits
        asked.set_exception(error)
