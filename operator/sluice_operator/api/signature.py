"""What the requests and the responses of a model look like, as its model server reports them at `/metadata`."""

from typing import Any

import msgspec


class Column(msgspec.Struct, frozen=True):
    """One input of a model. `type`: number, integer, boolean, string or datetime."""

    name: str
    type: str
    required: bool = True


class Tolerance(msgspec.Struct, frozen=True):
    """How far a number may be from its label and be right: in its unit or, if `relative`, as a share of the label."""

    by: float
    relative: bool = False


class Predictions(msgspec.Struct, frozen=True):
    """What a response has for each row. `classes`: of a classifier, in the order of its probabilities.

    `tolerance`: of a model of numbers that take labels.
    """

    type: str
    values: int = 1
    classes: tuple[Any, ...] | None = None
    probabilities: bool = False
    tolerance: Tolerance | None = None


class Signature(msgspec.Struct, frozen=True):
    """Inputs in the order that rows without names have, and what comes back."""

    columns: tuple[Column, ...]
    predictions: Predictions


class _Metadata(msgspec.Struct):
    """The part of `/metadata` that is looked at."""

    signature: Signature


def parse(metadata: bytes) -> Signature | None:
    """The signature in the JSON of `/metadata`; None if that does not say, as those of older model servers.

    Whatever an image answers, nothing is raised.
    """
    try:
        return msgspec.json.decode(metadata, type=_Metadata).signature
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
