"""Models that take text and categories answer as they do on the table that they were fitted on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from sluice_server.model.schema import Column, Kind, Schema
from sluice_server.runtimes.safe_types import SAFE_TYPES
from sluice_server.runtimes.sklearn_model import SklearnModel, load

chance = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "city": chance.choice(["ulm", "rom", "bonn"], 200),
        "age": chance.normal(40, 9, 200),
        "review": chance.choice(["good wine", "bad wine", "good bread", "awful bread"], 200),
    }
)
TABLE.loc[::10, "city"] = np.nan
TABLE.loc[::7, "age"] = np.nan
LABELS = np.where((TABLE.age > 40) | TABLE.city.eq("ulm") & TABLE.review.str.startswith("good"), "yes", "no")
SCHEMA = Schema((Column("city", Kind.TEXT), Column("age", Kind.NUMBER), Column("review", Kind.TEXT)))
ROWS = TABLE.to_numpy(dtype=object)
NUMBERS = make_pipeline(SimpleImputer(), StandardScaler())
IMPUTED = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))


def loaded(estimator: Any, folder: Path, schema: Schema = SCHEMA, example: Any = ROWS[1:2]) -> SklearnModel:
    skops.io.dump(estimator, folder / "model.skops")
    return load(folder / "model.skops", schema, sorted(SAFE_TYPES), example, "predict")


@pytest.mark.parametrize("function", [np.log1p, np.sqrt], ids=["log1p", "sqrt"])
@pytest.mark.parametrize("before", ["passthrough", SimpleImputer(strategy="most_frequent")], ids=["alone", "imputed"])
def test_a_function_of_numbers_gets_them_beside_text(function: Any, before: Any, tmp_path: Path) -> None:
    """A matrix with text has objects, for which no function of numpy is made; the table had numbers."""
    columns = [("city", IMPUTED, ["city"]), ("age", make_pipeline(before, FunctionTransformer(function)), ["age"])]
    boosted = HistGradientBoostingClassifier(max_iter=5)
    estimator = make_pipeline(ColumnTransformer(columns, sparse_threshold=0), boosted).fit(TABLE, LABELS)
    model = loaded(estimator, tmp_path)
    assert np.array_equal(np.asarray(model.predict(ROWS).probabilities), estimator.predict_proba(TABLE))


@pytest.mark.parametrize(
    "city",
    [
        IMPUTED,
        OneHotEncoder(handle_unknown="ignore"),
        TargetEncoder(),
    ],
    ids=lambda part: type(part).__name__,
)
def test_categories_are_encoded_as_on_the_table(city: Any, tmp_path: Path) -> None:
    """Text and missing values, beside numbers and a vectorized text, without pandas."""
    columns = [("city", city, ["city"]), ("age", NUMBERS, ["age"]), ("review", TfidfVectorizer(), "review")]
    estimator = make_pipeline(ColumnTransformer(columns), LogisticRegression()).fit(TABLE, LABELS)
    model = loaded(estimator, tmp_path)
    answer = model.predict(ROWS)
    assert np.array_equal(answer.values, estimator.predict(TABLE))
    assert answer.probabilities is not None
    assert np.array_equal(answer.probabilities, estimator.predict_proba(TABLE))
    assert model.nullable == (True, True, False), "a vectorizer takes no missing text"


def test_boosted_trees_take_ordinal_categories(tmp_path: Path) -> None:
    """With gaps in both columns."""
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer([("city", encoder, ["city"])], remainder="passthrough")
    table, schema = TABLE[["city", "age"]], Schema(SCHEMA.columns[:2])
    estimator = make_pipeline(columns, HistGradientBoostingClassifier()).fit(table, LABELS)
    model = loaded(estimator, tmp_path, schema, ROWS[1:2, :2])
    assert np.array_equal(model.predict(ROWS[:, :2]).values, estimator.predict(table))


@pytest.mark.parametrize("vectorizer", [TfidfVectorizer(), CountVectorizer(), HashingVectorizer()], ids=repr)
def test_a_model_of_one_text_gets_texts(vectorizer: Any, tmp_path: Path) -> None:
    """It was fitted on a list of texts, and rows of one text are one."""
    estimator = make_pipeline(vectorizer, LogisticRegression()).fit(TABLE.review, LABELS)
    model = loaded(estimator, tmp_path, Schema((Column("0", Kind.TEXT),)), ROWS[:1, 2:])
    assert np.array_equal(model.predict(ROWS[:, 2:]).values, estimator.predict(TABLE.review))
    assert model.nullable == (False,)


def test_one_category_stays_a_column(tmp_path: Path) -> None:
    """An encoder wants a table, even of one column."""
    estimator = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(TABLE[["city"]], LABELS)
    model = loaded(estimator, tmp_path, Schema(SCHEMA.columns[:1]), ROWS[1:2, :1])
    assert np.array_equal(model.predict(ROWS[:, :1]).values, estimator.predict(TABLE[["city"]]))
