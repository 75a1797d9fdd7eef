"""Estimators of LightGBM in skops files: they answer as in LightGBM, which gets no booster that was not checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import skops.io
from sklearn.utils import Bunch

from sluice_server.model.schema import Column, Kind, Schema
from sluice_server.runtimes.lightgbm import ESTIMATOR_TYPES
from sluice_server.runtimes.lightgbm_estimator import load
from sluice_server.runtimes.lightgbm_model import LightgbmModel
from sluice_server.runtimes.port import ModelError

chance = np.random.default_rng(0)
ROWS = chance.normal(size=(300, 4))
ROWS[::7, 1] = np.nan
SUM = np.nansum(ROWS, axis=1)
YES, OF_THREE = np.where(SUM > 0, "yes", "no"), np.digitize(SUM, (-1, 1)) + 5
SCHEMA = Schema(tuple(Column(str(at), Kind.NUMBER) for at in range(4)))
SMALL: dict[str, Any] = {"n_estimators": 5, "num_leaves": 5, "verbose": -1, "n_jobs": 1}


def loaded(estimator: Any, folder: Path) -> LightgbmModel:
    skops.io.dump(estimator, folder / "model.skops")
    return load(folder / "model.skops", SCHEMA, ESTIMATOR_TYPES, ROWS[:2], made_up=False)


@pytest.mark.parametrize("labels", [YES, OF_THREE], ids=["two", "three"])
def test_a_classifier_answers_its_labels_and_probabilities(labels: Any, tmp_path: Path) -> None:
    """Text or numbers, with missing values, bit by bit."""
    classifier = lightgbm.LGBMClassifier(**SMALL).fit(ROWS, labels)
    model = loaded(classifier, tmp_path)
    answer = model.predict(ROWS)
    assert model.classes == tuple(classifier.classes_.tolist())
    assert np.array_equal(answer.values, classifier.predict(ROWS))
    assert answer.probabilities is not None
    assert np.array_equal(answer.probabilities, classifier.predict_proba(ROWS))
    assert answer.classes is not None
    assert np.array_equal(classifier.classes_[answer.classes], answer.values)


@pytest.mark.parametrize("name", ["pred_early_stop", "raw_score", "is_predict_contrib"])
def test_a_parameter_that_changes_predictions_is_refused(name: str, tmp_path: Path) -> None:
    """LightGBM gives it to each prediction, and the server would answer something else than the estimator."""
    classifier = lightgbm.LGBMClassifier(**SMALL, **{name: True}).fit(ROWS, YES)
    with pytest.raises(ModelError, match=rf"its parameter {name}=True .* set_params\({name}=False\)"):
        loaded(classifier, tmp_path)
    loaded(classifier.set_params(**{name: False}), tmp_path)


def test_a_classifier_stops_at_its_best_round(tmp_path: Path) -> None:
    """The rounds after it may be in the file, and are not asked."""
    classifier = lightgbm.LGBMClassifier(**SMALL).fit(ROWS, YES)
    all_rounds = classifier.predict_proba(ROWS)
    classifier.booster_.best_iteration = 2
    answered = loaded(classifier, tmp_path).predict(ROWS).probabilities
    assert answered is not None
    assert np.array_equal(answered, classifier.predict_proba(ROWS))
    assert not np.array_equal(answered, all_rounds)


@pytest.mark.parametrize(
    "estimator",
    [
        lightgbm.LGBMRegressor(**SMALL).fit(ROWS, SUM),
        lightgbm.LGBMRanker(**SMALL).fit(ROWS, OF_THREE, group=[100, 200]),
    ],
    ids=["regressor", "ranker"],
)
def test_what_has_no_labels_answers_numbers(estimator: Any, tmp_path: Path) -> None:
    """Without classes and probabilities."""
    model = loaded(estimator, tmp_path)
    answer = model.predict(ROWS)
    assert (model.classes, answer.probabilities) == (None, None)
    assert np.array_equal(answer.values, estimator.predict(ROWS))


def test_a_booster_that_was_changed_is_not_loaded(tmp_path: Path) -> None:
    """Its text is checked before LightGBM has it; other objects in its place have none."""
    classifier = lightgbm.LGBMClassifier(**SMALL).fit(ROWS, YES)
    text = classifier.booster_.model_to_string()
    state = {"_handle": text.replace("num_leaves=5", "num_leaves=6", 1), "best_iteration": 0}
    members = {"__module__": "lightgbm.basic", "__getstate__": lambda _: state, "_handle": None, "_network": False}
    hostile = type("Booster", (lightgbm.Booster,), members)
    changed: Any = object.__new__(hostile)
    for other in (changed, Bunch(described=Bunch(text=text, outputs=1), best_iteration=0), None):
        classifier._Booster = other
        with pytest.raises(ModelError, match="changed by hand"):
            loaded(classifier, tmp_path)
    with pytest.raises(ModelError, match="no fitted estimator of LightGBM"):
        loaded({"no": "model"}, tmp_path)


def test_boosters_are_loaded_as_ever_afterwards(tmp_path: Path) -> None:
    """LightGBM itself is as it was."""
    classifier = lightgbm.LGBMClassifier(**SMALL).fit(ROWS, YES)
    loaded(classifier, tmp_path)
    again = skops.io.load(tmp_path / "model.skops", trusted=sorted(ESTIMATOR_TYPES))
    assert np.array_equal(again.predict(ROWS), classifier.predict(ROWS))
