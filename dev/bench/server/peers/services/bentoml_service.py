"""A service as BentoML's documentation writes it. Runs in BentoML's environment; MODEL_FILE names the estimator."""

import os

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1)
class Iris:
    """One path that asks the model for each request, and one that joins requests."""

    def __init__(self) -> None:
        self._estimator = joblib.load(os.environ["MODEL_FILE"])

    @bentoml.api
    def predict(self, x: np.ndarray) -> np.ndarray:
        return self._estimator.predict(x)

    @bentoml.api(batchable=True, max_batch_size=4096)  # rows: 64 requests of the largest kind
    def predict_batch(self, x: np.ndarray) -> np.ndarray:
        return self._estimator.predict(x)
