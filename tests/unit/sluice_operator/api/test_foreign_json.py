"""JSON that is nested as deeply as the API server takes it is read, without what is too deep."""

from __future__ import annotations

import msgspec
import pytest

from sluice_operator.api import foreign_json

NESTS = {"lists": (b"[", b"]"), "mappings": (b'{"a":', b"}"), "both": (b'[1,{"a":[', b"]},2]")}


@pytest.mark.parametrize("nest", NESTS)
@pytest.mark.parametrize("depth", [1_000, 10_000])
def test_what_is_beside_a_deep_part_is_read(nest: str, depth: int) -> None:
    """The API server takes 10,000 brackets in one another."""
    opened, closed = NESTS[nest]
    text = b'{"before":[{}],"deep":' + opened * depth + b"0" + closed * depth + b',"after":{"a":[1]}}'
    read = foreign_json.decoded(text)
    assert (read["before"], read["after"]) == ([{}], {"a": [1]})
    assert len(msgspec.json.encode(read)) < 3_000


def test_brackets_and_quotes_in_a_text_are_text() -> None:
    """They open and close nothing."""
    text = r"[[{\"\\"
    deep = b"[" * 2_000 + b"]" * 2_000
    read = foreign_json.decoded(b'{"text":' + msgspec.json.encode(text) + b',"deep":' + deep + b',"last":"]"}')
    assert (read["text"], read["last"]) == (text, "]")


def test_what_is_no_json_is_refused() -> None:
    """Deep or not."""
    for text in (b"", b"{", b"[" * 2_000, b"]" * 2_000):
        with pytest.raises(ValueError, match=r"malformed|truncated"):
            foreign_json.decoded(text)
