"""Universal Binary JSON, as far as XGBoost writes it, read within limits.

Strict on purpose: whatever XGBoost does not write itself is refused, so that no file means one thing here, where it is
checked, and another thing to XGBoost.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

_DEEPEST = 32  # objects in objects; a model has seven
_MOST_VALUES = 2_000_000  # outside of typed arrays: about 25 for a tree, and 100 bytes of memory for each
_NUMBERS = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q", b"d": ">f", b"D": ">d"}
_CONSTANTS = {b"T": True, b"F": False, b"Z": None}


def decode(content: bytes) -> Any:
    """Objects as dict, arrays of one type as numpy arrays, others as lists. Raises ValueError for everything else."""
    reader = _Reader(content)
    value = reader.value(reader.take(1), 0)
    if reader.at != len(content):
        raise ValueError("there is more behind its end")
    return value


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0
        self._values = 0

    def take(self, size: int) -> bytes:
        start, self.at = self.at, self.at + size
        if size < 0 or self.at > len(self.content):
            raise ValueError("it ends too early")
        return self.content[start : self.at]

    def value(self, marker: bytes, depth: int) -> Any:
        self._values += 1
        if depth > _DEEPEST or self._values > _MOST_VALUES:
            raise ValueError(f"it has more than {_DEEPEST} levels or {_MOST_VALUES} values")
        if marker == b"{":
            return self._object(depth + 1)
        if marker == b"[":
            return self._array(depth + 1)
        if marker == b"S":
            return self._text()
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        return self._number(marker)

    def _number(self, marker: bytes) -> int | float:
        if marker not in _NUMBERS:
            raise ValueError(f"{marker!r} at byte {self.at - 1} is no type that XGBoost writes")
        form = _NUMBERS[marker]
        number: int | float = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return number

    def _size(self) -> int:
        self._expect(b"L")
        return int(self._number(b"L"))

    def _text(self) -> str:
        return self.take(self._size()).decode()

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.content[self.at : self.at + 1] != b"}":
            key = self._text()
            if key in found:
                raise ValueError(f"it has {key[:50]!r} twice")
            found[key] = self.value(self.take(1), depth)
        self.take(1)
        return found

    def _array(self, depth: int) -> Any:
        kind = self.take(1)
        if kind == b"$":
            marker = self.take(1)
            if marker not in _NUMBERS:
                raise ValueError(f"an array of {marker!r} at byte {self.at} is none that XGBoost writes")
            self._expect(b"#")
            dtype = np.dtype(_NUMBERS[marker])
            return np.frombuffer(self.take(self._size() * dtype.itemsize), dtype)
        if kind != b"#":
            raise ValueError(f"an array without a size at byte {self.at} is none that XGBoost writes")
        return [self.value(self.take(1), depth) for _ in range(self._counted())]

    def _counted(self) -> int:
        count = self._size()
        if not 0 <= count <= len(self.content) - self.at:
            raise ValueError("it ends too early")
        return count

    def _expect(self, marker: bytes) -> None:
        if self.take(1) != marker:
            raise ValueError(f"{marker!r} is missing at byte {self.at - 1}")
