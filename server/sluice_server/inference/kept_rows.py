"""The rows of a prediction as the store keeps them for retraining: one line of JSON for each row. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

import msgspec

from sluice_server import logs
from sluice_server.inference.prediction import Prediction
from sluice_server.inference.prediction_ids import MAX_ROWS
from sluice_server.inference.prediction_log import ALL_COLUMNS
from sluice_server.model.identity import Identity
from sluice_server.model.schema import Rows

MAX_LINE = 64 * 1024  # bytes; a longer row is not kept


class Keeper(Protocol):
    """Keeps the rows of a prediction; must not block."""

    def keep(self, rows: Rows, prediction: Prediction, classes: Sequence[Any] | None) -> None:
        """`classes`: the labels of a classifier, by class index."""
        ...


class KeptRows:
    """Writes the lines. Columns that are `redacted` are left out; ALL_COLUMNS stands for each of them."""

    def __init__(self, identity: Identity, names: tuple[str, ...], redacted: Collection[str]) -> None:
        self._model = {"version": identity.version, "revision": identity.revision}
        self._kept = [(at, name) for at, name in enumerate(names) if not {name, ALL_COLUMNS} & set(redacted)]
        self._encode = msgspec.json.Encoder(enc_hook=str).encode

    def lines(self, rows: Rows, prediction: Prediction, classes: Sequence[Any] | None, now: float) -> list[bytes]:
        """A line for each of the first MAX_ROWS rows. `now`: seconds since the epoch."""
        given = {"prediction": prediction.kept_as, "time": now, "correlation_id": logs.correlation_id.get()}
        shared = given | self._model
        features = rows[:MAX_ROWS].tolist()
        predicted = _predicted(prediction, classes)
        return [self._line(shared, row, features[row], predicted[row]) for row in range(len(features))]

    def _line(self, shared: dict[str, Any], row: int, values: list[Any], predicted: object) -> bytes:
        features = {name: values[at] for at, name in self._kept}
        return self._encode({**shared, "row": row, "features": features, "predicted": predicted})


def _predicted(prediction: Prediction, classes: Sequence[Any] | None) -> list[Any]:
    """For each row the class, as feedback names it, or the value where the model predicts no classes."""
    if classes is not None and prediction.class_indexes:
        return [classes[index] for index in prediction.class_indexes[:MAX_ROWS]]
    return prediction.output.slice(0, MAX_ROWS).records
