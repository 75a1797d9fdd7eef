"""Which signatures can be served."""

from __future__ import annotations

import json

import pytest

from sluice_server.model.schema import Column, Kind, Schema, SignatureError, parse_inputs


def tensor(dtype: str, shape: list[int]) -> str:
    return json.dumps([{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}])


def test_columns_keep_their_order_and_kind() -> None:
    """Numbers, whole numbers and booleans are told apart, by name and in the model's order."""
    inputs = '[{"name": "b", "type": "double"}, {"name": "a", "type": "long"}, {"name": "c", "type": "boolean"}]'
    expected = Schema((Column("b", Kind.NUMBER), Column("a", Kind.INTEGER), Column("c", Kind.BOOLEAN)))
    assert parse_inputs(inputs) == expected


def test_a_matrix_has_columns_by_position() -> None:
    """A tensor of shape (-1, n) is n unnamed columns."""
    assert parse_inputs(tensor("float64", [-1, 2])) == Schema((Column("0", Kind.NUMBER), Column("1", Kind.NUMBER)))


def test_text_and_dates_are_columns() -> None:
    """Only with them rows are objects; one text alone is what vectorizers are fitted on."""
    mixed = parse_inputs('[{"name": "city", "type": "string"}, {"name": "at", "type": "datetime", "required": false}]')
    assert mixed == Schema((Column("city", Kind.TEXT), Column("at", Kind.DATE, required=False)))
    assert not mixed.is_numeric
    assert not mixed.is_one_text
    for inputs in ('[{"type": "string"}]', tensor("str", [-1]), tensor("object", [-1, 1])):
        assert parse_inputs(inputs).is_one_text
    assert parse_inputs(tensor("float32", [-1, 3])).is_numeric


def test_numbers_have_the_precision_of_their_type() -> None:
    """Columns of MLflow's float, and tensors; whole numbers are whole in any."""
    table = parse_inputs('[{"name": "a", "type": "float"}, {"name": "b", "type": "double"}]')
    assert [column.precision for column in table.columns] == ["float32", "float64"]
    for dtype, precision in {"float16": "float16", "float32": "float32", "int8": "float64"}.items():
        assert parse_inputs(tensor(dtype, [-1, 1])).columns[0].precision == precision


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ('[{"name": "photo", "type": "binary"}]', "'photo' has type 'binary'"),
        ('[{"name": "tags", "type": "array", "items": {"type": "string"}}]', "'tags' has type 'array'"),
        (tensor("float64", [-1, 28, 28]), r"shape \[-1, 28, 28\]"),
        (tensor("float64", [-1, -1]), r"shape \[-1, -1\]"),
        (tensor("float64", [-1, 200_000]), r"shape \[-1, 200000\]"),
        (tensor("complex128", [-1, 2]), "tensor of complex128"),
        ('[{"name": "a", "type": "double"}, {"name": "a", "type": "double"}]', "a name of its own"),
        ("[]", "at least one input column"),
        (json.dumps([{"name": "a", **json.loads(tensor("float32", [-1, 1]))[0]}] * 2), "signature of a table"),
        ("nonsense", "log the model again"),
    ],
)
def test_what_cannot_be_served_is_named(inputs: str, message: str) -> None:
    """Bytes, lists, images, open widths, doubled names and nonsense are refused with the column and a way out."""
    with pytest.raises(SignatureError, match=message):
        parse_inputs(inputs)
