"""Answers that are no finite number: any client can bring a healthy model there, so they are no failure of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xgboost
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, PoissonRegressor

from sluice_server.model.schema import Column, Kind, Schema
from sluice_server.runtimes.port import NotFiniteError
from sluice_server.runtimes.sklearn_model import SklearnModel
from sluice_server.runtimes.xgboost_model import load

if TYPE_CHECKING:
    from tests.unit.sluice_server.conftest import Client, Save, Start

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numpy, for what it rounds to infinity

FLOWERS, SPECIES = load_iris(return_X_y=True)
GOOD, HUGE = [5.1, 3.5, 1.4, 0.2], [1e30, 3.5, 1.4, 0.2]
COUNTS = PoissonRegressor(alpha=1e-6, max_iter=1_000).fit(FLOWERS, np.exp(FLOWERS[:, 0]))
INFINITE = "the model's answer for row 1 is infinite"
BYTES = np.array([GOOD, HUGE]).tobytes()


def served(start: Start, save: Save, folder: Path, estimator: Any) -> Client:
    client = start(model_dir=save(folder / "model", estimator))
    assert client.get("/health/ready").status_code == 200
    return client


def tensor(**fields: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "rows", "shape": [2, 4], "datatype": "FP64", **fields}]}


def with_bytes() -> dict[str, Any]:
    """A request with its rows behind the JSON, which wants bytes back: these could say infinity."""
    head = tensor(parameters={"binary_data_size": len(BYTES)}) | {"parameters": {"binary_data_output": True}}
    text = json.dumps(head).encode()
    headers = {"content-type": "application/octet-stream", "inference-header-content-length": str(len(text))}
    return {"content": text + BYTES, "headers": headers}


@pytest.mark.parametrize(
    ("path", "sent", "code"),
    [
        ("/predict", {"json": {"features": [GOOD, HUGE]}}, 422),
        ("/invocations", {"json": {"inputs": [GOOD, HUGE]}}, 400),
        ("/v2/models/iris/infer", {"json": tensor(data=GOOD + HUGE)}, 400),
        ("/v2/models/iris/infer", with_bytes(), 400),
    ],
    ids=["plain", "mlflow", "open inference", "bytes"],
)
def test_an_infinite_answer_refuses_the_request_in_each_dialect(
    start: Start, save: Save, tmp_path: Path, path: str, sent: dict[str, Any], code: int
) -> None:
    """Not as null, which would be no answer that looks like one; nor as a failure, which would count."""
    client = served(start, save, tmp_path, COUNTS)
    answer = client.post(path, **sent)
    assert (answer.status_code, INFINITE in answer.text) == (code, True)
    assert client.value("ml_requests_total", code=str(code)) == 1
    assert client.value("ml_requests_total", code="500") == 0
    assert client.post("/predict", json={"features": [GOOD]}).status_code == 200


def test_nan_from_a_model_is_no_prediction() -> None:
    """One that answers NaN to everything never gets ready, and says why."""
    features, target = load_diabetes(return_X_y=True)
    estimator = LinearRegression().fit(features, target)
    estimator.coef_ = estimator.coef_ * np.nan
    with pytest.raises(NotFiniteError, match="the model's answer for row 0 is NaN"):
        SklearnModel(estimator, features[:1]).predict(features[:3])


def test_a_model_that_answers_nothing_but_nan_is_not_ready(start: Start, save: Save, tmp_path: Path) -> None:
    """Refusals are compared with those of another version; of a first one, nobody could tell."""
    estimator = LinearRegression().fit(FLOWERS, SPECIES)
    estimator.intercept_ = np.nan
    client = start(model_dir=save(tmp_path / "model", estimator))
    ready = client.get("/health/ready")
    assert (ready.status_code, "the model's answer for row 0 is NaN" in ready.text) == (503, True)


def test_a_linear_booster_is_refused_its_infinity(tmp_path: Path) -> None:
    """Where XGBoost computes in single precision, 88 is beyond the largest exponent."""
    trained = xgboost.XGBRegressor(booster="gblinear", objective="count:poisson", n_estimators=20, n_jobs=1)
    trained.fit(FLOWERS, np.exp(FLOWERS[:, 0])).save_model(tmp_path / "model.ubj")
    model = load(tmp_path / "model.ubj", Schema(tuple(Column(str(at), Kind.NUMBER) for at in range(4))), FLOWERS[:2])
    with pytest.raises(NotFiniteError, match=INFINITE):
        model.predict(np.array([GOOD, HUGE]))
