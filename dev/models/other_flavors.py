"""Models of other libraries, and code: XGBoost and LightGBM in each format, ONNX, and what people write themselves."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightgbm
import mlflow
import numpy as np
import pandas as pd
import xgboost
from mlflow.pyfunc import PythonModel
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier

from dev.models import data
from dev.models.case import Case, Logged


def cases() -> Iterator[Case]:
    """All of them, by group."""
    yield from _xgboost()
    yield from _lightgbm()
    yield Case("ONNX, and code", "a forest as ONNX", _onnx)
    yield Case("ONNX, and code", "whole numbers of 8 bits as ONNX", _narrow)
    yield Case("ONNX, and code", "a PythonModel", _python_model)


def _numbers() -> tuple[pd.DataFrame, Any]:
    """Numbers with gaps, and a boolean; the classes are 0 and 1."""
    table, stays = data.customers()
    return table[["age", "visits", "member"]], (stays == "stays").astype(np.int64)


def _categories() -> tuple[pd.DataFrame, Any]:
    """Text, with gaps, as a category."""
    table, stays = data.customers()
    return table.assign(city=table.city.astype("category")), (stays == "stays").astype(np.int64)


def _logged(rows: pd.DataFrame, expected: Any, write: Callable[..., None]) -> Logged:
    """`write` gets the folder, and how MLflow shall describe the model."""

    def save(folder: Path) -> None:
        example = rows[:2].astype({"city": str}) if "city" in rows else rows[:2]
        signature = mlflow.models.infer_signature(rows, expected)
        write(folder, signature=signature, input_example=example, pip_requirements=["mlflow"])

    return Logged(save, rows, np.asarray(expected))


def _fitted(estimator: Any, source: Callable[[], tuple[Any, Any]], flavor: Any, **how: Any) -> Callable[[], Logged]:
    """An estimator with scikit-learn's interface, saved by its own flavor of MLflow."""

    def log() -> Logged:
        rows, labels = source()
        estimator.fit(rows, labels)
        asked = rows[: data.MOST_ROWS]
        return _logged(asked, estimator.predict(asked), lambda folder, **told: flavor(estimator, folder, **told, **how))

    return log


def _xgboost() -> Iterator[Case]:
    group, flavor, few = "XGBoost", mlflow.xgboost.save_model, {"n_estimators": 20}

    def booster() -> Logged:
        rows, labels = data.iris()
        model = xgboost.train({"objective": "multi:softprob", "num_class": 3}, xgboost.DMatrix(rows, labels), 20)
        asked = rows[: data.MOST_ROWS]
        expected = model.predict(xgboost.DMatrix(asked))
        return _logged(asked, expected, lambda folder, **told: flavor(model, folder, model_format="ubj", **told))

    for saved in ("json", "ubj"):
        name = f"XGBClassifier, {saved}"
        yield Case(group, name, _fitted(xgboost.XGBClassifier(**few), data.iris, flavor, model_format=saved))
    classifier, regressor = xgboost.XGBClassifier(**few), xgboost.XGBRegressor(**few)
    categorical = xgboost.XGBClassifier(**few, enable_categorical=True)
    yield Case(group, "XGBRegressor", _fitted(regressor, data.diabetes, flavor, model_format="ubj"))
    yield Case(group, "Booster of three classes", booster)
    yield Case(group, "numbers with gaps", _fitted(classifier, _numbers, flavor, model_format="json"))
    yield Case(group, "text as a category, with gaps", _fitted(categorical, _categories, flavor, model_format="json"))


def _lightgbm() -> Iterator[Case]:
    group, flavor, few = "LightGBM", mlflow.lightgbm.save_model, {"n_estimators": 20, "verbose": -1}

    def booster() -> Logged:
        rows, target = data.diabetes()
        model = lightgbm.train({"verbose": -1}, lightgbm.Dataset(rows, target), 20)
        asked = rows[: data.MOST_ROWS]
        return _logged(asked, model.predict(asked), lambda folder, **told: flavor(model, folder, **told))

    skops = {"serialization_format": "skops", "skops_trusted_types": _LIGHTGBM_TYPES}
    named, numbers = lightgbm.LGBMClassifier(**few), lightgbm.LGBMClassifier(**few)
    yield Case(group, "LGBMClassifier, classes that are text", _fitted(named, data.named_iris, flavor, **skops))
    yield Case(group, "LGBMRegressor", _fitted(lightgbm.LGBMRegressor(**few), data.diabetes, flavor, **skops))
    yield Case(group, "numbers with gaps", _fitted(numbers, _numbers, flavor, **skops))
    yield Case(group, "Booster", booster)
    linear = lightgbm.LGBMRegressor(**few, linear_tree=True)
    yield Case(group, "linear trees", _fitted(linear, data.diabetes, flavor, **skops))


_LIGHTGBM_TYPES = [
    "collections.OrderedDict",
    "collections.defaultdict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "numpy.dtype",
]


def _onnx() -> Logged:
    rows, classes = data.iris()
    forest = RandomForestClassifier(50, random_state=0).fit(rows.to_numpy(), classes)
    asked = rows[: data.MOST_ROWS].to_numpy(np.float32)
    graph = to_onnx(forest, asked[:1], options={id(forest): {"zipmap": False}})
    expected = forest.predict(asked)

    def save(folder: Path) -> None:
        signature = mlflow.models.infer_signature(asked, expected)
        mlflow.onnx.save_model(graph, folder, signature=signature, input_example=asked[:2], pip_requirements=["onnx"])

    return Logged(save, asked, expected)


def _narrow() -> Logged:
    """A model of pixels, say: their sum."""
    rows = np.random.default_rng(0).integers(0, 256, (data.MOST_ROWS, 4)).astype(np.uint8)
    nodes = [
        helper.make_node("Cast", ["rows"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["numbers", "axis"], ["sum"], keepdims=0),
    ]
    sides = [("rows", TensorProto.UINT8, [None, 4])], [("sum", TensorProto.FLOAT, [None])]
    inputs, outputs = ([helper.make_tensor_value_info(*each) for each in side] for side in sides)
    axis = helper.make_tensor("axis", TensorProto.INT64, [1], [1])
    graph = helper.make_graph(nodes, "sum", inputs, outputs, [axis])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    expected = rows.sum(axis=1).astype(np.float32)

    def save(folder: Path) -> None:
        signature = mlflow.models.infer_signature(rows, expected)
        mlflow.onnx.save_model(model, folder, signature=signature, input_example=rows[:2], pip_requirements=["onnx"])

    return Logged(save, rows, expected)


class Doubled(PythonModel):  # type: ignore[misc]  # MLflow has no types
    """Code of one's own."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        return model_input["age"].fillna(0.0).to_numpy() * 2


def _python_model() -> Logged:
    rows = _numbers()[0][: data.MOST_ROWS]
    expected = Doubled().predict(None, rows)

    def write(folder: Path, **told: Any) -> None:
        mlflow.pyfunc.save_model(folder, python_model=Doubled(), **told)

    return _logged(rows, expected, write)
