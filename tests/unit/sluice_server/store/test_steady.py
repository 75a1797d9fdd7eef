"""A store, or a pod that stands in for it, that drips."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from sluice_server.store.steady import LEAST, Steady


class Pieces:
    """A source of pieces, one each second of `clock`; never more of one than is asked for."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""
        self.now = 0.0

    def read1(self, amt: int) -> bytes:
        if not self._left:
            self.now += 1.0
            self._left = next(self._pieces, b"")
        given, self._left = self._left[:amt], self._left[amt:]
        return given


def steady(pieces: Pieces, within: float = 10.0) -> Steady:
    return Steady(pieces, within, lambda: pieces.now)


def test_all_bytes_come_in_the_sizes_that_are_asked_for() -> None:
    """Whatever the pieces are that the network makes of them; at the end, what is left."""
    reader = steady(Pieces(iter([b"abc", b"d", b"efghi"])))
    assert [reader.read(size) for size in (2, 4, 10, 10)] == [b"ab", b"cdef", b"ghi", b""]


def test_a_source_that_drips_is_given_up() -> None:
    """Each byte comes in time for the connection, and the model never comes."""
    pieces = Pieces(b"x" for _ in count())
    with pytest.raises(TimeoutError, match="less than 64 KiB have come within 10 s"):
        steady(pieces).read(1_000_000)
    assert pieces.now < 13


def test_a_source_that_is_slow_is_waited_for() -> None:
    """A large model may take an hour."""
    reader = steady(Pieces(b"x" * (LEAST // 8) for _ in range(3_600)))
    assert sum(len(reader.read(10_240)) for _ in range(3_600)) == 3_600 * (LEAST // 8)
