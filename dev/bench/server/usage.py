"""Processor time and memory of a process and all that it has started, from /proc."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PARENT, _USER, _SYSTEM, _RESIDENT = 1, 11, 12, 21  # fields of stat, counted behind the name


def cpu_seconds(root: int) -> float:
    """User and system time so far, to a hundredth of a second."""
    return sum(int(fields[_USER]) + int(fields[_SYSTEM]) for fields in _tree(root)) / _TICKS


def resident_bytes(root: int) -> int:
    """What is in memory now; pages that processes share are counted for each of them."""
    return sum(int(fields[_RESIDENT]) for fields in _tree(root)) * _PAGE


def _tree(root: int) -> list[list[str]]:
    """The stat fields of `root` and its descendants."""
    found = {int(path.parent.name): fields for path in Path("/proc").glob("[0-9]*/stat") if (fields := _stat(path))}
    waiting, tree = [root], list[list[str]]()
    while waiting:
        process = waiting.pop()
        if process in found:
            tree.append(found[process])
            waiting += [child for child, fields in found.items() if int(fields[_PARENT]) == process]
    return tree


def _stat(path: Path) -> list[str] | None:
    """The fields behind the name, which may hold blanks; None if the process has ended."""
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return None
