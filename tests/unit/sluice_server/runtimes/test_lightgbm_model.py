"""What loaded LightGBM models answer: the same as the Booster in LightGBM itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from sluice_server.model.schema import Column, Kind, Schema
from sluice_server.runtimes.lightgbm_model import LightgbmModel, load
from sluice_server.runtimes.port import ModelError

chance = np.random.default_rng(0)
ROWS = chance.normal(size=(300, 4))
ROWS[::7, 1] = np.nan
SUM = np.nansum(ROWS, axis=1)
SCHEMA = Schema(tuple(Column(str(at), Kind.NUMBER) for at in range(4)))


def trained(rows: Any, target: Any, **options: Any) -> lightgbm.Booster:
    settings = {"verbose": -1, "num_threads": 1, "num_leaves": 7, **options}
    return lightgbm.train(settings, lightgbm.Dataset(rows, target), 5)


def loaded(
    booster: lightgbm.Booster, folder: Path, schema: Schema = SCHEMA, rows: Any = ROWS, **made_up: bool
) -> LightgbmModel:
    booster.save_model(folder / "model.lgb")
    return load(folder / "model.lgb", schema, rows[:2], **{"made_up": False, **made_up})


@pytest.mark.parametrize(
    ("options", "target"),
    [
        ({"objective": "binary"}, SUM > 0),
        ({"objective": "multiclass", "num_class": 3}, np.digitize(SUM, (-1, 1))),
        ({"objective": "multiclassova", "num_class": 3}, np.digitize(SUM, (-1, 1))),
        ({"objective": "regression"}, SUM),
        ({"objective": "poisson"}, np.abs(SUM)),
        ({"objective": "quantile", "alpha": 0.9}, SUM),
        ({"objective": "binary", "boosting": "dart"}, SUM > 0),
        ({"objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, SUM),
        ({"objective": "regression", "min_data_in_leaf": 1_000}, SUM),
        ({"objective": "regression", "monotone_constraints": [1, 0, 0, -1]}, SUM),
    ],
    ids=lambda value: "-".join(str(part) for part in value.values()) if isinstance(value, dict) else "",
)
def test_a_booster_answers_what_its_objective_gives(options: dict[str, Any], target: Any, tmp_path: Path) -> None:
    """Bit by bit, with missing values; a number for each row, or one for each class."""
    booster = trained(ROWS, target, **options)
    model = loaded(booster, tmp_path)
    answer = model.predict(ROWS)
    assert (model.classes, answer.classes, answer.probabilities) == (None, None, None)
    assert model.nullable == (True,) * 4
    assert np.array_equal(answer.values, booster.predict(ROWS))


def test_categories_are_taken_by_their_values(tmp_path: Path) -> None:
    """Text and numbers, missing and unknown ones too, in another order of columns than the training had."""
    table = pd.DataFrame(
        {
            "my city": pd.Categorical(chance.choice(["ulm", "rom", "bonn"], 300)),
            "age": chance.normal(40, 9, 300),
            "floor": pd.Categorical(chance.choice([10, 20, 30], 300)),
        }
    )
    table.loc[::9, "my city"] = np.nan
    target = (table["my city"] == "rom") ^ (table.age > 40) ^ (table.floor == 20)
    booster = trained(table, target, objective="binary")
    columns = (Column("floor", Kind.INTEGER), Column("my city", Kind.TEXT), Column("age", Kind.NUMBER))
    cells = table[["floor", "my city", "age"]].astype(object).to_numpy()
    model = loaded(booster, tmp_path, Schema(columns), cells)
    assert np.array_equal(model.predict(cells).values, booster.predict(table))
    cells[:, 1], table["my city"] = "paris", pd.Categorical([None] * 300, categories=["bonn", "rom", "ulm"])
    assert np.array_equal(model.predict(cells).values, booster.predict(table))
    with pytest.raises(ModelError, match="the model takes text there"):
        loaded(booster, tmp_path, Schema(tuple(Column(name, Kind.NUMBER) for name in table)), ROWS[:, :3])


@pytest.mark.parametrize("stores", [[1, 2, 3], [0, 1, 2], [4, 5, 6]])
def test_categories_are_not_taken_for_those_of_another_column(stores: list[int], tmp_path: Path) -> None:
    """LightGBM takes an ordered category as a number, and keeps its values as if the other column had them."""
    store, band = chance.choice(stores, 300), pd.Categorical(chance.choice([1, 2, 3], 300), ordered=True)
    store[:2] = stores[:2]
    table = pd.DataFrame({"store": store, "band": band})
    booster = lightgbm.train({"verbose": -1}, lightgbm.Dataset(table, SUM, categorical_feature=["store"]), 3)
    schema = Schema((Column("store", Kind.INTEGER), Column("band", Kind.INTEGER)))
    rows = table.astype(float).to_numpy()
    for made_up in (False, True):
        with pytest.raises(ModelError, match=re.escape(".cat.as_unordered()")):
            loaded(booster, tmp_path, schema, rows, made_up=made_up)


@pytest.mark.parametrize("made_up", [False, True])
def test_numbers_beside_categories_are_no_doubt(made_up: bool, tmp_path: Path) -> None:
    """Neither measurements, nor whole numbers with more values than the categories have."""
    table = pd.DataFrame(
        {"floor": pd.Categorical(chance.choice([10, 20, 30], 300)), "age": chance.integers(18, 99, 300)}
    )
    booster = trained(table.assign(size=ROWS[:, 0]), SUM)
    schema = Schema((Column("floor", Kind.INTEGER), Column("age", Kind.INTEGER), Column("size", Kind.NUMBER)))
    rows = np.column_stack([table.astype(float).to_numpy(), ROWS[:, 0]])
    model = loaded(booster, tmp_path, schema, rows, made_up=made_up)
    assert np.array_equal(model.predict(rows).values, booster.predict(table.assign(size=ROWS[:, 0])))


def test_a_flag_beside_categories_is_told_from_them_by_the_example(tmp_path: Path) -> None:
    """0 and 1 might be the places of two ordered categories, but these have other values."""
    table = pd.DataFrame(
        {"floor": pd.Categorical(chance.choice([10, 20, 30], 300)), "flag": chance.integers(0, 2, 300)}
    )
    booster, rows = trained(table, SUM), table.astype(float).to_numpy()
    schema = Schema((Column("floor", Kind.INTEGER), Column("flag", Kind.INTEGER)))
    assert np.array_equal(loaded(booster, tmp_path, schema, rows).predict(rows).values, booster.predict(table))


def test_columns_are_those_of_the_training(tmp_path: Path) -> None:
    """Put into their order by name, with spaces that LightGBM does not keep; refused where they are others."""
    names = ["petal length", "b", "c", "d"]
    table = pd.DataFrame(ROWS, columns=names)
    booster = trained(table, SUM)
    turned = Schema(tuple(Column(name, Kind.NUMBER) for name in reversed(names)))
    model = loaded(booster, tmp_path, turned, ROWS[:, ::-1])
    assert np.array_equal(model.predict(ROWS[:, ::-1]).values, booster.predict(table))
    with pytest.raises(ModelError, match="other columns than the model was fitted on"):
        loaded(booster, tmp_path, Schema(tuple(Column(name, Kind.NUMBER) for name in "abcd")))


def test_linear_leaves_are_refused_for_what_they_are(tmp_path: Path) -> None:
    """Nobody has changed the file: its author trained a kind of trees that is not served."""
    with pytest.raises(ModelError, match="train with linear_tree=False"):
        loaded(trained(ROWS, SUM, linear_tree=True), tmp_path)
