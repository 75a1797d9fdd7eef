"""What a request gets from the data plane: the model's output for its rows, and an id that labels can name later."""

from __future__ import annotations

import msgspec

from sluice_server.runtimes.output import Output


class Prediction(msgspec.Struct, frozen=True):
    """`class_indexes` has one class index per row, and is empty where the model predicts no classes.

    `id` is None for a prediction that takes no feedback. `kept_as`: 16 hex digits under which the store keeps its rows;
    empty for one that is not kept.
    """

    output: Output
    class_indexes: list[int]
    id: str | None
    kept_as: str = ""
