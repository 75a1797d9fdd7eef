"""Model files of XGBoost and LightGBM that were changed by hand: refused before a library follows them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost

from sluice_server.runtimes import lightgbm_file, ubjson, xgboost_file
from sluice_server.runtimes.port import ModelError

chance = np.random.default_rng(0)
ROWS = chance.normal(size=(200, 3))
XGBOOST = xgboost.XGBClassifier(n_estimators=2, max_depth=2, n_jobs=1).fit(ROWS, (ROWS[:, 0] > 0).astype(int))
JSON, UBJ = (bytes(XGBOOST.get_booster().save_raw(form)) for form in ("json", "ubj"))
LIGHTGBM = lightgbm.train(
    {"objective": "multiclass", "num_class": 3, "num_leaves": 3, "verbose": -1, "num_threads": 1},
    lightgbm.Dataset(ROWS, np.digitize(ROWS[:, 0], (-0.5, 0.5)), categorical_feature=[]),
    1,
).model_to_string()


@pytest.mark.parametrize("content", [JSON, UBJ], ids=["json", "ubj"])
def test_what_xgboost_writes_is_read(content: bytes) -> None:
    """Both formats say the same."""
    described = xgboost_file.read(content)
    assert (described.booster, described.objective, described.width) == ("gbtree", "binary:logistic", 3)
    assert xgboost_file.is_known(content[:2])


@pytest.mark.parametrize(
    ("way", "value"),
    [
        ("tree.split_indices.0", 500_000_000),
        ("tree.split_indices.0", 3),
        ("tree.left_children.0", 0),
        ("tree.right_children.0", 100_000_000),
        ("tree.left_children.0", -5),
        ("tree.right_children.1", 2),
        ("tree.parents.1", 77_777_777),
        ("tree.parents.0", 5),
        ("tree.id", 1),
        ("tree.id", 99_999),
        ("tree.base_weights", []),
        ("tree.split_indices", [0.5] * 7),
        ("tree.split_type.0", 1),
        ("tree.categories_nodes", [100_000]),
        ("tree.tree_param.num_nodes", "2000000000"),
        ("tree.tree_param.size_leaf_vector", "1000"),
        ("model.tree_info.0", 100_000_000),
        ("model.tree_info.0", -1),
        ("model.iteration_indptr", [0, 300_000, 2]),
        ("model.gbtree_model_param.num_trees", "1000000000"),
        ("model.trees", []),
        ("learner.learner_model_param.num_class", "2000000000"),
        ("learner.learner_model_param.num_target", "-1"),
        ("learner.learner_model_param.num_target", "0_1"),
        ("learner.learner_model_param.num_feature", " 3"),
        ("learner.learner_model_param.num_feature", 3),
        ("tree.tree_param.num_nodes", "0_7"),
        ("tree.tree_param.size_leaf_vector", "\uff11"),
        ("tree.right_children.0", 2**64 - 1),
        ("model.gbtree_model_param.num_trees", "\u0662"),
        ("model.cats.sorted_idx", [5]),
        ("model.cats.enc", [{"offsets": [0, 9], "values": [120]}] * 3),
        ("model.cats.enc", [{"offsets": [0, 2, 1], "values": [120]}] * 3),
        ("learner.learner_model_param.num_feature", "4000000000"),
        ("learner.objective.softmax_multiclass_param", {"num_class": "1000"}),
        ("learner.attributes.best_iteration", "999999999"),
        ("learner.feature_names", ["a"]),
        ("learner.gradient_booster.name", "../gbtree"),
        ("learner.gradient_booster", {"name": "gblinear", "model": {"weights": [0.5]}}),
        ("learner", None),
    ],
)
def test_a_changed_file_of_xgboost_is_refused(way: str, value: Any) -> None:
    """Each of these would be followed, or would end the process."""
    content = json.loads(JSON)
    learner = content["learner"]
    model = learner["gradient_booster"]["model"]
    places = {"learner": learner, "model": model, "tree": model["trees"][0]}
    first, *rest = way.split(".")
    at = places[first] if rest else content
    for key in rest[:-1]:
        at = at[int(key) if isinstance(at, list) else key]
    last = (rest or [first])[-1]
    at[int(last) if isinstance(at, list) else last] = value
    with pytest.raises(ModelError):
        xgboost_file.read(json.dumps(content, separators=(",", ":")).encode())


@pytest.mark.parametrize(
    ("starts", "sizes", "categories"),
    [([1_000_000], [1], [1]), ([0], [1_000], [1]), ([0], [1], [-7]), ([0], [1], [2**31 - 1]), ([-1], [1], [1])],
)
def test_sets_of_categories_lie_in_their_tree(starts: list[int], sizes: list[int], categories: list[int]) -> None:
    """And none needs more memory than a model has."""
    content = json.loads(JSON)
    tree = content["learner"]["gradient_booster"]["model"]["trees"][0]
    tree["split_type"][0] = 1
    tree |= {"categories_nodes": [0], "categories_segments": [0], "categories_sizes": [1], "categories": [2]}
    xgboost_file.read(json.dumps(content, separators=(",", ":")).encode())
    tree |= {"categories_segments": starts, "categories_sizes": sizes, "categories": categories}
    with pytest.raises(ModelError):
        xgboost_file.read(json.dumps(content, separators=(",", ":")).encode())


@pytest.mark.parametrize("form", ["json", "ubj"])
@pytest.mark.parametrize("cities", [["Añejo", "B", "C", "D"], ["Bern", "Genf", "Zürich"], ["ß", "1", "23"]])
def test_categories_that_xgboost_has_cut_are_refused(cities: list[str], form: str) -> None:
    """Read as its offsets say, ("Añejo", "B", "C") would be ("Añej", "o", "B"): other numbers, without a word."""
    table = pd.DataFrame({"city": pd.Categorical(cities * 20, categories=cities)})
    options = {"enable_categorical": True, "n_estimators": 2, "n_jobs": 1}
    model = xgboost.XGBRegressor(**options).fit(table, np.arange(len(table)) % len(cities))
    with pytest.raises(ModelError, match=r"letters beyond ASCII .* rename them before training"):
        xgboost_file.read(bytes(model.get_booster().save_raw(form)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"',
        b'{"a":' * 100_000,
        JSON.replace(b'"version"', b'"learner":{},"version"'),
        JSON[:-50],
        b"{L" + b"\xff" * 20,
        UBJ[:-3],
        UBJ + b"N",
        UBJ.replace(b"[$d#L" + b"\0" * 7, b"[$d#L\x7f" + b"\0" * 6, 1),
        UBJ.replace(b"[$d#L", b"[$H#L", 1),
        b"{L" + b"\0" * 7 + b"\x01a[#L" + b"\0" * 4 + b"\xff" * 4,
        (b"{L" + b"\0" * 7 + b"\x01a") * 10_000,
    ],
)
def test_broken_files_of_xgboost_are_refused(content: bytes) -> None:
    """Whatever is not exactly what XGBoost writes, in the time and memory that its size allows."""
    with pytest.raises(ModelError, match="the model file was made or changed by hand"):
        xgboost_file.read(content)


def test_any_byte_of_a_file_may_be_another_one() -> None:
    """What is not refused can be followed: XGBoost loads it and answers, or says no, but does not crash."""
    survivors = []
    for _ in range(150):
        changed = bytearray(UBJ)
        changed[chance.integers(len(UBJ))] = chance.integers(256)
        try:
            xgboost_file.read(bytes(changed))
        except ModelError:
            continue
        survivors.append(bytes(changed).hex())
    assert survivors
    code = """
import sys, numpy
sys.modules["sklearn"] = sys.modules["pandas"] = None
import xgboost
for line in sys.stdin:
    try:
        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(bytearray.fromhex(line))
        booster.inplace_predict(numpy.zeros((2, 3)))
    except (xgboost.core.XGBoostError, ValueError):
        pass
"""
    ended = subprocess.run([sys.executable, "-c", code], input="\n".join(survivors), text=True, check=False)
    assert ended.returncode == 0


def test_numbers_of_ubjson_are_those_that_were_written() -> None:
    """Each type that XGBoost writes."""
    key = b"L" + b"\0" * 7 + b"\x01"
    content = (
        b"{" + key + b"ai\xff" + key + b"bl\0\0\1\0" + key + b"cT" + key + b"d[$I#L" + b"\0" * 7 + b"\1\1\0" + b"}"
    )
    found = ubjson.decode(content)
    assert found.pop("d").tolist() == [256]
    assert found == {"a": -1, "b": 256, "c": True}


def told(text: str) -> str:
    """A file of LightGBM that says how large its trees are, in bytes."""
    sizes = [str(len(tree.encode())) for tree in re.findall(r"Tree=\d.*?\n\n\n", text, re.DOTALL)]
    return re.sub(r"tree_sizes=.*", f"tree_sizes={' '.join(sizes)}", text)


def test_what_lightgbm_writes_is_read() -> None:
    """Without what follows its trees, which no prediction needs."""
    described = lightgbm_file.read(LIGHTGBM.encode())
    assert (described.width, described.names) == (3, None)
    assert described.text.endswith("end of trees\n")


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        (r"split_feature=\d", "split_feature=5"),
        (r"split_feature=\d", "split_feature=x"),
        (r"left_child=-?\d", "left_child=0"),
        (r"left_child=-?\d", "left_child=9"),
        (r"right_child=-?\d", "right_child=-9"),
        (r"left_child=-?\d ", "left_child="),
        (r"num_leaves=3", "num_leaves=1"),
        (r"num_leaves=3", "num_leaves=0"),
        (r"num_leaves=3", "num_leaves=-4"),
        (r"num_leaves=3", "num_leaves=0_3"),
        (r"num_leaves=3", "num_leaves=\uff13"),
        (r"num_leaves=3", "num_leaves= 3"),
        (r"num_cat=0", "num_cat=0_0"),
        (r"num_class=3", "num_class=\u0663"),
        (r"num_class:3", "num_class:0_3"),
        (r"num_tree_per_iteration=3", "num_tree_per_iteration=0_3"),
        (r"max_feature_idx=2", "max_feature_idx=0_2"),
        (r"leaf_value=\S+", "leaf_value=1_0"),
        (r"leaf_value=.*\n", ""),
        (r"leaf_value=", "leaf_value=1\nleaf_value="),
        (r"decision_type=\d", "decision_type=9"),
        (r"is_linear=0", "is_linear=1"),
        (r"threshold=\S+", "threshold=1e"),
        (r"num_class=3", "num_class=5000"),
        (r"num_class:3", "num_class:2"),
        (r"num_tree_per_iteration=3", "num_tree_per_iteration=0"),
        (r"max_feature_idx=2", "max_feature_idx=9"),
        (r"tree_sizes=\d", "tree_sizes=9"),
        (r"tree_sizes=", "tree_sizes=-"),
        (r"tree_sizes=.*\n", ""),
        (r"Tree=1", "Tree=2"),
        (r"objective=multiclass num_class:3", "objective=binary"),
        (r"objective=multiclass num_class:3", "objective="),
        (r"objective=multiclass num_class:3", "objective=  "),
        (r"shrinkage=1", "shrinkage=x"),
        (r"(?s).*", ""),
        (r"(?s)\nTree=2.*", ""),
    ],
)
def test_a_changed_file_of_lightgbm_is_refused(pattern: str, value: str) -> None:
    """Each of these would be followed, or would end the process; sizes that are told are corrected before."""
    changed = re.sub(pattern, value, LIGHTGBM, count=1)
    assert changed != LIGHTGBM
    if "tree_sizes" not in pattern and value and "Tree" not in pattern:
        blocks = re.findall(r"Tree=\d.*?\n\n\n", changed, re.DOTALL)
        changed = re.sub(
            r"tree_sizes=.*", f"tree_sizes={' '.join(str(len(block.encode())) for block in blocks)}", changed
        )
    with pytest.raises(ModelError):
        lightgbm_file.read(changed.encode())


def test_a_set_of_categories_has_a_plain_number() -> None:
    """LightGBM reads an exponent beyond 32 bits as another one than numpy does: here 100,000 instead of 0."""
    rows = np.column_stack((np.arange(200) % 7, ROWS[:, 1]))
    dataset = lightgbm.Dataset(rows, rows[:, 0] % 3, categorical_feature=[0])
    how = {"objective": "regression", "num_leaves": 3, "verbose": -1, "num_threads": 1, "max_cat_to_onehot": 1}
    text = lightgbm.train(how | {"cat_smooth": 0, "min_data_per_group": 1}, dataset, 1).model_to_string()
    assert lightgbm_file.read(text.encode()).width == 2
    changed = re.sub(r"threshold=0(?= |\n)", "threshold=100000e-4294967296", text)
    assert changed != text
    changed = told(changed)
    with pytest.raises(ModelError, match="instead of a whole number"):
        lightgbm_file.read(changed.encode())
