"""What is ready answers as the model itself does; what cannot answer is not ready, and says why."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, StandardScaler, minmax_scale

from sluice_server.inference.pace import Pace
from sluice_server.model.schema import Rows
from sluice_server.process import startup

if TYPE_CHECKING:
    from tests.unit.sluice_server.conftest import Client, Save, Start

TABLE, CLASSES = load_iris(return_X_y=True, as_frame=True)
TABLE.columns = ["a", "b", "c", "d"]
SEVERAL = make_multilabel_classification(n_features=4, n_classes=3, random_state=0)
SCALED = [("x", StandardScaler(), ["a", "d"]), ("y", MinMaxScaler(), ["c"])]


def signature(names: str, kind: str = "double") -> str:
    return json.dumps([{"name": name, "type": kind} for name in names])


def served(start: Start, save: Save, folder: Path, estimator: Any, names: str = "abcd", **fields: Any) -> Client:
    """A process with this estimator; `names` are the columns of its signature."""
    fields.setdefault("example", [0.5] * len(names))
    return start(model_dir=save(folder / "model", estimator, signature(names), **fields))


def reason(client: Client) -> str:
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    return str(answer.json()["reason"])


@pytest.mark.parametrize("names", ["abcd", "dbca"])
@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(10, random_state=0),
        RandomForestRegressor(3, random_state=0),
        LogisticRegression(max_iter=500),
        make_pipeline(ColumnTransformer(SCALED, remainder="passthrough"), RandomForestClassifier(3, random_state=0)),
        make_pipeline(ColumnTransformer(SCALED).set_output(transform="pandas"), LinearRegression()),
        make_pipeline(StandardScaler().set_output(transform="pandas"), LinearRegression()),
    ],
    ids=lambda value: (
        value if isinstance(value, str) else "-".join(map(str.lower, filter(str.isalpha, repr(value))))[:9]
    ),
)
def test_the_columns_of_the_signature_reach_the_model_by_their_names(
    start: Start, save: Save, tmp_path: Path, estimator: Any, names: str
) -> None:
    """In whichever order it has them, and whether or not the model selects by name itself."""
    estimator.fit(TABLE, CLASSES)
    wanted = estimator.predict(TABLE.iloc[::10])
    client = served(start, save, tmp_path, estimator, names)
    answer = client.post("/predict", json={"features": TABLE[list(names)].iloc[::10].to_numpy().tolist()})
    assert answer.status_code == 200, answer.text
    assert np.allclose(answer.json()["predictions"], wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("fitted", "names", "words"),
    [
        ("abcd", "ab", "the signature has 2 columns, and the model was fitted on 4 columns"),
        ("a", "ab", "the signature has 2 columns, and the model was fitted on 1 column"),
        ("abcd", "abcx", "it lacks 'd', and has 'x' instead"),
    ],
)
def test_other_columns_than_those_of_the_fit_are_refused(
    start: Start, save: Save, tmp_path: Path, fitted: str, names: str, words: str
) -> None:
    """A forest would read other callers' values beyond the row; the message says how to log it."""
    estimator = RandomForestClassifier(2).fit(TABLE[list(fitted)], CLASSES)
    message = reason(served(start, save, tmp_path, estimator, names))
    assert words in message
    assert "infer_signature" in message


def test_a_model_logged_to_give_probabilities_gives_them(start: Start, save: Save, tmp_path: Path) -> None:
    """MLflow calls the function that the model was logged with. Feedback is by class nevertheless."""
    estimator = LogisticRegression(max_iter=500).fit(TABLE, CLASSES)
    client = served(start, save, tmp_path, estimator, predict_function="predict_proba")
    rows = TABLE.iloc[[0, 60]]
    answer = client.post("/predict", json={"features": rows.to_numpy().tolist()}).json()
    assert np.allclose(answer["predictions"], estimator.predict_proba(rows))
    labels = {"prediction_id": answer["prediction_id"], "labels": estimator.predict(rows).tolist()}
    assert client.post("/feedback", json=labels).json()["correct"] == 2


@pytest.mark.parametrize(
    "estimator", [OneVsRestClassifier(LogisticRegression()), RandomForestClassifier(3)], ids=["1-D classes", "2-D"]
)
@pytest.mark.parametrize("rows", [1, 3, 65])
def test_a_set_of_labels_per_row_is_no_class(
    start: Start, save: Save, tmp_path: Path, estimator: Any, rows: int
) -> None:
    """It is given as the model gives it, and takes no feedback; each request is counted as it was answered."""
    features, labels = SEVERAL
    estimator.fit(features, labels)
    client = served(start, save, tmp_path, estimator)
    answer = client.post("/predict", json={"features": features[:rows].tolist()})
    assert (answer.status_code, answer.json()["prediction_id"]) == (200, None)
    assert np.array_equal(answer.json()["predictions"], estimator.predict(features[:rows]))
    assert client.value("ml_requests_total", code="200") == 1


WITH_NULL = [[5.1, None, 1.4, 0.2], [None, None, None, None], [6.0, 3.0, 4.5, 1.5]]


@pytest.mark.parametrize("names", ["abcd", "dbca"])
@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(5, random_state=0),
        HistGradientBoostingClassifier(max_iter=3),
        make_pipeline(SimpleImputer(), LogisticRegression(max_iter=500)),
    ],
    ids=["forest", "histogram trees", "imputer"],
)
def test_a_missing_value_is_null_where_the_model_takes_nan(
    start: Start, save: Save, tmp_path: Path, estimator: Any, names: str
) -> None:
    """In an example, too; a column that the signature calls optional may be left out."""
    estimator.fit(TABLE.mask(TABLE > 6.5), CLASSES)
    inputs = json.dumps([{"name": name, "type": "double", "required": name != "b"} for name in names])
    client = start(model_dir=save(tmp_path / "model", estimator, inputs, [0.5, None, None, 1.0]))
    rows = pd.DataFrame(WITH_NULL, columns=list("abcd"), dtype=float)
    wanted = estimator.predict(rows).tolist()
    in_order = rows[list(names)].astype(object).where(rows[list(names)].notna(), None)
    columns = {name: in_order[name].tolist() for name in names}
    partly = [{name: row[name] for name in names if name != "b" or row["b"]} for row in in_order.to_dict("records")]
    for features in (in_order.to_numpy().tolist(), columns, partly):
        answer = client.post("/predict", json={"features": features})
        assert (answer.status_code, answer.json().get("predictions")) == (200, wanted), answer.text
    without = {name: values[:1] for name, values in columns.items() if name != "b"}
    assert client.post("/predict", json={"features": without}).json()["predictions"] == wanted[:1]
    described = {column["name"]: column for column in client.get("/metadata").json()["signature"]["columns"]}
    assert [described[name]["required"] for name in "abcd"] == [True, False, True, True]
    assert all(column["nullable"] for column in described.values())


def test_only_the_columns_in_which_the_model_takes_nan_may_be_null(start: Start, save: Save, tmp_path: Path) -> None:
    """It is asked column by column. An optional column that it needs is required."""
    filled = ColumnTransformer([("filled", SimpleImputer(), ["b"])], remainder="passthrough")
    estimator = make_pipeline(filled, LogisticRegression(max_iter=500)).fit(TABLE, CLASSES)
    inputs = json.dumps([{"name": name, "type": "double", "required": False} for name in "abcd"])
    client = start(model_dir=save(tmp_path / "model", estimator, inputs))
    assert client.post("/predict", json={"features": [[1, None, 2, 3]]}).status_code == 200
    assert client.post("/predict", json={"features": [{"a": 1, "c": 2, "d": 3}]}).status_code == 200
    for refused in ([[1, 1, None, 3]], [{"a": 1, "b": 1, "d": 3}]):
        answer = client.post("/predict", json={"features": refused})
        assert (answer.status_code, answer.json()["detail"][0]["loc"][-1]) == (
            422,
            2 if refused[0] == [1, 1, None, 3] else "c",
        )


def test_a_whole_number_is_not_missing_unless_it_is_optional(start: Start, save: Save, tmp_path: Path) -> None:
    """MLflow calls a column of whole numbers with gaps a double."""
    estimator = RandomForestClassifier(3).fit(TABLE.round(), CLASSES)
    inputs = json.dumps([{"name": name, "type": "long", "required": name != "b"} for name in "abcd"])
    client = start(model_dir=save(tmp_path / "model", estimator, inputs, [1, 2, 3, 4]))
    assert client.post("/predict", json={"features": [[1, None, 2, 3]]}).status_code == 200
    assert client.post("/predict", json={"features": [[1, 2, None, 3]]}).status_code == 422
    assert client.post("/predict", json={"features": [[1, None, 2.5, 3]]}).status_code == 422


def test_a_made_up_example_has_a_logarithm(start: Start, save: Save, tmp_path: Path) -> None:
    """Zeros would break a model that works for every real row."""
    estimator = make_pipeline(FunctionTransformer(np.log), LinearRegression()).fit(TABLE, CLASSES)
    client = served(start, save, tmp_path, estimator, example_is_made_up=True)
    assert client.get("/health/ready").status_code == 200


def test_a_model_that_cannot_answer_a_made_up_example_says_what_to_log(
    start: Start, save: Save, tmp_path: Path
) -> None:
    """It may answer every real row."""
    estimator = make_pipeline(OneHotEncoder(), LinearRegression()).fit(TABLE.round(), CLASSES)
    message = reason(served(start, save, tmp_path, estimator, example_is_made_up=True, example_unfit="[0].a: ?"))
    assert "the logged example does not fit ([0].a: ?): log the model with input_example=X[:5]" in message


def test_a_model_that_says_what_is_wrong_blames_no_example(start: Start, save: Save, tmp_path: Path) -> None:
    """The signature is, and another example would not help."""
    estimator = LinearRegression().fit(TABLE, CLASSES)
    assert "example" not in reason(served(start, save, tmp_path, estimator, "ab", example_is_made_up=True))


def test_a_module_that_the_image_lacks_is_named(
    start: Start, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A skops file names a function, and does not hold it. Another example would not help."""
    (tmp_path / "own_code.py").write_text("def logarithm(rows):\n    return rows\n")
    monkeypatch.syspath_prepend(tmp_path)
    logarithm = importlib.import_module("own_code").logarithm
    estimator = make_pipeline(FunctionTransformer(logarithm), LinearRegression()).fit(TABLE, CLASSES)
    folder = save(tmp_path / "model", estimator, signature("abcd"), example=[0.5] * 4, example_is_made_up=True)
    monkeypatch.delitem(sys.modules, "own_code")
    (tmp_path / "own_code.py").unlink()
    importlib.invalidate_caches()
    message = reason(start(model_dir=folder, trusted_types=("own_code.logarithm",)))
    assert "it needs the module 'own_code', which this server image does not have: set server.image" in message
    assert "example" not in message


@pytest.mark.parametrize("trusted", [True, False], ids=["compares rows", "does not"])
def test_a_row_gets_its_own_answer_whoever_asks_at_the_same_time(
    start: Start, save: Save, tmp_path: Path, trusted: bool
) -> None:
    """A step that scales by the rows that it gets would give others' rows a part in it: one request at a time."""
    step = FunctionTransformer(minmax_scale if trusted else None)
    estimator = make_pipeline(step, LinearRegression()).fit(TABLE, CLASSES)
    folder = save(tmp_path / "model", estimator, signature("abcd"), [0.5] * 4)
    client = start(model_dir=folder, trusted_types=("sklearn.preprocessing._data.minmax_scale",))
    requests = [TABLE.to_numpy()[at : at + 2] for at in range(0, 150, 30)]

    async def together() -> list[Any]:
        predict, stay = client.process.pod.data_plane.predict, asyncio.Event()
        answers = [predict(rows, "cluster", False, stay.wait) for rows in requests]
        return [answer.output.values for answer in await asyncio.gather(*answers)]  # type: ignore[union-attr]

    assert np.allclose(asyncio.run(together()), [estimator.predict(rows) for rows in requests])
    batcher = client.process.pod.data_plane._batcher
    assert batcher is not None
    assert batcher._together is not trusted


class Sum(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Answers all rows with one number."""

    def fit(self, features: pd.DataFrame, _: Any) -> Sum:
        self.n_features_in_ = features.shape[1]
        return self

    def predict(self, rows: Any) -> Any:
        return np.sum(rows, keepdims=True).ravel()


def test_one_answer_for_several_rows_is_not_ready(start: Start, save: Save, tmp_path: Path) -> None:
    """The rows of different callers run together, and each would get the answer of somebody."""
    estimator = Sum().fit(TABLE, CLASSES)
    example = TABLE.iloc[:3].to_numpy().tolist()
    name = f"{Sum.__module__}.Sum"
    client = start(model_dir=save(tmp_path / "model", estimator, signature("abcd"), example), trusted_types=(name,))
    assert "3 rows with 1 predictions" in reason(client)


def test_a_model_whose_rows_take_it_as_long_as_they_like_never_runs_on_the_event_loop(
    start: Start, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However fast it answers its example: a row may have a text of megabytes, or lead into a long branch of an ONNX
    file, and health checks would wait."""
    monkeypatch.setattr(startup, "measure", lambda *_: Pace(1_000))
    estimator = make_pipeline(HashingVectorizer(n_features=16), LogisticRegression()).fit(["good", "bad"], [1, 0])
    text = start(model_dir=save(tmp_path / "text", estimator, signature("t", "string"), ["good"]))
    logistic = LogisticRegression(max_iter=500).fit(TABLE, CLASSES)
    numbers = served(start, save, tmp_path / "numbers", logistic)
    unsteady = served(start, save, tmp_path / "unsteady", logistic, is_steady=False)
    assert not _answers_at_once(text, np.array([["good"]], dtype=object))
    assert not _answers_at_once(unsteady, TABLE.to_numpy()[:1])
    assert _answers_at_once(numbers, TABLE.to_numpy()[:1])


def _answers_at_once(client: Client, rows: Rows) -> bool:
    assert client.get("/health/ready").status_code == 200, client.get("/health/ready").text
    batcher = client.process.pod.data_plane._batcher
    assert batcher is not None
    return batcher.answers_at_once(len(rows))
