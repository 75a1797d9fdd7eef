"""Trees of scikit-learn as the attributes of an ONNX tree ensemble, node by node as they are.

Thresholds and leaves stay in double precision, and each node says where missing values go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

_LEAF = -1


@dataclass(frozen=True, slots=True)
class TreeArrays:
    """One tree: arrays with an entry for each node, `values` of shape (nodes, outputs of this tree).

    `first`: the output of the ensemble that the first of its own outputs adds to.
    """

    is_leaf: NDArray[np.bool_]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    missing_left: NDArray[np.bool_]
    values: NDArray[np.float64]
    first: int = 0


def of_tree(tree: Any, first: int = 0, factor: float = 1.0) -> TreeArrays:
    """A `sklearn.tree._tree.Tree` of a regressor, or of a classifier with one output; leaves times `factor`."""
    is_leaf = tree.children_left == _LEAF
    values = tree.value[:, 0, :] if tree.n_outputs == 1 else tree.value[:, :, 0]
    missing = np.asarray(tree.missing_go_to_left, dtype=bool)
    return TreeArrays(
        is_leaf, tree.feature, tree.threshold, tree.children_left, tree.children_right, missing, values * factor, first
    )


def of_histogram_tree(nodes: NDArray[Any], first: int = 0) -> TreeArrays:
    """The nodes of a tree of a HistGradientBoosting estimator without categories."""
    return TreeArrays(
        nodes["is_leaf"] != 0,
        nodes["feature_idx"],
        nodes["num_threshold"],
        nodes["left"],
        nodes["right"],
        nodes["missing_go_to_left"] != 0,
        nodes["value"][:, None],
        first,
    )


def attributes(trees: Sequence[TreeArrays], targets: int) -> dict[str, Any]:
    """The attributes of a TreeEnsembleRegressor that gives the sums of the leaves, one for each of `targets`."""
    is_leaf = np.concatenate([tree.is_leaf for tree in trees])
    sizes = [len(tree.is_leaf) for tree in trees]
    tree_ids = np.repeat(np.arange(len(trees)), sizes)
    node_ids = np.concatenate([np.arange(size) for size in sizes])
    leaf_trees, leaf_nodes, leaf_targets, leaf_values = _leaves(trees)
    return {
        "n_targets": targets,
        "aggregate_function": "SUM",
        "nodes_treeids": tree_ids.tolist(),
        "nodes_nodeids": node_ids.tolist(),
        "nodes_modes": np.where(is_leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_featureids": _joined([tree.feature for tree in trees], is_leaf),
        "nodes_truenodeids": _joined([tree.left for tree in trees], is_leaf),
        "nodes_falsenodeids": _joined([tree.right for tree in trees], is_leaf),
        "nodes_missing_value_tracks_true": _joined([tree.missing_left for tree in trees], is_leaf),
        "nodes_values_as_tensor": _doubles(np.concatenate([tree.threshold for tree in trees]), is_leaf),
        "target_treeids": leaf_trees.tolist(),
        "target_nodeids": leaf_nodes.tolist(),
        "target_ids": leaf_targets.tolist(),
        "target_weights_as_tensor": _doubles(leaf_values),
    }


def _joined(parts: Sequence[NDArray[Any]], is_leaf: NDArray[np.bool_]) -> list[int]:
    joined: list[int] = np.where(is_leaf, 0, np.concatenate(parts).astype(np.int64)).tolist()
    return joined


def _doubles(values: NDArray[np.float64], is_leaf: NDArray[np.bool_] | None = None) -> Any:
    return numpy_helper.from_array(values if is_leaf is None else np.where(is_leaf, 0.0, values))


def _leaves(trees: Sequence[TreeArrays]) -> tuple[NDArray[Any], ...]:
    """Tree, node, target and value of each number that a leaf adds."""
    columns = []
    for number, tree in enumerate(trees):
        nodes = np.flatnonzero(tree.is_leaf)
        outputs = tree.values.shape[1]
        columns.append(
            (
                np.full(len(nodes) * outputs, number),
                np.repeat(nodes, outputs),
                np.tile(np.arange(outputs) + tree.first, len(nodes)),
                tree.values[nodes].ravel(),
            )
        )
    return tuple(map(np.concatenate, zip(*columns, strict=True)))
