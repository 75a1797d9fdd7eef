"""The trees in a scikit-learn estimator: where they are, and how wide the rows are that each of them gets.

What their nodes have to fulfil, and why, is in `nodes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
from sklearn.tree._tree import Tree

from sluice_server.runtimes.estimator import parts
from sluice_server.runtimes.nodes import changed, check_nodes

_LEAF = -1
_CATEGORIES = 256  # of a feature, at the most, in scikit-learn's histogram trees
_WORDS = _CATEGORIES // 32  # of a set of them


def check(root: Any) -> None:
    """Check all trees of an estimator. Raises ModelError for the first one that cannot be followed safely."""
    for part in parts(root):
        if isinstance(part, Tree):
            if min(part.n_outputs, part.max_n_classes) < 1:
                raise changed("a tree has no outputs")
            inner = part.children_left != _LEAF
            check_nodes(inner, (part.children_left, part.children_right), part.feature, part.n_features)
        elif isinstance(part, BaseHistGradientBoosting):
            _check_histogram_trees(part)
        for tree, width in _widths(part):
            if tree.n_features != width:
                raise changed(f"a tree of {tree.n_features} features gets rows of {width}")


def _check_histogram_trees(part: BaseHistGradientBoosting) -> None:
    categorical = np.flatnonzero(part._bin_mapper.is_categorical_)
    known = [np.asarray(part._bin_mapper.bin_thresholds_[feature]) for feature in categorical]
    if any(((values < 0) | (values >= _CATEGORIES)).any() for values in known):
        raise changed(f"a categorical feature has categories beyond {_CATEGORIES}")
    for tree in (tree for trees in part._predictors for tree in trees):
        nodes = tree.nodes
        inner = nodes["is_leaf"] == 0
        # The rows come from a part of the file that encodes categories; scikit-learn compares this width with theirs.
        check_nodes(inner, (nodes["left"], nodes["right"]), nodes["feature_idx"], part._n_features)
        by_category = nodes[inner & (nodes["is_categorical"] != 0)]
        if not np.isin(by_category["feature_idx"], categorical).all():
            raise changed("a node of a tree takes a number for a category")
        sets = tree.raw_left_cat_bitsets
        if not (by_category["bitset_idx"] < len(sets)).all() or (len(by_category) and sets.shape[1:] != (_WORDS,)):
            raise changed("a node of a tree asks for a set of categories that is not there")


def _widths(part: Any) -> Iterator[tuple[Tree, int]]:
    """The trees that a part asks, each with the number of columns that it gives them."""
    if isinstance(tree := getattr(part, "tree_", None), Tree):
        yield tree, part.n_features_in_
    selections = getattr(part, "estimators_features_", None)
    members = getattr(part, "estimators_", ())  # of boosting an array; a pipeline among them must not become its steps
    for number, member in enumerate(members.ravel() if isinstance(members, np.ndarray) else members):
        if isinstance(tree := getattr(member, "tree_", None), Tree):
            yield tree, part.n_features_in_ if selections is None else len(selections[number])
