"""A process and all that it has started: processor time, memory, and its end; from /proc."""

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_PARENT, _USER, _SYSTEM, _STARTED, _RESIDENT = 1, 11, 12, 19, 21  # fields of stat, counted behind the name


def cpu_seconds(root: int) -> float:
    """User and system time so far, to a hundredth of a second."""
    return sum(int(fields[_USER]) + int(fields[_SYSTEM]) for fields in _tree(root).values()) / os.sysconf("SC_CLK_TCK")


def resident_bytes(root: int) -> int:
    """What is in memory now; pages that processes share are counted for each of them."""
    return sum(int(fields[_RESIDENT]) for fields in _tree(root).values()) * os.sysconf("SC_PAGE_SIZE")


def processes(root: int) -> dict[int, str]:
    """`root` and its descendants, each with the time at which it started, which no later one with its number has."""
    return {process: fields[_STARTED] for process, fields in _tree(root).items()}


def end(started: Mapping[int, str]) -> None:
    """Kills those of `processes` that are still there."""
    for process, time in started.items():
        fields = _stat(Path(f"/proc/{process}/stat"))
        if fields and fields[_STARTED] == time:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def _tree(root: int) -> dict[int, list[str]]:
    """The stat fields of `root` and its descendants."""
    found = {int(path.parent.name): fields for path in Path("/proc").glob("[0-9]*/stat") if (fields := _stat(path))}
    waiting, tree = [root], dict[int, list[str]]()
    while waiting:
        process = waiting.pop()
        if process in found:
            tree[process] = found[process]
            waiting += [child for child, fields in found.items() if int(fields[_PARENT]) == process]
    return tree


def _stat(path: Path) -> list[str] | None:
    """The fields behind the name, which may hold blanks; None if the process has ended."""
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return None
