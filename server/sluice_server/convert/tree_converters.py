"""Converters for scikit-learn's tree models, in place of those that come with skl2onnx.

skl2onnx forgets where missing values go, and never ends where a threshold is infinite, as thresholds are in trees that
were trained with missing values. In double precision its forests are wrong, and its regressors cannot be loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from skl2onnx import get_model_alias, update_registered_converter
from skl2onnx.common._registration import get_converter, get_shape_calculator
from skl2onnx.common.data_types import guess_proto_type
from skl2onnx.common.utils_classifier import get_label_classes
from sklearn import dummy, ensemble, tree
from sklearn.base import is_classifier

from sluice_server.convert.trees import TreeArrays, attributes, of_histogram_tree, of_tree

_TREES = (
    tree.DecisionTreeClassifier,
    tree.DecisionTreeRegressor,
    tree.ExtraTreeClassifier,
    tree.ExtraTreeRegressor,
)
_FORESTS = (
    ensemble.RandomForestClassifier,
    ensemble.RandomForestRegressor,
    ensemble.ExtraTreesClassifier,
    ensemble.ExtraTreesRegressor,
)
_BOOSTED = (ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor)
_HISTOGRAM = (ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor)
_LINKS = {  # of scikit-learn's losses: what makes probabilities or predictions out of sums
    "HalfBinomialLoss": "Sigmoid",
    "HalfMultinomialLoss": "Softmax",
    "HalfPoissonLoss": "Exp",
    "HalfGammaLoss": "Exp",
    "HalfSquaredError": None,
    "AbsoluteError": None,
    "PinballLoss": None,
    "HuberLoss": None,
}


class NotConvertibleError(NotImplementedError):
    """The model has a part that has no form in ONNX; the message names it."""


@dataclass(frozen=True, slots=True)
class _Ensemble:
    """Trees whose sums, divided and added to `base` (one number for each output), are what `link` takes.

    `rounds`: whether scikit-learn rounds its features to single precision.
    """

    trees: Sequence[TreeArrays]
    base: NDArray[np.float64]
    divisor: int = 1
    link: str | None = None
    rounds: bool = True


def register() -> None:
    """From now on skl2onnx converts trees as this module says, wherever they are in a model."""
    for model in (*_TREES, *_FORESTS, *_BOOSTED, *_HISTOGRAM):
        alias = get_model_alias(model)
        options = get_converter(alias).get_allowed_options()
        update_registered_converter(model, alias, get_shape_calculator(alias), _convert, options=options)


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """What skl2onnx calls for one model; its outputs are label and probabilities, or the predictions."""
    model = operator.raw_operator
    graph = _Graph(scope, container)
    sums = _sums(graph, operator.inputs[0].full_name, _ensemble(model))
    answer = operator.outputs[1 if is_classifier(model) else 0]
    graph.node("Cast", [sums], answer.full_name, to=guess_proto_type(answer.type))
    if not is_classifier(model):
        return
    best = graph.node("ArgMax", [sums], axis=1, keepdims=0)
    graph.node("Gather", [graph.labels(get_label_classes(scope, model)), best], operator.outputs[0].full_name, axis=0)


def _ensemble(model: Any) -> _Ensemble:
    if getattr(model, "n_outputs_", 1) > 1 and is_classifier(model):
        raise NotConvertibleError(f"a {type(model).__name__} that predicts several labels has no form in ONNX here")
    if isinstance(model, _TREES):
        return _Ensemble([of_tree(model.tree_)], _nothing(model))
    if isinstance(model, _FORESTS):
        members = model.estimators_
        return _Ensemble([of_tree(member.tree_) for member in members], _nothing(model), len(members))
    return _histogram(model) if isinstance(model, _HISTOGRAM) else _boosted(model)


def _nothing(model: Any) -> NDArray[np.float64]:
    return np.zeros(model.n_classes_ if is_classifier(model) else model.n_outputs_)


def _boosted(model: Any) -> _Ensemble:
    if not isinstance(model.init_, str | dummy.DummyClassifier | dummy.DummyRegressor):
        raise NotConvertibleError(f"a {type(model).__name__} with an `init` of its own has no form in ONNX here")
    base = model._raw_predict_init(np.zeros((1, model.n_features_in_), dtype=np.float32)).ravel()
    trees = [
        of_tree(member.tree_, first, model.learning_rate)
        for stage in model.estimators_
        for first, member in enumerate(stage)
    ]
    return _Ensemble(trees, base, link=_link(model) if is_classifier(model) else None)


def _histogram(model: Any) -> _Ensemble:
    if model.is_categorical_ is not None:
        raise NotConvertibleError(f"a {type(model).__name__} with categories has no form in ONNX here")
    trees = [
        of_histogram_tree(member.nodes, first) for stage in model._predictors for first, member in enumerate(stage)
    ]
    return _Ensemble(trees, np.ravel(model._baseline_prediction), link=_link(model), rounds=False)


def _link(model: Any) -> str | None:
    loss = type(model._loss).__name__
    if loss not in _LINKS:
        raise NotConvertibleError(f"a {type(model).__name__} with the loss {loss} has no form in ONNX here")
    return _LINKS[loss]


def _sums(graph: _Graph, rows: str, ensemble: _Ensemble) -> str:
    """The name of a tensor (rows, outputs) in double precision: predictions, or probabilities of a classifier."""
    if ensemble.rounds:
        rows = graph.node("Cast", [rows], to=TensorProto.FLOAT)
    rows = graph.node("Cast", [rows], to=TensorProto.DOUBLE)
    trees = attributes(ensemble.trees, len(ensemble.base))
    sums = graph.node("TreeEnsembleRegressor", [rows], op_domain="ai.onnx.ml", op_version=3, **trees)
    sums = graph.node("Cast", [sums], to=TensorProto.DOUBLE)
    if ensemble.divisor > 1:
        sums = graph.node("Div", [sums, graph.numbers([ensemble.divisor])])
    if ensemble.base.any():
        sums = graph.node("Add", [sums, graph.numbers(ensemble.base)])
    match ensemble.link:
        case None:
            return sums
        case "Sigmoid":
            second = graph.node("Sigmoid", [sums])
            first = graph.node("Sub", [graph.numbers([1.0]), second])
            return graph.node("Concat", [first, second], axis=1)
        case "Softmax":
            return graph.node("Softmax", [sums], axis=1)
        case link:
            return graph.node(link, [sums])


class _Graph:
    """The graph that skl2onnx is making; names are made up here."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope = scope
        self._container = container

    def node(self, kind: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        """Adds a node with one output, and gives the name of this."""
        output = output or self._scope.get_unique_variable_name(kind.lower())
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, inputs, output, name=name, **attributes)
        return output

    def numbers(self, values: Any) -> str:
        """A constant of double precision."""
        array = np.asarray(values, dtype=np.float64)
        return self._constant(TensorProto.DOUBLE, array.shape, array.tolist())

    def labels(self, classes: Any) -> str:
        """A constant with the labels as skl2onnx has them: text, or whole numbers for all other kinds."""
        labels = list(classes)
        if all(isinstance(label, str) for label in labels):
            return self._constant(TensorProto.STRING, [len(labels)], [label.encode() for label in labels])
        return self._constant(TensorProto.INT64, [len(labels)], [int(label) for label in labels])

    def _constant(self, kind: int, shape: Any, content: list[Any]) -> str:
        name = self._scope.get_unique_variable_name("constant")
        self._container.add_initializer(name, kind, shape, content)
        return str(name)
