"""A model of XGBoost in memory, which answers as its class in XGBoost's own API does.

XGBoost is imported without scikit-learn, which its Booster does not need: 1.5 s and
70 MB less.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sluice_server.model.schema import Rows, Schema
from sluice_server.runtimes import row_count, xgboost_file
from sluice_server.runtimes.encoding import encoding
from sluice_server.runtimes.finite import finite
from sluice_server.runtimes.missing import nullable
from sluice_server.runtimes.optional import without
from sluice_server.runtimes.output import Output, Values
from sluice_server.runtimes.perturbed import trials
from sluice_server.runtimes.port import OtherAnswersError
from sluice_server.runtimes.xgboost_file import XgboostFile

_THRESHOLD = 0.5
_NEAR = 1e-5  # dart rounds differently on the two ways
_CLASSIFIER, _BOOSTER = "classifier", ""


class XgboostModel:
    """See `port.LoadedModel`. It is asked for the rows of `example` to see where it takes missing values."""

    def __init__(self, content: bytes, described: XgboostFile, schema: Schema, example: Rows) -> None:
        with without("sklearn", "pandas"):
            import xgboost  # noqa: PLC0415 - takes most of a start

        self._encoding = encoding(schema, described.names, described.width, described.categories, refuses_unknown=True)
        self._matrix_type = xgboost.DMatrix
        self._booster = xgboost.Booster({"nthread": 1})  # a pool of threads for one row costs more than it gives
        self._booster.load_model(bytearray(content))
        self._takes_arrays = described.booster != "gblinear"
        best = described.best_round if described.estimator != _BOOSTER else None
        self._rounds = (0, 0 if best is None or not self._takes_arrays else best + 1)  # 0: all
        self._answer, self.classes = _answer(described)
        self._type = "margin" if self._answer is _of_margins else "value"
        self.nullable = nullable(self.predict, example)

    def predict(self, rows: Rows) -> Output:
        """The output for rows in the order of the signature.

        Raises UnfitRowsError for a category that XGBoost does not know, and for answers that are not finite; and what
        XGBoost raises.
        """
        matrix = self._encoding.matrix(rows)
        return self._answer(finite(self._raw(matrix) if self._takes_arrays else self.own(matrix)))

    def prove(self, example: Rows, schema: Schema) -> None:
        """See that arrays lead to what XGBoost gives for its own matrices, for the example and rows near it."""
        if not self._takes_arrays:
            return
        for rows in trials(example, schema, self.nullable):
            matrix = self._encoding.matrix_of_known(rows)
            if not np.allclose(self._raw(matrix), self.own(matrix), _NEAR, _NEAR):
                raise OtherAnswersError

    def _raw(self, matrix: NDArray[np.float64]) -> Values:
        raw: Values = self._booster.inplace_predict(
            matrix, iteration_range=self._rounds, predict_type=self._type, validate_features=False
        )
        return raw

    def own(self, matrix: NDArray[np.float64]) -> Values:
        """What XGBoost gives for a matrix of its own: the way that every booster has, and the longer one."""
        own: Values = self._booster.predict(
            self._matrix_type(matrix, nthread=1),
            iteration_range=self._rounds,
            output_margin=self._type == "margin",
            validate_features=False,
        )
        return own


def load(path: Path, schema: Schema, example: Rows) -> XgboostModel:
    """The model in a file, which has answered `example`. Raises ModelError, and what XGBoost raises."""
    content = path.read_bytes()
    model = XgboostModel(content, xgboost_file.read(content), schema, example)
    row_count.prove(model.predict, example)
    model.prove(example, schema)
    return model


def _answer(described: XgboostFile) -> tuple[Callable[[Values], Output], tuple[Any, ...] | None]:
    """What becomes of XGBoost's numbers, and the classes: `predict` and `predict_proba` of its classes, in short."""
    if described.estimator != _CLASSIFIER:
        return _numbers, None
    if described.targets > 1 or (described.classes == 2 and described.objective == "multi:softprob"):
        return _sets, None
    classes = tuple(range(max(described.classes, 2)))  # it numbers them, and takes no other labels
    if described.classes > 1:
        return (_of_margins if described.objective == "multi:softmax" else _of_shares), classes
    return (_of_share if described.objective == "binary:logistic" else _of_scores), classes


def _numbers(values: Values) -> Output:
    return Output(values, None, None)


def _sets(shares: Values) -> Output:
    return Output((shares > _THRESHOLD).astype(np.float64), None, None)


def _of_shares(shares: Values) -> Output:
    labels = np.argmax(shares, axis=1)
    return Output(labels, shares, labels)


def _of_margins(margins: Values) -> Output:
    powers = np.exp(margins - margins.max(axis=1, keepdims=True))
    return _of_shares(powers / powers.sum(axis=1, keepdims=True))


def _of_share(share: Values) -> Output:
    labels = (share > _THRESHOLD).astype(np.int64)
    return Output(labels, np.column_stack((1.0 - share, share)), labels)


def _of_scores(scores: Values) -> Output:
    labels = (scores > _THRESHOLD).astype(np.int64)
    return Output(labels, None, labels)
