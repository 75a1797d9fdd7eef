"""A model that its file promises and its runtime cannot load: run as code where that is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import mlflow
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from sluice_server import runtimes
from sluice_server.fetch import trial
from sluice_server.fetch.fetch import fetch
from sluice_server.fetch.image import this_image
from sluice_server.fetch.outcome import Fetched
from sluice_server.fetch.own_process import Limits
from sluice_server.model.manifest import FILES, Manifest
from sluice_server.settings import fetch_settings
from tests.unit.sluice_server.conftest import Save

# MLflow and pandas warn about each other while models are made here.
pytestmark = pytest.mark.filterwarnings("ignore")
X, Y = load_iris(return_X_y=True, as_frame=True)
LINEAR: dict[str, Any] = {"linear_tree": True, "verbose": -1, "num_threads": 1}


def fetched(folder: Path, trust: str) -> Manifest:
    """What a model saved in `folder` becomes."""
    env = {"SLUICE_MODEL_URI": str(folder / "saved"), "SLUICE_MODEL_DIR": str(folder / "pod"), "SLUICE_TRUST": trust}
    outcome = fetch(fetch_settings(env), this_image(), local=True)
    assert isinstance(outcome, Fetched), outcome
    return outcome.manifest


@pytest.mark.parametrize("saved_by", ["estimator", "booster"])
def test_linear_trees_are_run_as_code(tmp_path: Path, saved_by: str) -> None:
    """What is served as data does not take them; in an estimator's file only loading it shows them."""
    how: dict[str, Any] = {}
    if saved_by == "booster":
        model = lightgbm.train(LINEAR, lightgbm.Dataset(X, Y), 3)
    else:
        model = lightgbm.LGBMRegressor(n_estimators=3, **LINEAR).fit(X, Y)
        types = ["collections.OrderedDict", "collections.defaultdict", "lightgbm.basic.Booster"]
        types += ["lightgbm.sklearn.LGBMRegressor", "numpy.dtype"]
        how = {"serialization_format": "skops", "skops_trusted_types": types}
    signature = mlflow.models.infer_signature(X, model.predict(X))
    mlflow.lightgbm.save_model(
        model, tmp_path / "saved", signature=signature, input_example=X[:2], pip_requirements=["lightgbm"], **how
    )
    found = fetched(tmp_path, "Code")
    assert (found.runtime, found.flavor) == ("pyfunc", "lightgbm")
    rows = X.to_numpy()
    loaded = runtimes.by_name(found.runtime).load(tmp_path / "pod" / FILES, found, (), rows[:2])
    assert np.allclose(loaded.predict(rows).values, model.predict(X))


def test_what_can_be_loaded_as_data_is_not_run_as_code(tmp_path: Path) -> None:
    """Whatever is allowed: it starts faster, and its classes are known."""
    model = LogisticRegression(max_iter=500).fit(X, Y)
    signature = mlflow.models.infer_signature(X, model.predict(X))
    saved = tmp_path / "saved"
    how = {"pip_requirements": ["scikit-learn"], "serialization_format": "skops"}
    mlflow.sklearn.save_model(model, saved, signature=signature, input_example=X[:2], **how)
    assert fetched(tmp_path, "Code").runtime == "skops"


def test_a_trial_that_does_not_end_says_nothing_of_the_model(forest: Any, save: Save, tmp_path: Path) -> None:
    """A busy node must not decide which runtime a revision has."""
    folder = save(tmp_path / "model", forest)
    assert trial.is_loaded(folder, Limits(None, clock=0.01))
    assert trial.is_loaded(folder, Limits(None))
    (folder / FILES / "model.skops").write_bytes(b"not a model")
    assert not trial.is_loaded(folder, Limits(None))
