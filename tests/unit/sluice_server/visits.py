"""A model that takes every type of column: text, whole numbers, booleans, a number that may be left out, dates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from tests.unit.sluice_server.conftest import save_model

SINCE = ["2025-01-31T12:30:00", "2024-02-29T00:00:00", "2020-06-01T00:00:00", "2021-01-01T00:00:00"]
TABLE = pd.DataFrame(
    {
        "city": ["ulm", "rom", "bonn", "ulm"] * 3,
        "visits": [1, 7, 2, 5] * 3,
        "member": [True, False, False, True] * 3,
        "age": [30.5, np.nan, 41.0, 22.0] * 3,
        "since": pd.to_datetime(SINCE * 3),
    }
)
LABELS = ["yes", "no", "no", "yes"] * 3
INPUTS = json.dumps(
    [
        {"name": "city", "type": "string", "required": True},
        {"name": "visits", "type": "integer", "required": True},
        {"name": "member", "type": "boolean", "required": True},
        {"name": "age", "type": "double", "required": False},
        {"name": "since", "type": "datetime", "required": True},
    ]
)
EXAMPLE = [["ulm", 1, True, 30.5, "2025-01-31T12:30:00"]]


def save_visits(folder: Path) -> Path:
    """Lays out the model as `fetch` does. It answers "yes" for the members."""
    columns = ColumnTransformer(
        [
            ("city", OneHotEncoder(handle_unknown="ignore"), ["city"]),
            ("numbers", SimpleImputer(), ["visits", "member", "age"]),
        ]
    )
    estimator = make_pipeline(columns, LogisticRegression(C=100.0, max_iter=1000)).fit(TABLE, LABELS)
    return save_model(folder, estimator, INPUTS, EXAMPLE)
