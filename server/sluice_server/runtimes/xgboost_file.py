"""A model file of XGBoost, JSON or UBJSON: read and checked without XGBoost, which follows what is in it unchecked.

Seen with XGBoost 3.2: a feature, child, parent or output beyond the arrays is read or written all the same, a segment
of categories too, and JSON that is nested deeply overruns the stack. No code is in such a file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sluice_server.model.schema import MOST_COLUMNS
from sluice_server.runtimes import ubjson
from sluice_server.runtimes.nodes import changed, check_nodes, whole
from sluice_server.runtimes.port import ModelError

Object: TypeAlias = Mapping[str, Any]

CATEGORY = "c"
_NO_NODE, _NO_PARENT = -1, 2**31 - 1
_LAST_OF_ASCII, _SHOWN = 127, 12  # bytes
_MOST_BITS = 2**28  # of all sets of categories of a model: XGBoost takes a bit for each number up to the largest


@dataclass(frozen=True, slots=True)
class XgboostFile:
    """What a file says of its model.

    `booster`: gbtree, dart or gblinear. `estimator`: classifier, regressor or ranker for a class of XGBoost's
    scikit-learn API, empty for a Booster. `classes`: 0 where the objective has none of its own. `targets`: what it
    predicts for a row. `width`: columns, and `names` theirs, None if it was trained without. `best_round`: the last one
    that the scikit-learn classes use.
    `categories`: for each column the values that stand for 0, 1, ..., None where it has numbers. `types`: for each
    column XGBoost's name of its type, "" where the file has none.
    """

    booster: str
    estimator: str
    objective: str
    classes: int
    targets: int
    width: int
    names: tuple[str, ...] | None
    best_round: int | None
    categories: tuple[tuple[Any, ...] | None, ...]
    types: tuple[str, ...]


def read(content: bytes) -> XgboostFile:
    """What is in a model file, if XGBoost can follow it safely; raises ModelError if it cannot."""
    try:
        return _describe(_parse(content)["learner"])
    except ModelError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise changed(f"it is not what XGBoost writes ({what})") from error


def is_known(start: bytes) -> bool:
    """Whether a file that starts with these two bytes is JSON or UBJSON; the format before 2.1 is neither."""
    return start in (b'{"', b"{L")


def _parse(content: bytes) -> Any:
    if content[:2] == b'{"':
        return json.loads(content, object_pairs_hook=_once)
    return ubjson.decode(content)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a key that is there twice, XGBoost could use the one that was not checked."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("it has a key twice")
    return found


def _describe(learner: Object) -> XgboostFile:
    shape = learner["learner_model_param"]
    width = whole(shape["num_feature"])
    classes, targets = whole(shape.get("num_class", "0")), whole(shape.get("num_target", "1"))
    objective = learner["objective"]
    outputs = max(classes, targets, 1)
    if min(classes, targets) > 1 or classes < 0 or targets < 0 or not 0 < width <= MOST_COLUMNS:
        raise changed(f"it has {classes} classes, {targets} targets and {width} columns")
    of_objective = objective.get("softmax_multiclass_param")
    if of_objective is not None and whole(of_objective["num_class"]) != classes:
        raise changed("its objective has another number of classes than the model")
    booster = learner["gradient_booster"]
    rounds, model = _check_booster(booster, width, outputs)
    attributes = learner.get("attributes", {})
    best = whole(attributes["best_iteration"]) if "best_iteration" in attributes else None
    if best is not None and not 0 <= best < rounds:
        raise changed(f"its best round is {best}, and it has {rounds}")
    return XgboostFile(
        booster=str(booster["name"]),
        estimator=str(json.loads(attributes.get("scikit_learn", "{}")).get("_estimator_type", "")),
        objective=str(objective["name"]),
        classes=classes,
        targets=targets,
        width=width,
        names=_names(learner.get("feature_names", []), width),
        best_round=best,
        categories=_categories(learner.get("feature_types", []), model.get("cats"), width),
        types=tuple(map(str, learner.get("feature_types") or [""] * width)),
    )


def _names(names: list[str], width: int) -> tuple[str, ...] | None:
    if names and len(names) != width:
        raise changed(f"it has {len(names)} names for {width} columns")
    return tuple(map(str, names)) or None


def _check_booster(booster: Object, width: int, outputs: int) -> tuple[int, Object]:
    """The number of rounds, and the part that has the trees."""
    if booster["name"] == "gblinear":
        linear: Object = booster["model"]
        if len(_numbers(linear, "weights")) != (width + 1) * outputs:
            raise changed(f"it has another number of weights than {width + 1} for each of {outputs} outputs")
        rounds = linear.get("boosted_rounds", 0)
        if type(rounds) is not int or rounds < 0:
            raise changed("it has no number of rounds")
        return rounds, linear
    if booster["name"] not in ("gbtree", "dart"):
        raise changed(f"it is no booster that XGBoost has: {str(booster['name'])[:50]!r}")
    is_dart = booster["name"] == "dart"
    model: Object = (booster["gbtree"] if is_dart else booster)["model"]
    trees = model["trees"]
    if not trees:
        raise ModelError("the model has no trees: train it for at least one round")
    if is_dart and len(_numbers(booster, "weight_drop")) != len(trees):
        raise changed("it has another number of weights than of trees")
    bits = sum(_check_tree(tree, at, width) for at, tree in enumerate(trees))
    if bits > _MOST_BITS:
        raise changed(f"its sets of categories take {bits} bits, and {_MOST_BITS} are the limit")
    return _check_rounds(model, len(trees), outputs), model


def _check_rounds(model: Object, trees: int, outputs: int) -> int:
    param = model["gbtree_model_param"]
    parallel = whole(param.get("num_parallel_tree", "1"))
    of_trees = _integers(model, "tree_info", trees)
    if outputs > trees or not ((of_trees >= 0) & (of_trees < outputs)).all():
        raise changed(f"a tree is for an output that is not one of its {outputs}")
    if whole(param["num_trees"]) != trees or parallel < 1:
        raise changed("it has another number of trees than it says")
    if "iteration_indptr" not in model:  # before XGBoost 2.0
        return trees // (outputs * parallel)
    ends = _integers(model, "iteration_indptr")
    if len(ends) < 2 or ends[0] != 0 or ends[-1] != trees or (np.diff(ends) < 0).any():
        raise changed("its rounds are not its trees")
    return len(ends) - 1


def _check_tree(tree: Object, at: int, width: int) -> int:
    """The bits that its sets of categories take."""
    param = tree["tree_param"]
    count = whole(param["num_nodes"])
    if whole(param.get("size_leaf_vector", "1")) > 1:
        raise ModelError(
            "a leaf of a tree holds several values, which this server does not serve: train with "
            "multi_strategy='one_output_per_tree'"
        )
    if tree["id"] != at:
        raise changed("a tree is not at its place")
    left, right = _integers(tree, "left_children", count), _integers(tree, "right_children", count)
    parents, feature = _integers(tree, "parents", count), _integers(tree, "split_indices", count)
    inner = left != _NO_NODE
    if (inner != (right != _NO_NODE)).any():
        raise changed("a node of a tree has one child")
    check_nodes(inner, (left, right), feature, width)
    parent = np.flatnonzero(inner)
    if (parents[left[parent]] != parent).any() or (parents[right[parent]] != parent).any():
        raise changed("a node of a tree has two parents")
    if parents[0] not in (_NO_NODE, _NO_PARENT) or not ((parents[1:] >= 0) & (parents[1:] < count)).all():
        raise changed("a node of a tree has a parent that is not there")
    for key in ("split_conditions", "base_weights", "loss_changes", "sum_hessian"):
        if len(_numbers(tree, key)) != count:
            raise changed(f"a tree has another number of {key} than of nodes")
    _integers(tree, "default_left", count)
    return _check_categories(tree, count)


def _check_categories(tree: Object, count: int) -> int:
    if "split_type" not in tree:  # before XGBoost 1.6
        return 0
    by_category = np.flatnonzero(_integers(tree, "split_type", count))
    nodes = _integers(tree, "categories_nodes")
    starts, sizes = (_integers(tree, f"categories_{of}", len(nodes)) for of in ("segments", "sizes"))
    values = _integers(tree, "categories")
    if not np.array_equal(nodes, by_category):
        raise changed("a node of a tree takes a number for a category")
    if (starts < 0).any() or (sizes < 0).any() or (starts > len(values)).any() or (sizes > len(values) - starts).any():
        raise changed("a node of a tree asks for a set of categories that is not there")
    if (values < 0).any():
        raise changed("a category of a tree is below 0")
    largest = (values[start : start + size].max(initial=0) for start, size in zip(starts, sizes, strict=True))
    return sum(int(value) + 1 for value in largest)


def _categories(types: list[str], cats: Object | None, width: int) -> tuple[tuple[Any, ...] | None, ...]:
    """The values of each categorical column; None where the file has none: before XGBoost 3.1 it had their numbers."""
    kept = (cats or {}).get("enc") or [{}] * width
    if (types and len(types) != width) or len(kept) != width:
        raise changed(f"it has {len(types)} types and {len(kept)} lists of categories for {width} columns")
    found = tuple(
        _decoded(values) if kind == CATEGORY else None for kind, values in zip(types or [""] * width, kept, strict=True)
    )
    _check_kept(cats or {}, kept)
    return found


def _check_kept(cats: Object, kept: list[Object]) -> None:
    """The lists are where they say, one behind the other, and so is the order of each."""
    sizes = []
    for values in kept:
        ends = _integers(values, "offsets") if "offsets" in values else None
        if ends is not None and len(ends) and (ends[0] != 0 or (np.diff(ends) < 0).any()):
            raise changed("a list of its categories leads back")
        if ends is not None and (ends[-1] if len(ends) else 0) != len(values["values"]):
            raise changed("a list of its categories is not as long as it says")
        sizes.append(len(values.get("values", ())) if ends is None else max(len(ends) - 1, 0))
    order = _integers(cats, "sorted_idx", sum(sizes)) if "sorted_idx" in cats else np.arange(0)
    starts = _integers(cats, "feature_segments") if "feature_segments" in cats else np.arange(0)
    if len(starts) and not np.array_equal(starts, np.cumsum([0, *sizes])):
        raise changed("its lists of categories are not at their places")
    if len(order) and not ((order >= 0) & (order < np.repeat(sizes, sizes))).all():
        raise changed("the order of its categories is none")


def _decoded(kept: Object) -> tuple[Any, ...] | None:
    """Texts are kept as their bytes one behind the other, and where each of them ends; numbers as they are.

    XGBoost 3.1 and 3.2 count letters for bytes there. So they cut texts with others than those of ASCII, and nothing in
    the file tells where one ends: https://github.com/dmlc/xgboost/pull/12371
    """
    if "offsets" not in kept:
        return tuple(np.asarray(kept.get("values", ())).tolist()) or None
    ends = _integers(kept, "offsets").tolist()
    raw = _integers(kept, "values").astype(np.uint8).tobytes()
    if not raw.isascii():
        raise ModelError(
            f"a categorical column has text with letters beyond ASCII (in {_around(raw)!r}), which XGBoost writes into "
            "its files in part only, so that nobody can tell its categories: rename them before training, such as "
            "Zuerich for Zürich, and rename the values of requests in the same way"
        )
    return tuple(raw[start:end].decode() for start, end in pairwise(ends)) or None


def _around(raw: bytes) -> str:
    """Some of the texts, around the first letter that is not one of ASCII."""
    first = next(at for at, byte in enumerate(raw) if byte > _LAST_OF_ASCII)
    return raw[max(first - _SHOWN, 0) : first + _SHOWN].decode(errors="replace")


def _integers(holder: Object, key: str, size: int | None = None) -> NDArray[np.int64]:
    values = _array(holder, key, "iub")
    if size is not None and len(values) != size:
        raise changed(f"it has {len(values)} {key} instead of {size}")
    if values.dtype == np.uint64 and (values > np.iinfo(np.int64).max).any():
        raise changed(f"its {key} have a number that is too large")
    return values.astype(np.int64)


def _numbers(holder: Object, key: str) -> NDArray[Any]:
    return _array(holder, key, "iuf")


def _array(holder: Object, key: str, kinds: str) -> NDArray[Any]:
    values = np.asarray(holder[key])
    if values.ndim != 1 or (len(values) and values.dtype.kind not in kinds):
        raise changed(f"its {key} are no list of numbers")
    return values
