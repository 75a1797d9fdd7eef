"""Requests that are no proper HTTP, or not what their heads say, with a real server process."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.served import PATIENCE, Served, sample, serving, wait_until
from tests.contract.test_server_process import model_dir

__all__ = ["model_dir"]
BODY = b'{"features": [5.1, 3.5, 1.4, 0.2]}'
CHUNKED = b"transfer-encoding: chunked"
LENGTH = b"content-length: %d" % len(BODY)
CHUNKS = b"5\r\n" + BODY[:5] + b"\r\n%x;name=value\r\n" % (len(BODY) - 5) + BODY[5:] + b"\r\n0\r\n\r\n"


@pytest.fixture(scope="module")
def served(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(model_dir, tmp_path_factory.mktemp("hostile")) as process:
        yield process


def request(*headers: bytes, body: bytes = BODY, path: bytes = b"/predict") -> bytes:
    lines = [b"POST " + path + b" HTTP/1.1", b"host: x", b"content-type: application/json", *headers]
    return b"\r\n".join([*lines, b"", body])


def statuses(served: Served, *parts: bytes) -> list[int]:
    """Of all answers to what is sent on one connection, part by part, until the server closes it."""
    host, port = served.gateway.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
            answers = b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionError:  # the server has closed it while it was being sent to
            return []
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", answers)]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ((request(LENGTH),), [200]),
        ((request(CHUNKED, body=CHUNKS),), [200]),
        (tuple(request(LENGTH)[at : at + 1] for at in range(len(request(LENGTH)))), [200]),
        ((request(LENGTH) + request(LENGTH),), [200, 200]),
        ((request(b"content-length: 10"),), [400]),  # what is left is no request
        ((request(b"content-length: 100"),), []),  # nobody is there for an answer
        ((request(CHUNKED, body=CHUNKS[:-20]),), []),
        ((request(LENGTH, b"content-length: 5"),), [400]),
        ((request(LENGTH, CHUNKED),), [400]),
        ((request(b"content-length: -5"),), [400]),
        ((request(b"content-length: 0x22"),), [400]),
        ((request(b"content-length: 1" + b"0" * 40),), [400]),
        ((request(b"content-length: 100000000000"),), [413]),
        ((request(CHUNKED, body=b"zz\r\n" + BODY),), [400]),
        ((request(CHUNKED, body=b"f" * 30 + b"\r\n" + BODY),), [400]),
        ((request(b"transfer-encoding: gzip, chunked", body=CHUNKS),), [200]),  # no encoding of the content
        ((request(LENGTH, b"content-encoding: gzip"),), [415]),
        ((request(LENGTH, b"name: \0"),), [400]),
        ((request(LENGTH, b"inference-header-content-length: 9", path=b"/v2/models/iris/infer"),), [400]),
        ((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",), [400]),  # TLS
    ],
)
def test_a_request_that_is_not_as_its_head_says_is_no_server_error(
    served: Served, sent: tuple[bytes, ...], expected: list[int]
) -> None:
    """Lengths that are wrong, twice there or no numbers, chunks that are none, encodings, and other protocols."""
    assert statuses(served, *sent) == expected
    assert statuses(served, request(LENGTH)) == [200]


mutations = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(["drop", "double", "replace"]), st.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=5,
)


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([request(LENGTH), request(CHUNKED, body=CHUNKS)]), mutations)
def test_a_damaged_request_is_no_server_error(
    served: Served, whole: bytes, damage: list[tuple[float, str, bytes]]
) -> None:
    """Bytes that are lost, sent twice or replaced, anywhere in head and body."""
    sent = bytearray(whole)
    for place, what, other in damage:
        at = int(place * len(sent))
        part = slice(at, at + len(other))
        sent[part] = {"drop": b"", "double": bytes(sent[part]) * 2, "replace": other}[what]
    assert all(status < 500 for status in statuses(served, bytes(sent))), bytes(sent)


def test_afterwards_nothing_is_left_of_them(served: Served) -> None:
    """No request counts as being worked on, none as failed, and the server answers as before."""
    assert statuses(served, request(b"content-length: 100")) == []
    wait_until("end", lambda: sample(served, "ml_requests_in_progress", 'entry="gateway"') == 0, served.log)
    assert sample(served, "ml_requests_total", 'code="500" entry="gateway"') == 0
    assert "Traceback" not in served.log.read_text()
    assert statuses(served, request(LENGTH)) == [200]
