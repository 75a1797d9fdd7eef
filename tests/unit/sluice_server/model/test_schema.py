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


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ('[{"name": "city", "type": "string"}]', "'city' has type 'string'"),
        (tensor("float64", [-1, 28, 28]), r"shape \[-1, 28, 28\]"),
        (tensor("float64", [-1, -1]), r"shape \[-1, -1\]"),
        (tensor("str", [-1, 2]), "tensor of str"),
        ('[{"name": "a", "type": "double"}, {"name": "a", "type": "double"}]', "a name of its own"),
        ("[]", "at least one input column"),
        ("nonsense", "log the model again"),
    ],
)
def test_what_cannot_be_served_is_named(inputs: str, message: str) -> None:
    """Strings, images, open widths, doubled names and nonsense are refused with the column and a way out."""
    with pytest.raises(SignatureError, match=message):
        parse_inputs(inputs)
