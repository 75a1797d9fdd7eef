"""The signature of a scikit-learn model that was logged without one, out of the structure of its skops file.

Only of models of numbers: scikit-learn keeps the names of columns and how many they are, and no types. Whatever makes
numbers of text is named in the file. Nothing of it is constructed.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sluice_server.runtimes import inferred

_TAKE_MORE_THAN_NUMBERS = ("Encoder", "Vectorizer", "Hasher", "ColumnTransformer", "FunctionTransformer")
_OF_LABELS = "LabelEncoder"


def inputs(file: Path) -> str | None:
    """As MLmodel would have it; None where the model may take something else, or does not say its columns."""
    with zipfile.ZipFile(file) as archive:
        root = json.loads(archive.read("schema.json"))
    if any(name.endswith(_TAKE_MORE_THAN_NUMBERS) and name != _OF_LABELS for name in _classes(root)):
        return None
    try:
        attributes = _attributes(root)
        names = attributes.get("feature_names_in_")
        if names is not None:
            listed = [str(json.loads(name["content"])) for name in names["content"]]
            return inferred.of_columns(listed, ["double"] * len(listed))
        return inferred.of_tensor("float64", int(attributes["n_features_in_"]["content"]))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return None


def _attributes(estimator: Any) -> dict[str, Any]:
    """Those of an estimator that was fitted on the rows as they come: of a pipeline, its first step."""
    found: dict[str, Any] = estimator["content"]["content"]
    if estimator["__class__"] == "Pipeline":
        return _attributes(found["steps"]["content"][0]["content"][1])
    return found


def _classes(structure: Any) -> Iterator[str]:
    """The names of all classes in a structure, at any depth."""
    waiting = [structure]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield str(node.get("__class__", ""))
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
