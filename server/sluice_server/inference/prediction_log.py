"""The log record of a prediction: features by column name, prediction and model, for a sampled share of requests."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable

from sluice_server.inference.prediction import Prediction
from sluice_server.model.identity import Identity
from sluice_server.model.schema import Rows

MOST_ROWS = 20  # of one request; the rest would only fill the disk
logger = logging.getLogger("sluice.prediction")


class PredictionLog:
    """Writes one `event: prediction` record per sampled request; `share` 0 is off, 1 is all."""

    def __init__(
        self, identity: Identity, names: tuple[str, ...], share: float, chance: Callable[[], float] = random.random
    ) -> None:
        self._model = {"name": identity.model, "version": identity.version, "revision": identity.revision}
        self._names = names
        self._share = share
        self._chance = chance

    def write(self, rows: Rows, prediction: Prediction) -> None:
        """Logs a request's rows and what was predicted for them, if it is in the sample."""
        if self._share == 0.0 or self._chance() >= self._share:
            return
        features = [dict(zip(self._names, row, strict=True)) for row in rows[:MOST_ROWS].tolist()]
        fields = {
            "event": "prediction",
            "features": features[0] if len(rows) == 1 else features,
            "prediction": prediction.output.values[:MOST_ROWS].tolist(),
            "prediction_id": prediction.id,
            "rows": len(rows),
            "model": self._model,
        }
        logger.info("prediction made", extra={"fields": fields})
