"""A converter for scikit-learn's imputer: that of skl2onnx needs an operator that exists in single precision only."""

from __future__ import annotations

from typing import Any

import numpy as np
from skl2onnx import get_model_alias, update_registered_converter
from skl2onnx.common._registration import get_converter, get_shape_calculator
from skl2onnx.common.data_types import guess_proto_type
from sklearn.impute import SimpleImputer


def register() -> None:
    """From now on skl2onnx converts imputers of numbers as this module says, and others as before."""
    alias = get_model_alias(SimpleImputer)
    theirs = get_converter(alias)

    def convert(scope: Any, operator: Any, container: Any) -> None:
        if _is_plain(operator.raw_operator):
            _convert(scope, operator, container)
        else:
            theirs(scope, operator, container)

    update_registered_converter(SimpleImputer, alias, get_shape_calculator(alias), convert)


def _is_plain(imputer: SimpleImputer) -> bool:
    """Whether it puts one number for each column where there is NaN, and does nothing else."""
    numbers = imputer.statistics_
    is_nan = isinstance(imputer.missing_values, float) and np.isnan(imputer.missing_values)
    return is_nan and imputer.indicator_ is None and numbers.dtype.kind == "f" and bool(np.isfinite(numbers).all())


def _convert(scope: Any, operator: Any, container: Any) -> None:
    rows, numbers = operator.inputs[0], operator.raw_operator.statistics_
    missing, filling = (scope.get_unique_variable_name(name) for name in ("missing", "filling"))
    container.add_initializer(filling, guess_proto_type(rows.type), [1, len(numbers)], numbers.tolist())
    container.add_node("IsNaN", [rows.full_name], missing, name=scope.get_unique_operator_name("IsNaN"))
    filled = operator.outputs[0].full_name
    name = scope.get_unique_operator_name("Where")
    container.add_node("Where", [missing, filling, rows.full_name], filled, name=name)
