"""A model file of LightGBM, its text format: read and checked without LightGBM, which follows what is in it unchecked.

Seen with LightGBM 4.7: an index beyond the arrays is read all the same, and a field that is missing, has another size
or cannot be read ends the process. So every line has to be one that LightGBM writes. No code is in such a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sluice_server.model.schema import MOST_COLUMNS
from sluice_server.runtimes.lightgbm_categories import Categories, paired
from sluice_server.runtimes.nodes import changed, check_nodes, whole
from sluice_server.runtimes.port import ModelError

Fields: TypeAlias = Mapping[str, str]

_HEADER = {"version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective"}
_HEADER |= {"average_output", "feature_names", "monotone_constraints", "feature_infos", "tree_sizes"}
_OF_NODES = ("split_gain", "threshold", "decision_type", "internal_value", "internal_weight", "internal_count")
_OF_LEAVES = ("leaf_weight", "leaf_count")
_OF_TREES = {"num_leaves", "num_cat", "split_feature", "left_child", "right_child", "leaf_value"}
_OF_TREES |= {"cat_boundaries", "cat_threshold", "is_linear", "shrinkage", *_OF_NODES, *_OF_LEAVES}
_INTEGERS = re.compile(r"(-?[0-9]{1,10}( -?[0-9]{1,10})*)?")
_NUMBERS = re.compile(r"(-?([0-9.][0-9.e+-]*|inf|nan)( -?([0-9.][0-9.e+-]*|inf|nan))*)?")
_END = b"end of trees"
_CATEGORIES = b"\npandas_categorical:"
_BY_CATEGORY = 1  # a bit of decision_type


@dataclass(frozen=True, slots=True)
class LightgbmFile:
    """What a file says of its model.

    `text`: what LightGBM needs of it, all of it checked. `outputs`: the numbers that it gives for a row. `names`: its
    columns, None if it was trained without. `categories`: for each column the values that stand for 0, 1, ..., None
    where it has numbers. `ranges`: for each column what LightGBM saw in the training.
    """

    text: str
    width: int
    outputs: int
    rounds: int
    names: tuple[str, ...] | None
    categories: Categories
    ranges: tuple[str, ...]


def read(content: bytes) -> LightgbmFile:
    """What is in a model file, if LightGBM can follow it safely; raises ModelError if it cannot."""
    try:
        return _describe(content)
    except ModelError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise changed(f"it is not what LightGBM writes ({what})") from error


def _describe(content: bytes) -> LightgbmFile:
    top, _, rest = content.partition(b"\n\n")
    start, *lines = top.decode().split("\n")
    header = _fields(lines, _HEADER)
    if start != "tree" or header["version"] not in ("v3", "v4"):
        raise changed("it does not start as a model of LightGBM 3 or 4 does")
    width, outputs = whole(header["max_feature_idx"]) + 1, whole(header["num_class"])
    names, infos = header["feature_names"].split(" "), header["feature_infos"].split(" ")
    if not 0 < width <= MOST_COLUMNS or len(names) != width or len(infos) != width:
        raise changed(f"it has {len(names)} names and {len(infos)} ranges for {width} columns")
    if len(_integers(header.get("monotone_constraints", ""))) not in (0, width):
        raise changed(f"it has another number of constraints than {width}")
    sizes = _integers(header["tree_sizes"]).tolist()
    _check_outputs(header, outputs, len(sizes))
    end = 0
    for at, size in enumerate(sizes):
        _check_tree(rest[end : end + max(size, 0)], at, width)
        end += size
    if not rest[end:].startswith(_END):
        raise changed("its trees have other sizes than it says")
    return LightgbmFile(
        text=content[: len(top) + 2 + end + len(_END)].decode() + "\n",
        width=width,
        outputs=outputs,
        rounds=len(sizes) // outputs,
        names=None if names == [f"Column_{at}" for at in range(width)] else tuple(names),
        categories=paired(_lists(rest[end:]), infos),
        ranges=tuple(infos),
    )


def _fields(lines: list[str], known: set[str]) -> Fields:
    """Lines of the form key=value, each key once."""
    found: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition("=")
        if key not in known or key in found or "\0" in value or "\r" in value:
            raise changed(f"it has a line that LightGBM does not write: {line[:50]!r}")
        found[key] = value
    return found


def _check_outputs(header: Fields, outputs: int, trees: int) -> None:
    if "objective" in header and not header["objective"].strip():
        raise changed("its objective is empty")
    objective = header.get("objective", "").split(" ")
    stated = [whole(word.removeprefix("num_class:")) for word in objective if word.startswith("num_class:")]
    if outputs < 1 or whole(header["num_tree_per_iteration"]) != outputs or trees % outputs:
        raise changed(f"its {trees} trees are not for {outputs} outputs")
    if not trees:
        raise ModelError("the model has no trees: train it for at least one round")
    if objective[0].startswith("multiclass"):
        if stated != [outputs]:
            raise changed("its objective has another number of classes than the model")
    elif stated or (outputs > 1 and objective[0] not in ("", "custom", "none")):
        raise changed(f"its objective {objective[0][:30]!r} has one output, and the model {outputs}")


def _check_tree(block: bytes, at: int, width: int) -> None:
    start, *lines = block.decode().rstrip("\n").split("\n")
    if start != f"Tree={at}" or not block.endswith(b"\n"):
        raise changed("a tree is not at its place")
    if any(line.startswith("is_linear=") and line != "is_linear=0" for line in lines):
        raise ModelError(
            "a leaf of a tree holds a linear model, which this server does not serve: train with linear_tree=False"
        )
    tree = _fields(lines, _OF_TREES)
    leaves = whole(tree["num_leaves"])
    if leaves < 1 or len(_numbers(tree["leaf_value"])) != leaves:
        raise changed("a tree has another number of leaves than it says")
    _numbers(tree.get("shrinkage", "1"))
    if leaves > 1:
        _check_splits(tree, leaves, width)


def _check_splits(tree: Fields, leaves: int, width: int) -> None:
    inner = leaves - 1
    for keys, count in ((_OF_NODES, inner), (_OF_LEAVES, leaves)):
        for key in keys:
            if len(_numbers(tree[key])) != count:
                raise changed(f"a tree has another number of {key} than {count}")
    left, right, feature = (_integers(tree[key]) for key in ("left_child", "right_child", "split_feature"))
    if not len(left) == len(right) == len(feature) == inner:
        raise changed("a tree has another number of nodes than it says")
    is_inner = np.arange(inner + leaves) < inner
    check_nodes(is_inner, (_behind(left, inner), _behind(right, inner)), feature, width)
    _check_categories(tree, whole(tree.get("num_cat", "0")))


def _behind(child: NDArray[np.int64], inner: int) -> NDArray[np.int64]:
    """Children with the leaves, which are counted -1, -2, ... in the file, behind the other nodes."""
    return np.where(child < 0, inner - 1 - child, np.where(child < inner, child, -1))


def _check_categories(tree: Fields, count: int) -> None:
    types = _integers(tree["decision_type"])
    by_category = (types & _BY_CATEGORY) != 0
    thresholds = tree["threshold"].split(" ")
    sets = [whole(thresholds[at]) for at in np.flatnonzero(by_category)]
    if ((types < 0) | (types > np.iinfo(np.int8).max)).any() or not all(0 <= each < count for each in sets):
        raise changed("a node of a tree asks for a set of categories that is not there")
    if not count:
        return
    ends, bits = _integers(tree["cat_boundaries"]), _integers(tree["cat_threshold"])
    if len(ends) != count + 1 or ends[0] != 0 or ends[-1] != len(bits) or (np.diff(ends) < 0).any():
        raise changed("the sets of categories of a tree are not as large as they say")
    if ((bits < 0) | (bits > np.iinfo(np.uint32).max)).any():
        raise changed("a set of categories of a tree is none")


def _integers(text: str) -> NDArray[np.int64]:
    if not _INTEGERS.fullmatch(text):
        raise changed(f"it has {text[:30]!r} instead of whole numbers")
    return np.array(text.split(), dtype=np.int64)


def _numbers(text: str) -> NDArray[np.float64]:
    if not _NUMBERS.fullmatch(text):
        raise changed(f"it has {text[:30]!r} instead of numbers")
    return np.array(text.split(), dtype=np.float64)


def _lists(end: bytes) -> list[list[Any]]:
    """The values of each column of the type category."""
    found = json.loads(end.rpartition(_CATEGORIES)[2] or b"null") if _CATEGORIES in end else None
    return list(found or [])
