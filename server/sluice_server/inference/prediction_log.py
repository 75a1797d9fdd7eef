"""The log record of a prediction: features by column name, prediction and model, for a sampled share of requests."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Collection, Sequence
from typing import Any

from sluice_server import logs
from sluice_server.inference.prediction import Prediction
from sluice_server.model.identity import Identity
from sluice_server.model.schema import Rows

MOST_ROWS = 20  # of one request; the rest would only fill the disk
ALL_COLUMNS = "*"
REDACTED = "redacted"
logger = logging.getLogger("sluice.prediction")


class PredictionLog:
    """Writes one `event: prediction` record per sampled request; `share` 0 is off, 1 is all.

    Values of the columns `redacted` are never written: REDACTED is in their place. ALL_COLUMNS stands for each of them.
    """

    def __init__(
        self,
        identity: Identity,
        names: tuple[str, ...],
        share: float,
        redacted: Collection[str] = (),
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._model = {
            "name": identity.model,
            "version": identity.version,
            "revision": identity.revision,
            "source": identity.source,
        }
        self._names = names
        self._redacted = dict.fromkeys(names if ALL_COLUMNS in redacted else set(redacted) & set(names), REDACTED)
        self._share = share
        self._chance = chance
        for name in sorted(set(redacted) - {*names, ALL_COLUMNS}):
            logger.warning("SLUICE_PREDICTION_LOG_REDACT names %r, which is no column of the model", name)

    def write(self, rows: Rows, prediction: Prediction, classes: Sequence[Any] | None) -> None:
        """Logs a request's rows and what was predicted for them, if it is in the sample.

        `classes`: the labels of a classifier, by class index.
        """
        if self._share == 0.0 or self._chance() >= self._share:
            return
        features = [dict(zip(self._names, row, strict=True)) | self._redacted for row in rows[:MOST_ROWS].tolist()]
        predictions = _predictions(prediction, classes)
        fields = {
            "event": "prediction",
            "features": features[0] if len(rows) == 1 else features,
            "prediction": predictions[0] if len(rows) == 1 else predictions,
            "prediction_id": prediction.id,
            "rows": len(rows),
            "model": self._model,
        }
        logs.event(logger, "Prediction made", fields)


def _predictions(prediction: Prediction, classes: Sequence[Any] | None) -> list[dict[str, Any]]:
    """One object per row: index and name of the class, or the value where the model predicts no classes."""
    indexes = prediction.class_indexes[:MOST_ROWS]
    if classes is not None and indexes:
        return [{"class_id": index, "class_name": str(classes[index])} for index in indexes]
    return [{"value": value} for value in prediction.output.values[:MOST_ROWS].tolist()]
