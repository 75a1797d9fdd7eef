"""Models that only MLflow can load: what is answered for them is what MLflow's own server answers."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sluice_server.fetch.example import logged_example, made_up_example
from sluice_server.model import manifest
from sluice_server.model.manifest import FILES, Manifest, SignatureText
from sluice_server.model.schema import parse_inputs

if TYPE_CHECKING:
    from tests.unit.sluice_server.conftest import Client, Start

with warnings.catch_warnings():  # MLflow's own types warn about each other when they are made
    warnings.simplefilter("ignore")
    from mlflow.models import infer_signature
    from mlflow.models.signature import ModelSignature
    from mlflow.pyfunc import scoring_server
    from mlflow.types.schema import ColSpec
    from mlflow.types.schema import Schema as MlflowSchema

pytestmark = pytest.mark.filterwarnings("ignore")

FLOWERS, KINDS = load_iris(return_X_y=True, as_frame=True)
MIXED = pd.DataFrame(
    {
        "count": np.array([1, 2], dtype="int64"),
        "small": np.array([3, 4], dtype="int32"),
        "size": np.array([0.5, 1.5], dtype="float32"),
        "open": [True, False],
        "city": ["Bonn", "Ulm"],
        "day": pd.to_datetime(["2025-01-31", "2025-02-01"]),
    }
)
RECORDS = json.loads(MIXED.to_json(orient="records", date_format="iso", date_unit="s"))


class Types(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Says which types it got."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return pd.DataFrame({name: model_input[name].astype(str) + str(model_input.dtypes[name]) for name in MIXED})


class Ranks(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Compares each row with the others; `scale` is a param."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input.iloc[:, 0].rank().to_numpy() * params["scale"]


class Upper(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Takes and gives a list of texts, as its type hints say."""

    def predict(self, model_input: list[str]) -> list[str]:
        return [text.upper() for text in model_input]


class Outputs(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Gives a list of two outputs, as `predict_proba` of several outputs does."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return [model_input.to_numpy()[:, 0], model_input.to_numpy()[:, 1]]


class Nested(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Gives objects, and no score for a negative number."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        values = model_input.to_numpy()[:, 0]
        return [{"score": float(np.sqrt(value)) if value >= 0 else None, "tags": ["a", 1]} for value in values]


def folder(tmp_path: Path, save: Callable[..., None], *arguments: Any, **options: Any) -> Path:
    """A model as MLflow saves it, with the manifest that `fetch` writes beside it."""
    files = tmp_path / "model" / FILES
    save(*arguments, path=str(files), pip_requirements=["mlflow"], **options)
    logged = yaml.safe_load((files / "MLmodel").read_text())
    signature = SignatureText(*(logged["signature"].get(part) for part in ("inputs", "outputs", "params")))
    schema, example = parse_inputs(signature.inputs), files / "serving_input_example.json"
    found_example = logged_example(example.read_bytes(), schema) if example.is_file() else None
    body = found_example if isinstance(found_example, dict) else made_up_example(schema, {})
    function = logged["flavors"]["python_function"].get("predict_fn", "predict")
    found = Manifest("sha256:0", "pyfunc", "x", "MLmodel", signature, body, function)
    manifest.write(found, files.parent)
    return files.parent


def code(tmp_path: Path, model: Any, example: Any, answer: Any = None, params: Any = None) -> Path:
    """A PythonModel with a signature."""
    signature = infer_signature(example, answer, params)
    return folder(tmp_path, mlflow.pyfunc.save_model, python_model=model, signature=signature)


def of_mlflow(model_dir: Path, body: Any) -> Any:
    """The predictions of MLflow's own server."""

    async def ask() -> httpx.Response:
        app = scoring_server.init(mlflow.pyfunc.load_model(str(model_dir / FILES)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mlflow") as client:
            return await client.post("/invocations", json=body)

    answer = asyncio.run(ask())
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


def of_ours(client: Client, body: Any, path: str = "/invocations") -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, (answer.text, client.get("/health/ready").text)
    return answer.json()["predictions"]


class WithBonus(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Has a column that callers may leave out."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return (model_input["pay"] + model_input.get("bonus", 0)).to_numpy()


def test_an_optional_whole_number_may_be_left_out_as_in_mlflow(start: Start, tmp_path: Path) -> None:
    """The model does not see the column then. Null is the same here; MLflow's own server has no way to say it."""
    inputs = [ColSpec("double", "pay"), ColSpec("long", "bonus", required=False)]
    signature = ModelSignature(inputs=MlflowSchema(inputs), outputs=MlflowSchema([ColSpec("double")]))
    model_dir = folder(tmp_path, mlflow.pyfunc.save_model, python_model=WithBonus(), signature=signature)
    client = start(model_dir=model_dir)
    for records in ([{"pay": 1.5}, {"pay": 2.5}], [{"pay": 1.5, "bonus": 3}]):
        body = {"dataframe_records": records}
        assert of_ours(client, body) == of_mlflow(model_dir, body)
    assert of_ours(client, {"features": [[1.5, None]]}, "/predict") == [1.5]
    mixed = client.post("/predict", json={"features": [[1.5, None], [2.5, 1]]})
    assert (mixed.status_code, "a request of their own" in mixed.text) == (422, True)


def test_a_pickled_classifier_answers_as_in_mlflow_and_takes_feedback(start: Start, tmp_path: Path) -> None:
    """With the probabilities and the classes of the estimator inside, as if it had been saved with skops."""
    fitted = LogisticRegression(max_iter=500).fit(FLOWERS, KINDS)
    signature = infer_signature(FLOWERS, fitted.predict(FLOWERS))
    model_dir = folder(
        tmp_path, mlflow.sklearn.save_model, fitted, serialization_format="cloudpickle", signature=signature
    )
    client = start(model_dir=model_dir)
    split = {"dataframe_split": FLOWERS[::10].to_dict(orient="split")}
    assert of_ours(client, split) == of_mlflow(model_dir, split) == fitted.predict(FLOWERS[::10]).tolist()
    answer = client.post("/predict", json={"features": FLOWERS[:3].to_numpy().tolist()}).json()
    assert np.allclose(answer["probabilities"], fitted.predict_proba(FLOWERS[:3]))
    assert client.get("/metadata").json()["target_classes"] == [0, 1, 2]
    labels = {"prediction_id": answer["prediction_id"], "labels": answer["predictions"]}
    assert client.post("/feedback", json=labels).json()["correct"] == 3


def test_a_pickled_classifier_that_changes_its_input_has_the_right_probabilities(start: Start, tmp_path: Path) -> None:
    """It is asked twice, and would scale what it has scaled already."""
    changing, copying = (
        make_pipeline(StandardScaler(copy=copy), LogisticRegression()).fit(FLOWERS.to_numpy(copy=True), KINDS)
        for copy in (False, True)
    )
    signature = infer_signature(FLOWERS, KINDS)
    model_dir = folder(
        tmp_path, mlflow.sklearn.save_model, changing, serialization_format="cloudpickle", signature=signature
    )
    rows = FLOWERS[::10].to_numpy(copy=True)
    answer = start(model_dir=model_dir).post("/predict", json={"features": rows.tolist()}).json()
    assert answer["predictions"] == copying.predict(rows).tolist()
    assert np.allclose(answer["probabilities"], copying.predict_proba(rows))


@pytest.mark.parametrize("function", ["predict_proba", "predict_log_proba"])
def test_the_function_that_was_logged_answers(start: Start, tmp_path: Path, function: str) -> None:
    """Also one that the data runtimes do not serve."""
    fitted = LogisticRegression(max_iter=500).fit(FLOWERS, KINDS)
    model_dir = folder(
        tmp_path,
        mlflow.sklearn.save_model,
        fitted,
        serialization_format="cloudpickle",
        signature=infer_signature(FLOWERS, getattr(fitted, function)(FLOWERS)),
        pyfunc_predict_fn=function,
    )
    answered = of_ours(start(model_dir=model_dir), {"inputs": FLOWERS[:3].to_numpy().tolist()})
    assert np.allclose(answered, getattr(fitted, function)(FLOWERS[:3]))


def test_each_column_reaches_the_model_as_in_mlflow(start: Start, tmp_path: Path) -> None:
    """Types, values and the names of the answer are the same, with every form of a request."""
    model_dir = code(tmp_path, Types(), MIXED)
    client = start(model_dir=model_dir)
    body = {"dataframe_records": RECORDS}
    theirs = of_mlflow(model_dir, body)
    assert of_ours(client, body) == theirs
    assert of_ours(client, {"features": RECORDS}, "/predict") == theirs
    assert (theirs[0]["small"], theirs[0]["size"]) == ("3int32", "0.5float32")


def test_params_reach_the_model_and_nobody_elses_rows_do(start: Start, tmp_path: Path) -> None:
    """With their defaults; a model that compares rows is asked for one request at a time."""
    model_dir = code(tmp_path, Ranks(), pd.DataFrame({"x": [0.5, 1.5]}), [1.0], {"scale": 1.0})
    client = start(model_dir=model_dir)
    rows = {"dataframe_records": [{"x": 3.0}, {"x": 1.0}]}
    for body in (rows, rows | {"params": {"scale": 10}}):
        assert of_ours(client, body) == of_mlflow(model_dir, body)
    features = {"features": [[3.0], [1.0]], "params": {"scale": 10}}
    assert of_ours(client, features, "/predict") == [20.0, 10.0]
    tensor = {"name": "x", "shape": [2], "datatype": "FP64", "data": [3, 1]}
    infer = client.post("/v2/models/iris/infer", json={"inputs": [tensor], "parameters": {"scale": 10, "x": 1}})
    assert infer.json()["outputs"][0]["data"] == [20.0, 10.0]

    async def together() -> list[float]:
        predict = client.process.pod.data_plane.predict
        stay = asyncio.Event()
        asked = [predict(np.array([[value]]), "cluster", False, stay.wait) for value in (3.0, 1.0, 2.0)]
        return [float(answer.output.values[0]) for answer in await asyncio.gather(*asked)]  # type: ignore[union-attr]

    assert asyncio.run(together()) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("path", "status", "place"), [("/invocations", 400, "params.scale"), ("/predict", 422, '"params","scale"')]
)
def test_a_param_that_does_not_fit_is_the_callers_fault(
    start: Start, tmp_path: Path, path: str, status: int, place: str
) -> None:
    """It never counts against the model."""
    client = start(model_dir=code(tmp_path, Ranks(), pd.DataFrame({"x": [0.5]}), [1.0], {"scale": 1.0}))
    field = "inputs" if path == "/invocations" else "features"
    answer = client.post(path, json={field: [[1.0]], "params": {"scale": "10"}})
    assert answer.status_code == status
    assert place in answer.text


def test_a_date_that_mlflow_cannot_hold_is_the_callers_fault(start: Start, tmp_path: Path) -> None:
    """Such a request is told so, and the ones that it was put together with are answered."""
    client = start(model_dir=code(tmp_path, Types(), MIXED))
    answer = client.post("/predict", json={"features": [RECORDS[0] | {"day": "9999-12-31"}]})
    assert answer.status_code == 422
    assert "2261" in answer.text


def test_a_model_with_type_hints_gets_a_list(start: Start, tmp_path: Path) -> None:
    """MLflow makes its signature of them: one column of texts without a name."""
    model_dir = folder(tmp_path, mlflow.pyfunc.save_model, python_model=Upper())
    client = start(model_dir=model_dir)
    assert of_ours(client, {"inputs": ["a", "b"]}) == of_mlflow(model_dir, {"inputs": ["a", "b"]}) == ["A", "B"]
    assert of_ours(client, {"text": "a"}, "/predict") == ["A"]


def test_objects_and_missing_values_are_answered(start: Start, tmp_path: Path) -> None:
    """In JSON as they are, and as text of JSON where the protocol has no objects."""
    model_dir = code(tmp_path, Nested(), pd.DataFrame({"x": [0.25]}))
    client = start(model_dir=model_dir)
    body = {"inputs": [[0.25], [-1.0]]}
    theirs = of_mlflow(model_dir, {"dataframe_split": {"columns": ["x"], "data": body["inputs"]}})
    assert of_ours(client, body) == theirs == [{"score": 0.5, "tags": ["a", 1]}, {"score": None, "tags": ["a", 1]}]
    assert client.get("/metadata").json()["signature"]["predictions"]["type"] == "object"
    tensor = {"name": "x", "shape": [1], "datatype": "FP64", "data": [0.25]}
    output = client.post("/v2/models/iris/infer", json={"inputs": [tensor]}).json()["outputs"][0]
    assert (output["datatype"], json.loads(output["data"][0])) == ("BYTES", theirs[0])


def test_infinity_is_refused_where_nan_is_null(start: Start, tmp_path: Path) -> None:
    """Of code as of data: any client can bring about the one, and only the model means the other."""
    fitted = PoissonRegressor(alpha=1e-6, max_iter=1_000).fit(FLOWERS, np.exp(FLOWERS.iloc[:, 0]))
    signature = infer_signature(FLOWERS, fitted.predict(FLOWERS))
    model_dir = folder(tmp_path, mlflow.sklearn.save_model, fitted, serialization_format="pickle", signature=signature)
    client = start(model_dir=model_dir)
    answer = client.post("/predict", json={"features": [[5.1, 3.5, 1.4, 0.2], [1e30, 3.5, 1.4, 0.2]]})
    assert (answer.status_code, "row 1 is infinite" in answer.text) == (422, True)
    assert client.value("ml_requests_total", code="500") == 0


def test_a_tensor_signature_gets_an_array(start: Start, tmp_path: Path) -> None:
    """Of the type that was logged."""
    fitted = LinearRegression().fit(FLOWERS.to_numpy(), KINDS)
    signature = infer_signature(FLOWERS.to_numpy(), fitted.predict(FLOWERS.to_numpy()))
    model_dir = folder(tmp_path, mlflow.sklearn.save_model, fitted, serialization_format="pickle", signature=signature)
    body = {"inputs": FLOWERS[:2].to_numpy().tolist()}
    assert np.allclose(of_ours(start(model_dir=model_dir), body), of_mlflow(model_dir, body))


def test_two_outputs_are_not_the_answers_to_two_rows(start: Start, tmp_path: Path) -> None:
    """Two callers with one row each would get each other's numbers."""
    table = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    client = start(
        model_dir=folder(
            tmp_path,
            mlflow.pyfunc.save_model,
            python_model=Outputs(),
            signature=infer_signature(table),
            input_example=table,
        )
    )
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert "3 rows with 2 predictions" in answer.text


def test_code_that_asks_for_a_module_is_told_where_to_get_it(start: Start, tmp_path: Path) -> None:
    """A requirements.txt does not always say all."""
    model_dir = code(tmp_path, Nested(), pd.DataFrame({"x": [0.25]}))
    file = model_dir / FILES / "MLmodel"
    content = yaml.safe_load(file.read_text())
    content["flavors"]["python_function"]["loader_module"] = "nobody_has_this"
    file.write_text(yaml.safe_dump(content))
    reason = start(model_dir=model_dir).get("/health/ready").json()["reason"]
    assert "needs the module 'nobody_has_this'" in reason
    assert "pip_requirements" in reason
