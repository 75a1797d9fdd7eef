"""Params of a request, against those of the signature."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice_server.inference.params import ParamReader
from sluice_server.inference.rejection import Rejection
from sluice_server.model.params import ParamsError, parse_params

SIGNATURE = json.dumps(
    [
        {"name": "k", "default": 3, "shape": None, "type": "long"},
        {"name": "small", "default": 3, "shape": None, "type": "integer"},
        {"name": "share", "default": 0.5, "shape": None, "type": "double"},
        {"name": "strict", "default": False, "shape": None, "type": "boolean"},
        {"name": "language", "default": "en", "shape": None, "type": "string"},
        {"name": "since", "default": "2025-01-01", "shape": None, "type": "datetime"},
        {"name": "stops", "default": ["a"], "shape": [-1], "type": "string"},
        {"name": "options", "default": {}, "shape": None, "type": "object", "properties": {}},
    ]
)
READER = ParamReader(parse_params(SIGNATURE))


@pytest.mark.parametrize(
    "given",
    [
        {"k": 7, "small": -1, "share": 1, "strict": True, "language": "de"},
        {"since": "2025-01-31T12:30:00", "stops": ["x", "y"], "options": {"a": 1}},
        {"stops": []},
    ],
)
def test_params_reach_the_model_as_they_were_sent(given: dict[str, Any]) -> None:
    """What is left out gets the signature's default from MLflow."""
    assert READER.read(given) == given


def test_no_params_are_none() -> None:
    """Such a request may be answered together with others."""
    assert READER.read(None) is None
    assert READER.read({}) is None


@pytest.mark.parametrize(
    ("given", "place", "told"),
    [
        ({"k": 2.5}, ("k",), "a whole number of 64 bits"),
        ({"k": True}, ("k",), "a whole number of 64 bits"),
        ({"k": 2**63}, ("k",), "a whole number of 64 bits"),
        ({"small": 2**31}, ("small",), "a whole number of 32 bits"),
        ({"share": "1"}, ("share",), "a number"),
        ({"strict": 1}, ("strict",), "true or false"),
        ({"language": None}, ("language",), "a string"),
        ({"since": "soon"}, ("since",), "a date"),
        ({"stops": "a"}, ("stops",), "a list"),
        ({"stops": ["a", 1]}, ("stops", 1), "a string"),
        ({"kk": 1}, ("kk",), "no such param"),
        ([1], (), "must be an object"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(given: Any, place: tuple[str | int, ...], told: str) -> None:
    """MLflow would ignore an unknown name and cut a number."""
    rejection = READER.read(given)
    assert isinstance(rejection, Rejection)
    assert rejection.location == place
    assert told in rejection.message


def test_params_that_cannot_be_read_are_told() -> None:
    """By the preflight, before anything is served."""
    assert parse_params(None) == parse_params("null") == ()
    with pytest.raises(ParamsError, match="log the model again"):
        parse_params('{"k": 1}')
