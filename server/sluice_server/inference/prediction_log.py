"""The log record of a prediction: features by column name, prediction and model, for a sampled share of requests."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from sluice_server import logs
from sluice_server.inference.prediction import Prediction
from sluice_server.model.identity import Identity
from sluice_server.model.schema import Rows

MOST_ROWS = 20  # of one request; the rest would only fill the disk
ALL_COLUMNS = "*"
REDACTED = "redacted"
logger = logging.getLogger("sluice.prediction")


class PredictionMade(logs.Event, frozen=True, kw_only=True, gc=False):
    """Of a request with one row, `features` and `prediction` are those of the row, else a list of them."""

    logger: str = logger.name
    message: str = "Prediction made"
    event: str = "prediction"
    features: Any
    prediction: Any
    prediction_id: str | None
    rows: int
    model: dict[str, str]


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
        self._named = _naming(names)
        self._redacted = [at for at, name in enumerate(names) if name in redacted or ALL_COLUMNS in redacted]
        self._share = share
        self._chance = chance
        self._classes: Sequence[Any] | None = None
        self._class_objects: list[dict[str, Any]] = []
        for name in sorted(set(redacted) - {*names, ALL_COLUMNS}):
            logger.warning("SLUICE_PREDICTION_LOG_REDACT names %r, which is no column of the model", name)

    def write(self, rows: Rows, prediction: Prediction, classes: Sequence[Any] | None) -> None:
        """Logs a request's rows and what was predicted for them, if it is in the sample.

        `classes`: the labels of a classifier, by class index.
        """
        if self._share == 0.0 or self._chance() >= self._share:
            return
        features = self._features(rows)
        predictions = self._predictions(prediction, classes)
        one = len(rows) == 1
        record = PredictionMade(
            features=features[0] if one else features,
            prediction=predictions[0] if one else predictions,
            prediction_id=prediction.id,
            rows=len(rows),
            model=self._model,
        )
        logs.event(logger, record)

    def _features(self, rows: Rows) -> list[Any]:
        """One object per row, by the names of the columns."""
        logged = rows[:MOST_ROWS].tolist()
        for row in logged if self._redacted else ():
            for at in self._redacted:
                row[at] = REDACTED
        return [self._named(*row) for row in logged]

    def _predictions(self, prediction: Prediction, classes: Sequence[Any] | None) -> list[dict[str, Any]]:
        """One object per row: index and name of the class, or the value where the model predicts no classes."""
        indexes = prediction.class_indexes[:MOST_ROWS]
        if classes is None or not indexes:
            return [{"value": value} for value in prediction.output.values[:MOST_ROWS].tolist()]
        if classes is not self._classes:
            self._classes = classes
            self._class_objects = [{"class_id": at, "class_name": str(label)} for at, label in enumerate(classes)]
        return [self._class_objects[index] for index in indexes]


def _naming(names: tuple[str, ...]) -> Callable[..., Any]:
    """What makes an object of the values of a row: a struct, in a fifth of the time that a dict takes.

    A struct takes no name with a quotation mark, a backslash or a control character, and none twice.
    """
    fields = [(f"column_{at}", Any) for at in range(len(names))]
    try:
        return msgspec.defstruct(
            "Features", fields, rename={field: name for (field, _), name in zip(fields, names, strict=True)}, gc=False
        )
    except ValueError:
        return lambda *row: dict(zip(names, row, strict=True))
