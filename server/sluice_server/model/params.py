"""What a model takes beside its rows: the params of its MLflow signature. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec


class ParamsError(ValueError):
    """Params of a signature that cannot be read; the message says what to do."""


class _Entry(msgspec.Struct):
    name: str
    type: str
    default: Any = None
    shape: list[int] | None = None


@dataclass(frozen=True, slots=True)
class Param:
    """One param: MLflow's name for its type, and whether it is a list of such values."""

    name: str
    type: str
    is_list: bool


def parse_params(params: str | None) -> tuple[Param, ...]:
    """The params of a signature (a JSON string, as MLmodel has it). Raises ParamsError.

    There are none without a string, and in `null`: MLflow writes that, and the YAML of MLmodel is read as text.
    """
    if not params:
        return ()
    try:
        entries = msgspec.json.decode(params, type=list[_Entry] | None)
    except msgspec.DecodeError:
        raise ParamsError(
            "the signature's params are not a JSON list of names and types: log the model again"
        ) from None
    return tuple(Param(entry.name, entry.type, entry.shape is not None) for entry in entries or ())
