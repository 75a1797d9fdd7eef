"""Three versions of a model of XGBoost that takes text, numbers with gaps and booleans, and rows for its callers."""

from typing import Any

import mlflow
import numpy as np
from mlflow import MlflowClient
from numpy.typing import NDArray
from xgboost import XGBClassifier

from dev.demo.models import Version, Versions
from dev.demo.traffic import Row
from dev.models import data

NAME = "customers"
WRONG_LABELS = 0.45  # the share of them in the training of the bad version


def rows() -> tuple[Row, ...]:
    """City, age, visits and whether a member, as a client sends them: what is missing is null."""
    table, _ = data.customers()
    cells = table.astype(object).where(table.notna(), None)
    return tuple((tuple(row), int(label)) for row, label in zip(cells.values.tolist(), _labels(), strict=True))


def registered(tracking_uri: str) -> Versions:
    """Train and register a fair, a good and a bad version."""
    mlflow.set_tracking_uri(tracking_uri)
    right = _labels()
    wrong = np.where(np.random.default_rng(1).random(len(right)) < WRONG_LABELS, 1 - right, right)
    fair, good = XGBClassifier(n_estimators=5, max_depth=3), XGBClassifier(n_estimators=20, max_depth=6)
    return Versions(_registered(fair, right), _registered(good, right), _registered(good, wrong))


def _labels() -> NDArray[np.int64]:
    _, stays = data.customers()
    return np.asarray(stays == "stays", dtype=np.int64)


def _registered(classifier: XGBClassifier, labels: NDArray[np.int64]) -> Version:
    table: Any = data.customers()[0]
    table = table.assign(city=table.city.astype("category"))
    classifier.set_params(enable_categorical=True).fit(table, labels)
    with mlflow.start_run():
        mlflow.xgboost.log_model(
            classifier,
            name="model",
            signature=mlflow.models.infer_signature(table, labels),
            input_example=table[:2].astype({"city": str}),
            registered_model_name=NAME,
        )
    newest = max(int(version.version) for version in MlflowClient().search_model_versions(f"name='{NAME}'"))
    correct = int((classifier.predict(table) == _labels()).sum())
    return Version(str(newest), f"models:/{NAME}/{newest}", correct, len(labels))
