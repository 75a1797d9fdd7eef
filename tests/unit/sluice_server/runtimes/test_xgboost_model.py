"""What loaded XGBoost models answer: the same as their classes in XGBoost itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost

from sluice_server.model.schema import Column, Kind, Schema
from sluice_server.runtimes.port import ModelError, UnfitRowsError
from sluice_server.runtimes.xgboost_model import XgboostModel, load

chance = np.random.default_rng(0)
ROWS = chance.normal(size=(300, 4))
ROWS[::7, 1] = np.nan
SUM = np.nansum(ROWS, axis=1)
YES, OF_THREE = (SUM > 0).astype(int), np.digitize(SUM, (-1, 1))
SCHEMA = Schema(tuple(Column(str(at), Kind.NUMBER) for at in range(4)))
SMALL: dict[str, Any] = {"n_estimators": 5, "max_depth": 3, "n_jobs": 1}
EARLY = xgboost.XGBClassifier(n_estimators=40, max_depth=4, early_stopping_rounds=2, n_jobs=1)


def loaded(trained: Any, folder: Path, form: str = "ubj", schema: Schema = SCHEMA, rows: Any = ROWS) -> XgboostModel:
    trained.save_model(folder / f"model.{form}")
    return load(folder / f"model.{form}", schema, rows[:2])


@pytest.mark.parametrize("form", ["json", "ubj"])
@pytest.mark.parametrize(
    ("classifier", "labels"),
    [
        (xgboost.XGBClassifier(**SMALL), YES),
        (xgboost.XGBClassifier(**SMALL), OF_THREE),
        (xgboost.XGBClassifier(objective="multi:softmax", **SMALL), OF_THREE),
        (xgboost.XGBClassifier(booster="dart", rate_drop=0.5, **SMALL), OF_THREE),
        (xgboost.XGBClassifier(booster="gblinear", n_estimators=5), YES),
        (xgboost.XGBClassifier(tree_method="exact", gamma=5, **SMALL), YES),
        (xgboost.XGBRFClassifier(**SMALL), OF_THREE),
    ],
    ids=["binary", "three", "softmax", "dart", "linear", "pruned", "forest"],
)
def test_a_classifier_answers_its_labels_and_probabilities(
    classifier: Any, labels: Any, form: str, tmp_path: Path
) -> None:
    """With missing values, and class by class in the order of the labels."""
    classifier.fit(ROWS, labels)
    model = loaded(classifier, tmp_path, form)
    answer = model.predict(ROWS)
    assert model.classes == tuple(classifier.classes_)
    assert model.nullable == (True,) * 4
    assert np.array_equal(answer.values, classifier.predict(ROWS))
    assert answer.classes is not None
    assert np.array_equal(answer.values, answer.classes)
    assert answer.probabilities is not None
    assert np.allclose(answer.probabilities, classifier.predict_proba(ROWS), rtol=1e-6, atol=0)


@pytest.mark.parametrize("objective", ["binary:hinge", "binary:logitraw"])
def test_scores_of_a_classifier_are_no_probabilities(objective: str, tmp_path: Path) -> None:
    """Its labels are there nevertheless."""
    classifier = xgboost.XGBClassifier(objective=objective, **SMALL).fit(ROWS, YES)
    answer = loaded(classifier, tmp_path).predict(ROWS)
    assert answer.probabilities is None
    assert np.array_equal(answer.values, classifier.predict(ROWS))


def test_a_classifier_stops_where_its_training_stopped_early(tmp_path: Path) -> None:
    """The rounds after the best one are in the file, and are not asked."""
    classifier = EARLY.fit(ROWS[:200], YES[:200], eval_set=[(ROWS[200:], YES[:100])], verbose=False)
    assert classifier.best_iteration + 1 < classifier.get_booster().num_boosted_rounds()
    answer = loaded(classifier, tmp_path).predict(ROWS)
    assert answer.probabilities is not None
    assert np.allclose(answer.probabilities, classifier.predict_proba(ROWS), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("estimator", "target"),
    [
        (xgboost.XGBRegressor(**SMALL), SUM),
        (xgboost.XGBRFRegressor(**SMALL), SUM),
        (xgboost.XGBRegressor(**SMALL), ROWS[:, [0, 2]]),
        (xgboost.XGBClassifier(**SMALL), (ROWS[:, [0, 2]] > 0).astype(int)),
    ],
    ids=["regressor", "forest", "two outputs", "multilabel"],
)
def test_what_gives_no_label_for_each_row_has_values_only(estimator: Any, target: Any, tmp_path: Path) -> None:
    """One per row, or one per row and output."""
    model = loaded(estimator.fit(ROWS, target), tmp_path)
    answer = model.predict(ROWS)
    assert (model.classes, answer.classes, answer.probabilities) == (None, None, None)
    assert np.array_equal(answer.values, estimator.predict(ROWS))


def test_a_ranker_answers_its_scores(tmp_path: Path) -> None:
    """As a regressor does."""
    ranker = xgboost.XGBRanker(**SMALL).fit(ROWS, OF_THREE, group=[100, 200])
    assert np.array_equal(loaded(ranker, tmp_path).predict(ROWS).values, ranker.predict(ROWS))


@pytest.mark.parametrize(
    ("objective", "labels"), [("binary:logistic", YES), ("multi:softprob", OF_THREE), ("multi:softmax", OF_THREE)]
)
def test_a_booster_answers_what_its_objective_gives(objective: str, labels: Any, tmp_path: Path) -> None:
    """Shares or class numbers, as MLflow does for a Booster; no labels, because it has none."""
    options = {"objective": objective, "max_depth": 3, "nthread": 1}
    if labels is OF_THREE:
        options["num_class"] = 3
    booster = xgboost.train(options, xgboost.DMatrix(ROWS, labels), 4)
    model = loaded(booster, tmp_path)
    assert model.classes is None
    assert np.array_equal(model.predict(ROWS).values, booster.predict(xgboost.DMatrix(ROWS)))


TABLE = pd.DataFrame(
    {
        "city": pd.Categorical(chance.choice(["ulm", "rom", "bonn"], 300)),
        "age": chance.normal(40, 9, 300),
        "floor": pd.Categorical(chance.choice([10, 20, 30], 300)),
    }
)
TABLE.loc[::9, "city"] = np.nan
IN_ROM = ((TABLE.city == "rom") ^ (TABLE.age > 40) ^ (TABLE.floor == 20)).astype(int)
OF_TABLE = Schema((Column("floor", Kind.INTEGER), Column("city", Kind.TEXT), Column("age", Kind.NUMBER)))
CELLS = TABLE[["floor", "city", "age"]].astype(object).to_numpy()


def test_categories_are_taken_by_their_values(tmp_path: Path) -> None:
    """Text and numbers, missing ones too, in another order of columns than the training had."""
    options = {"enable_categorical": True, "max_depth": 4, "n_jobs": 1, "n_estimators": 5}
    classifier = xgboost.XGBClassifier(**options).fit(TABLE, IN_ROM)
    model = loaded(classifier, tmp_path, schema=OF_TABLE, rows=CELLS)
    assert np.array_equal(model.predict(CELLS).values, classifier.predict(TABLE))
    with pytest.raises(ModelError, match="'city' of the signature is a number, and the model takes text there"):
        loaded(
            classifier, tmp_path, schema=Schema(tuple(Column(name, Kind.NUMBER) for name in TABLE)), rows=ROWS[:, :3]
        )


@pytest.mark.parametrize(("column", "at", "value"), [("city", 1, "zurich"), ("city", 1, "paris"), ("floor", 0, 40)])
def test_a_category_that_xgboost_does_not_know_is_refused(
    tmp_path: Path, column: str, at: int, value: str | int
) -> None:
    """As XGBoost itself does where it notices it: 3.2 overlooks what is before the last category by the alphabet.

    What is missing is no such value. The message says where, what, and what to send.
    """
    options = {"enable_categorical": True, "max_depth": 4, "n_jobs": 1, "n_estimators": 5}
    classifier = xgboost.XGBClassifier(**options).fit(TABLE, IN_ROM)
    if value != "paris":
        with pytest.raises(xgboost.core.XGBoostError, match=str(value)):
            classifier.predict(TABLE[:1].assign(**{column: pd.Categorical([value])}))
    model = loaded(classifier, tmp_path, schema=OF_TABLE, rows=CELLS)
    unknown, missing = CELLS[:3].copy(), CELLS[:3].copy()
    unknown[2, at], missing[:, at] = value, np.nan
    with pytest.raises(UnfitRowsError, match=f"row 2 has '{value}' in the column '{column}'.*or null") as refusal:
        model.predict(unknown)
    assert "'ulm'" in str(refusal.value) if column == "city" else "30" in str(refusal.value)
    without = TABLE[:3].assign(**{column: pd.Categorical([None] * 3, categories=TABLE[column].cat.categories)})
    assert np.array_equal(model.predict(missing).values, classifier.predict(without))


def test_columns_are_those_of_the_training(tmp_path: Path) -> None:
    """Put into their order by name; refused where they are others, or text without categories."""
    table = pd.DataFrame(ROWS, columns=list("abcd"))
    regressor = xgboost.XGBRegressor(**SMALL).fit(table, SUM)
    turned = Schema(tuple(Column(name, Kind.NUMBER) for name in "dcba"))
    assert np.array_equal(
        loaded(regressor, tmp_path, schema=turned).predict(ROWS[:, ::-1]).values, regressor.predict(table)
    )
    with pytest.raises(ModelError, match="the model was fitted on 4 columns"):
        loaded(regressor, tmp_path, schema=Schema(SCHEMA.columns[:2]), rows=ROWS[:, :2])
    text = Schema((*SCHEMA.columns[:3], Column("3", Kind.TEXT)))
    with pytest.raises(ModelError, match="the model knows no categories of it"):
        loaded(xgboost.XGBRegressor(**SMALL).fit(ROWS, SUM), tmp_path, schema=text)
