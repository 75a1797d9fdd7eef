"""JSON that others have a part in, such as the objects of the API server. Pure.

The API server takes 10,000 brackets in one another, in fields that it does not know. Python reads about a thousand.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

_DEEPEST = 200  # of mappings and lists in one another; no kind of object has half as many
_MARK = b'"left out: nested too deeply"'
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[{]|[\]}]', re.DOTALL)


def decoded(text: bytes | msgspec.Raw, kind: Any = Any) -> Any:
    """A value of the type `kind`, with a sentence in the place of what is nested too deeply to be read.

    Raises ValueError if it is none.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except RecursionError:
        return msgspec.json.decode(_shallow(bytes(text)), type=kind)


def _shallow(text: bytes) -> bytes:
    """It takes about 0.4 s for a megabyte of brackets."""
    return b"".join(_shallow_parts(text))


def _shallow_parts(text: bytes) -> Iterator[bytes]:
    depth, begin = 0, 0
    for token in _TOKENS.finditer(text):
        if token[0] in (b"[", b"{"):
            if depth == _DEEPEST:
                yield text[begin : token.start()]
                yield _MARK
            depth += 1
        elif token[0] in (b"]", b"}"):
            depth -= 1
            if depth == _DEEPEST:
                begin = token.end()
    yield text[begin:]
