"""A class of LightGBM's scikit-learn API out of a skops file: its Booster, the labels of its classes, its best round.

The file has the Booster as text, which LightGBM would follow unchecked. So the text is checked where LightGBM would
load it, and nothing else of the estimator is followed: not its parameters, which LightGBM would also read. One that
changes what it predicts is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import skops.io

from sluice_server.model.schema import Rows, Schema
from sluice_server.runtimes import lightgbm_file
from sluice_server.runtimes.lightgbm_model import LightgbmModel, proven
from sluice_server.runtimes.nodes import changed
from sluice_server.runtimes.output import Values
from sluice_server.runtimes.port import ModelError

_OF_PREDICTIONS = {
    "pred_early_stop",
    *("start_iteration_predict", "num_iteration_predict"),
    *("predict_raw_score", "raw_score", "predict_rawscore", "is_predict_raw_score"),
    *("predict_leaf_index", "leaf_index", "is_predict_leaf_index"),
    *("predict_contrib", "contrib", "is_predict_contrib"),
}


def load(path: Path, schema: Schema, types: frozenset[str], example: Rows, made_up: bool) -> LightgbmModel:
    """The model in a skops file that constructs only `types`, which has answered `example`.

    Raises skops' own exceptions for other types, ModelError, and what LightGBM raises.
    """
    with _boosters_are_text():
        fitted = skops.io.load(path, trusted=sorted(types))
    if not isinstance(fitted, lightgbm.LGBMModel) or type(fitted._Booster) is not lightgbm.Booster:
        raise changed("it is no fitted estimator of LightGBM")
    _refuse_other_predictions(fitted._other_params)
    described = fitted._Booster.described
    labels = _labels(fitted, described.outputs) if isinstance(fitted, lightgbm.LGBMClassifier) else None
    best = int(fitted._Booster.best_iteration)
    rounds = best if 0 < best <= described.rounds else -1
    return proven(LightgbmModel(described, schema, example, made_up, labels, rounds), example)


def _refuse_other_predictions(parameters: Mapping[str, Any]) -> None:
    """LightGBM would also give them to each prediction. https://lightgbm.readthedocs.io/en/stable/Parameters.html"""
    for name in sorted(_OF_PREDICTIONS & parameters.keys()):
        if (value := parameters[name]) not in (None, False, 0):
            raise ModelError(
                f"its parameter {name}={value!r} changes what the model predicts, and the server does not follow it: "
                f"log the model after set_params({name}=False), or set trust: Code, if the administrator allows it"
            )


@contextmanager
def _boosters_are_text() -> Iterator[None]:
    """Boosters that are made meanwhile are what their checked text says, and nothing that LightGBM has loaded."""
    own = lightgbm.Booster.__setstate__

    def described(booster: Any, state: Mapping[str, Any]) -> None:
        booster._handle, booster._network = None, False  # what its destructor asks for
        booster.best_iteration = state["best_iteration"]
        booster.described = lightgbm_file.read(state["_handle"].encode())

    lightgbm.Booster.__setstate__ = described
    try:
        yield
    finally:
        lightgbm.Booster.__setstate__ = own


def _labels(fitted: Any, outputs: int) -> Values:
    labels = np.asarray(fitted._le.classes_)
    if labels.shape != (max(outputs, 2),):
        raise changed(f"it has labels of shape {labels.shape} for {outputs} outputs")
    return labels
