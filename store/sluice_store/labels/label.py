"""A label as a pod of the model server sends it: which row of which prediction, and whether that was right."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

_Name = Annotated[str, msgspec.Meta(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
_Value: TypeAlias = Annotated[str, msgspec.Meta(max_length=1_000)] | int | float


class Label(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One label. `prediction`: request id inside of the prediction id, in hex; `issued`: seconds since the epoch.

    The pod has checked the signature of the prediction id; here only the pair of prediction and row matters. `claim`:
    random hex digits, others for each label that comes to a pod, and the same when the pod sends that label again.
    `value`: the label itself, only where the row of the prediction is kept.
    """

    prediction: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}$")]
    claim: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}$")]
    row: Annotated[int, msgspec.Meta(ge=0, lt=64)]
    model_deployment: _Name
    revision: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]{1,16}$")]
    entry: Literal["cluster", "gateway"]
    issued: Annotated[int, msgspec.Meta(ge=0, lt=2**40)]
    correct: bool
    value: _Value | None = None


class Totals(msgspec.Struct, frozen=True):
    """How many labels of one revision were counted and were right, and how many came for a row that had one."""

    model_deployment: str
    revision: str
    entry: str
    labels: int
    correct: int
    repeats: int
