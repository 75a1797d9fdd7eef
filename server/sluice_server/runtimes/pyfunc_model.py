"""A model that MLflow has loaded, whatever its flavor: its own code runs here, in the worker thread."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np

from sluice_server.model.manifest import Manifest
from sluice_server.model.schema import Rows
from sluice_server.runtimes import answers, frames, row_count
from sluice_server.runtimes.finite import finite
from sluice_server.runtimes.missing import nullable
from sluice_server.runtimes.output import Output, Values
from sluice_server.runtimes.port import ModelError
from sluice_server.runtimes.steps import refusal

_PROBABILITIES = "predict_proba"


class PyfuncModel:
    """See `port.CodeModel`. `function`: the method that answers for it. It is asked for the rows of `example`."""

    def __init__(
        self, model: mlflow.pyfunc.PyFuncModel, to_input: frames.ToInput, function: str, example: Rows
    ) -> None:
        self._model = model
        self._to_input = to_input  # its result may share memory with the rows, and code may change what it is given
        self._estimator = _estimator(model)
        self._shares: Callable[[Rows], Values] | None = None
        self._gives_shares = function == _PROBABILITIES
        self.classes: tuple[Any, ...] | None = None
        self.classes = self._found_classes(self.predict(example).values)
        self._index = {label: index for index, label in enumerate(self.classes or ())}
        if self.classes is not None and not self._gives_shares:
            self._shares = self._found_shares(example)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.nullable = nullable(self.predict, example)

    def predict(self, rows: Rows) -> Output:
        """The output for rows of shape (rows, columns); raises what the model raises, ModelError and UnfitRowsError."""
        return self.predict_with(rows, None)

    def predict_with(self, rows: Rows, params: Mapping[str, Any] | None) -> Output:
        """The same, with what a request says beside its rows."""
        try:
            return self._output(rows, params)
        except ValueError as error:
            if told := refusal(error):
                raise told from error
            raise

    def _output(self, rows: Rows, params: Mapping[str, Any] | None) -> Output:
        data = self._input(rows)
        answer = self._model.predict(data) if params is None else self._model.predict(data, params=dict(params))
        output = answers.per_row(answer, len(rows))
        if self.classes is None:
            return output
        if self._gives_shares:
            return Output(finite(output.values), output.values, np.argmax(output.values, axis=1))
        indexes = np.array([self._index[label] for label in output.values.tolist()])
        return Output(output.values, None if self._shares is None else finite(self._shares(rows)), indexes)

    def _input(self, rows: Rows) -> Any:
        """For one call of the model: a copy."""
        return self._to_input(rows.copy())

    def _found_classes(self, answered: Values) -> tuple[Any, ...] | None:
        """The labels of the classifier inside, if it is one and these are its answers."""
        labels = getattr(self._estimator, "classes_", None)
        if not isinstance(labels, np.ndarray) or labels.ndim != 1:
            return None
        if self._gives_shares:
            fits = answered.ndim == 2 and answered.shape[1] == len(labels)
        else:
            fits = answered.ndim == 1 and set(answered.tolist()) <= set(labels.tolist())
        return tuple(labels.tolist()) if fits else None

    def _found_shares(self, example: Rows) -> Callable[[Rows], Values] | None:
        """The method for probabilities of the classifier inside, if it has a usable one."""
        if not hasattr(self._estimator, _PROBABILITIES):
            return None

        def shares(rows: Rows) -> Values:
            return np.asarray(self._estimator.predict_proba(self._input(rows)))

        try:
            found = shares(example)
        except Exception:  # in whichever way it says that it gives none
            return None
        return shares if found.shape == (len(example), len(self.classes or ())) else None


def load(folder: Path, found: Manifest, example: Rows) -> PyfuncModel:
    """The model in a folder of MLflow's, which has answered `example`. Raises ModelError, and what its code does."""
    try:
        model = mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
    except ModuleNotFoundError as error:
        raise ModelError(
            f"the model's code needs the module {error.name!r}, which this server image does not have: add its package "
            "to pip_requirements when the model is logged, and set server.image to an image that has it"
        ) from error
    to_input = frames.for_signature(found.signature.inputs)
    loaded = PyfuncModel(model, to_input, found.predict_function, example)
    row_count.prove(loaded.predict, example)
    return loaded


def _estimator(model: mlflow.pyfunc.PyFuncModel) -> Any:
    """What the library of the flavor has made, where MLflow gives it out."""
    try:
        return model.get_raw_model()
    except NotImplementedError:
        return None
