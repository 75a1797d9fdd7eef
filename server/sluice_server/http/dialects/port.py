"""What a dialect of the prediction API has to offer: one way to write rows, predictions and rejections as bytes.

A dialect translates. Which rows fit the model is decided by `inference.rows`, and everything that happens to a
request between its bytes and its response by `predict`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import msgspec

from sluice_server.inference.params import NO_PARAMS, ParamReader, Params
from sluice_server.inference.prediction import Prediction
from sluice_server.inference.rejection import Cause, Rejection
from sluice_server.inference.rows import RowReader
from sluice_server.model.identity import Identity
from sluice_server.model.schema import Rows

# What all dialects have in common; each adds its status of an INVALID request.
STATUS: Mapping[Cause, int] = {
    Cause.TOO_LARGE: 413,
    Cause.TOO_SLOW: 408,
    Cause.UNREADABLE: 415,
    Cause.NOT_READY: 503,
    Cause.OVERLOADED: 503,
    Cause.LIMITED: 429,
    Cause.CROWDED: 429,  # what callers send says nothing about the model
    Cause.FAILED: 500,
}


class Parsed(msgspec.Struct, frozen=True):
    """A body as its dialect understood it: the rows, what it says beside them, and what the response has to repeat."""

    rows: Rows
    echo: Any = None
    params: Params | None = None


class Body(msgspec.Struct, frozen=True, gc=False):
    """What is sent back: bytes, their content type, and headers of the dialect's own."""

    content: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Dialect(Protocol):
    """One dialect, made once per process.

    `status` has the HTTP status of each cause of a rejection; a prediction is a 200. `format` completes the sentence
    "the body must be ..." for a body that it does not read. `paths` are those that it answers a POST at, without a
    trailing slash.
    """

    status: ClassVar[Mapping[Cause, int]]
    format: ClassVar[str]
    paths: tuple[str, ...]

    def __init__(self, rows: RowReader, identity: Identity, params: ParamReader = NO_PARAMS) -> None: ...

    def reads(self, content_type: str) -> bool:
        """Whether it reads a body of this type; the header may be absent, which is an empty text."""

    def parse(self, body: bytes, content_type: str = "", json_bytes: int | None = None) -> Parsed | Rejection:
        """The rows of a body, or why there are none. `json_bytes`: how much of it is JSON, if the request says that."""

    def write(self, prediction: Prediction, echo: Any) -> Body:
        """The body of a response; `echo` is that of the parsed request."""

    def write_rejection(self, rejection: Rejection) -> bytes:
        """The body of a response without a prediction, as JSON."""
