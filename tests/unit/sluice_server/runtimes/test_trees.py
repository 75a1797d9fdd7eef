"""Trees from a file that was changed by hand are not followed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import Tree

from sluice_server.runtimes import trees
from sluice_server.runtimes.estimator import parts
from sluice_server.runtimes.port import ModelError

FEATURES, CLASSES = load_iris(return_X_y=True)
FEW = np.column_stack([FEATURES[:, 0], CLASSES])  # the second column as categories
WITH_TREES: list[Any] = [
    DecisionTreeClassifier(ccp_alpha=0.01),
    RandomForestClassifier(3),
    ExtraTreesRegressor(3),
    GradientBoostingClassifier(n_estimators=2),
    HistGradientBoostingClassifier(max_iter=2),
    IsolationForest(n_estimators=3, max_features=2),
    BaggingClassifier(DecisionTreeClassifier(), 3, max_features=2),
    AdaBoostClassifier(DecisionTreeClassifier(max_depth=1), n_estimators=2),
    make_pipeline(StandardScaler(), RandomForestClassifier(2)),
    BaggingClassifier(make_pipeline(PCA(2), DecisionTreeClassifier()), 3, max_features=3),
    VotingClassifier([("a", RandomForestClassifier(2)), ("b", GradientBoostingClassifier(n_estimators=1))]),
    StackingClassifier([("a", RandomForestClassifier(2))], DecisionTreeClassifier()),
]


@pytest.mark.parametrize("estimator", WITH_TREES, ids=lambda estimator: type(estimator).__name__)
def test_what_scikit_learn_has_fitted_passes(estimator: Any) -> None:
    """Pruned trees, trees of some columns only, and trees of trees among it."""
    trees.check(estimator.fit(FEATURES, CLASSES))
    trees.check(HistGradientBoostingClassifier(max_iter=2, categorical_features=[1]).fit(FEW, CLASSES))


def changed(tree: Tree, change: Callable[[Any], None]) -> Tree:
    """A tree from a state whose nodes were changed."""
    state = tree.__getstate__()
    nodes = state["nodes"].copy()
    change(nodes)
    other = Tree(tree.n_features, tree.n_classes, tree.n_outputs)
    other.__setstate__({**state, "nodes": nodes})
    return other


def set_first(field: str, value: int) -> Callable[[Any], None]:
    def change(nodes: Any) -> None:
        nodes[field][0] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_first("feature", 500_000_000), "not one of its 4"),
        (set_first("feature", -2), "not one of its 4"),
        (set_first("left_child", 0), "leads back"),
        (set_first("right_child", 0), "leads back"),
        (set_first("left_child", 10_000), "not there"),
        (set_first("right_child", -5), "leads back"),
    ],
)
def test_a_tree_that_leads_astray_is_not_loaded(change: Callable[[Any], None], words: str) -> None:
    """It would read foreign memory, or never end."""
    estimator = make_pipeline(StandardScaler(), RandomForestClassifier(2)).fit(FEATURES, CLASSES)
    member = estimator.steps[-1][1].estimators_[1]
    member.tree_ = changed(member.tree_, change)
    with pytest.raises(ModelError, match=words):
        trees.check(estimator)


@pytest.mark.parametrize("kind", [RandomForestClassifier, GradientBoostingClassifier, BaggingClassifier])
def test_a_tree_of_more_columns_than_its_ensemble_is_not_loaded(kind: Any) -> None:
    """An ensemble checks the width of rows once, and its trees do not."""
    narrow, wide = (kind(n_estimators=2).fit(FEATURES[:, :width], CLASSES) for width in (2, 4))
    narrow.estimators_ = wide.estimators_
    with pytest.raises(ModelError, match="4 features gets rows of 2"):
        trees.check(narrow)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("feature_idx", 7, "not one of its 2"),
        ("left", 0, "leads back"),
        ("right", 10_000, "not there"),
        ("bitset_idx", 99, "set of categories"),
        ("is_categorical", 1, "number for a category"),
    ],
)
def test_a_histogram_tree_that_leads_astray_is_not_loaded(field: str, value: int, words: str) -> None:
    """The same of the other kind of trees, which have sets of categories, too."""
    estimator = HistGradientBoostingClassifier(max_iter=2, categorical_features=[1], min_samples_leaf=2)
    estimator.fit(np.column_stack([FEATURES[:, 0], np.arange(150) % 9]), np.arange(150) % 9 % 2)
    nodes = [tree.nodes for each in estimator._predictors for tree in each]
    wanted = 0 if field == "is_categorical" else 1 if field == "bitset_idx" else None
    for each in nodes:
        inner = (each["is_leaf"] == 0) & (True if wanted is None else each["is_categorical"] == wanted)
        each[field][inner] = value
    assert field != "bitset_idx" or any((each["bitset_idx"] == value).any() for each in nodes)
    with pytest.raises(ModelError, match=words):
        trees.check(estimator)


def test_sets_of_categories_have_their_bits() -> None:
    """256 of them are asked for, whatever the file has."""
    estimator = HistGradientBoostingClassifier(max_iter=1, categorical_features=[1], min_samples_leaf=2)
    estimator.fit(np.column_stack([FEATURES[:, 0], np.arange(150) % 9]), np.arange(150) % 9 % 2)
    for tree in (tree for each in estimator._predictors for tree in each):
        tree.raw_left_cat_bitsets = tree.raw_left_cat_bitsets[:, :1].copy()
    with pytest.raises(ModelError, match="set of categories"):
        trees.check(estimator)


def test_the_rows_of_histogram_trees_are_as_wide_as_what_makes_them_says() -> None:
    """With categories of a table, another part of the file makes the rows, and only that width is compared."""
    estimator = HistGradientBoostingClassifier(max_iter=2).fit(FEATURES, CLASSES)
    estimator._n_features = 1
    with pytest.raises(ModelError, match="not one of its 1"):
        trees.check(estimator)


def test_categories_beyond_the_bits_are_not_loaded() -> None:
    """They are written into a set of 256 bits, unchecked."""
    estimator = HistGradientBoostingClassifier(max_iter=1, categorical_features=[1]).fit(FEW, CLASSES)
    (categorical,) = np.flatnonzero(estimator._bin_mapper.is_categorical_)
    estimator._bin_mapper.bin_thresholds_[categorical] = np.array([0.0, 4096.0])
    with pytest.raises(ModelError, match="categories beyond 256"):
        trees.check(estimator)


def test_a_file_is_checked_as_it_is_loaded(tmp_path: Path) -> None:
    """The nodes of a file can be exchanged with a zip tool."""
    good = RandomForestClassifier(1).fit(FEATURES, CLASSES)
    bad = RandomForestClassifier(1, random_state=1).fit(FEATURES, CLASSES)
    bad.estimators_[0].tree_ = changed(bad.estimators_[0].tree_, set_first("left_child", 0))
    for name, estimator in (("good", good), ("bad", bad)):
        skops.io.dump(estimator, tmp_path / name)
    with zipfile.ZipFile(tmp_path / "bad") as archive:
        assert json.loads(archive.read("schema.json"))["__class__"] == "RandomForestClassifier"
    for name, is_good in (("good", True), ("bad", False)):
        loaded = skops.io.load(tmp_path / name, trusted=["sklearn.tree._tree.Tree"])
        assert sum(isinstance(part, Tree) for part in parts(loaded)) == 1
        if is_good:
            trees.check(loaded)
        else:
            with pytest.raises(ModelError, match="leads back"):
                trees.check(loaded)


def test_a_tree_has_an_output() -> None:
    """Boosting reads one of each leaf."""
    tree = DecisionTreeClassifier(max_depth=2).fit(FEATURES, CLASSES)
    _, (width, _, outputs), state = tree.tree_.__reduce__()
    tree.tree_ = Tree(width, np.zeros(1, np.intp), outputs)
    tree.tree_.__setstate__(state | {"values": np.empty((len(state["nodes"]), 1, 0))})
    with pytest.raises(ModelError, match="a tree has no outputs"):
        trees.check(tree)


def test_a_tree_in_another_estimator_is_a_tree() -> None:
    """An ensemble asks for `tree_` of its members, whatever they are."""
    forest = RandomForestClassifier(2).fit(FEATURES[:, :1], CLASSES)
    other = Ridge().fit(FEATURES, CLASSES)
    other.tree_ = DecisionTreeClassifier().fit(FEATURES, CLASSES).tree_
    forest.estimators_[1] = other
    with pytest.raises(ModelError, match="a tree of 4 features gets rows of 1"):
        trees.check(forest)
