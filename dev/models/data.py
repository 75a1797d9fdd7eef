"""The data that the models of the table are trained on: small, made here or part of scikit-learn, always the same."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes, load_iris

MOST_ROWS = 40  # that a model is asked for


def iris() -> tuple[pd.DataFrame, NDArray[Any]]:
    """Four columns with names that have spaces and brackets, three classes that are numbers."""
    table, classes = load_iris(return_X_y=True, as_frame=True)
    return table, classes.to_numpy()


def named_iris() -> tuple[pd.DataFrame, NDArray[Any]]:
    """The same with classes that are text."""
    table, classes = iris()
    return table, np.array(["setosa", "versicolor", "virginica"])[classes]


def diabetes() -> tuple[pd.DataFrame, NDArray[Any]]:
    """Ten columns, one number to predict."""
    table, target = load_diabetes(return_X_y=True, as_frame=True)
    return table, target.to_numpy()


def customers(gaps: bool = True) -> tuple[pd.DataFrame, NDArray[Any]]:
    """Text, numbers, whole numbers and booleans; with `gaps`, some values are missing. Two classes that are text."""
    chance = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "city": chance.choice(["ulm", "rom", "bonn"], 300),
            "age": chance.normal(40, 9, 300).round(1),
            "visits": chance.integers(0, 30, 300),
            "member": chance.random(300) < 0.4,
        }
    )
    stays = np.where((table.age > 40) | (table.city == "ulm") & table.member, "stays", "leaves")
    if gaps:
        table.loc[::10, "city"] = np.nan
        table.loc[::7, "age"] = np.nan
    return table, stays


def reviews() -> tuple[list[str], NDArray[Any]]:
    """Short texts, and whether they are good."""
    chance = np.random.default_rng(0)
    words = chance.choice(["good", "fine", "bad", "awful"], 200), chance.choice(["wine", "bread", "soup"], 200)
    texts = [f"{first} {second}" for first, second in zip(*words, strict=True)]
    return texts, np.isin(words[0], ["good", "fine"]).astype(np.int64)


def wide(columns: int = 600) -> tuple[NDArray[Any], NDArray[Any]]:
    """A tensor of many columns, most of them zero."""
    chance = np.random.default_rng(0)
    rows = chance.normal(size=(200, columns)) * (chance.random((200, columns)) < 0.05)
    return rows, (rows[:, :20].sum(axis=1) > 0).astype(np.int64)
