"""Bodies whose numbers msgspec reads slowly: which they are, and that they are read to the same values."""

from __future__ import annotations

import sys
import threading

import msgspec
import pytest

from sluice_server.http import json_body, python_json

MANY = 101
SLOW = [
    *("1e-308", "1E308", "1e+300", "-1.5e0308", "1.2345678901234567e-291", "5e-324"),
    "0." + "0" * 306 + "12345678901234567",
    "3.9214182819094303793e-29",  # half-way between two doubles: its 20th digit decides
]
FAST = [
    *("5.1", "-0.00012345678901234567", "1.2345678901234567e-05", "1e16", "2e-30", "12345678901234567890"),
    *('"features"', '"1e5"'),
]


def listed(number: str, times: int = MANY) -> bytes:
    return f"[{', '.join([number] * times)}]".encode()


@pytest.mark.parametrize("number", SLOW)
def test_slow_numbers_are_seen_however_they_are_written(number: str) -> None:
    """They took 40 us each, in which nobody else was answered."""
    assert python_json.is_slow(listed(number))
    assert not python_json.is_slow(listed(number, 20)), "a few take no time"


def test_long_whole_numbers_are_slow_and_stay_what_they_are() -> None:
    """The time for one grows with the square of its digits, of which 4,300 are allowed."""
    assert python_json.is_slow(listed("7" * 4_000))
    assert json_body.decode(msgspec.json.Decoder(), listed("7" * 4_000)) == [int("7" * 4_000)] * MANY
    assert not python_json.is_slow(listed("7" * 900))


@pytest.mark.parametrize("number", FAST)
def test_what_clients_send_is_not_slow(number: str) -> None:
    """Python writes a double with at most 17 digits, and msgspec reads these ten times as fast as Python."""
    assert not python_json.is_slow(listed(number))


@pytest.mark.parametrize("number", SLOW)
def test_slow_numbers_are_the_same_numbers(number: str) -> None:
    """As a list of anything, and as what a dialect expects."""
    assert json_body.decode(msgspec.json.Decoder(), listed(number)) == [float(number)] * MANY
    assert json_body.decode(msgspec.json.Decoder(list[float]), listed(number)) == [float(number)] * MANY
    with pytest.raises(msgspec.ValidationError, match=r"Expected `str`, got `float` - at `\$\[0\]`"):
        json_body.decode(msgspec.json.Decoder(list[str]), listed(number))


@pytest.mark.parametrize(
    "end",
    [
        *(b"1e400", b"NaN", b"-Infinity", b'"\\ud800"', b'"\\\\\\udc00"', b"01", b'"\xff"'),
        *(b"[" * 100_000, b"9" * 5_000, b""),
    ],
)
def test_what_msgspec_refuses_is_refused_beside_slow_numbers(end: bytes) -> None:
    """Python's own reader takes some of it."""
    body = listed("1e-308")[:-1] + b", " + end + b"]"
    with pytest.raises(json_body.NOT_JSON):
        msgspec.json.decode(body)
    with pytest.raises(json_body.NOT_JSON):
        json_body.decode(msgspec.json.Decoder(), body)


def test_texts_with_escapes_are_read_beside_slow_numbers() -> None:
    """A whole pair is a character, and an escaped backslash before a u is none of its halves."""
    body = listed("1e-308")[:-1] + rb', "\ud83d\ude00", "\\ud800", "\n"]'
    assert json_body.decode(msgspec.json.Decoder(), body)[MANY:] == ["\U0001f600", r"\ud800", "\n"]


def test_others_run_while_slow_numbers_are_read() -> None:
    """The event loop, that is: it has its turn again and again, and not only when all has been read."""
    body, turns, over = listed("1e-308", 50_000), 0, threading.Event()

    def read() -> None:
        json_body.decode(msgspec.json.Decoder(), body)
        over.set()

    reading = threading.Thread(target=read)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        reading.start()
        while not over.is_set():
            turns += 1
        reading.join()
    finally:
        sys.setswitchinterval(before)
    assert turns > 10_000
