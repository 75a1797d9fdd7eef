"""What the operator reads of a fetch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice_server.fetch.outcome import Fetched, Unavailable
from sluice_server.fetch.termination_message import MESSAGE_LIMIT, termination_message
from sluice_server.model.manifest import Manifest, SignatureText, not_converted
from sluice_server.model.refusal import Refused


def fetched(inputs: str) -> Fetched:
    signature = SignatureText(inputs, None)
    return Fetched(Manifest(f"sha256:{'a' * 64}", "skops", "sklearn", "model.skops", signature, {"features": [1]}))


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (
            fetched("[]"),
            {
                "digest": f"sha256:{'a' * 64}",
                "runtime": "skops",
                "flavor": "sklearn",
                "signature": {"inputs": "[]", "outputs": None},
            },
        ),
        (Refused("NoSignature", "log it"), {"refused": {"reason": "NoSignature", "message": "log it"}}),
        (
            Unavailable("RegistryUnreachable", "later"),
            {"unavailable": {"reason": "RegistryUnreachable", "message": "later"}},
        ),
    ],
)
def test_the_termination_message_is_what_the_operator_reads(outcome: Any, expected: dict[str, Any]) -> None:
    """One JSON object per outcome, told apart by its keys."""
    assert json.loads(termination_message(outcome)) == expected


def test_the_reason_for_no_conversion_is_told() -> None:
    """Whoever looks at the Job sees why the runtime is not ONNX, without the log."""
    found = fetched("[]")
    assert "not_converted" not in json.loads(termination_message(found))
    reasoned = Fetched(not_converted(found.manifest, "no converter"))
    assert json.loads(termination_message(reasoned))["not_converted"] == "no converter"


LONGEST = Fetched(not_converted(fetched("x" * 9000).manifest, "\x01" * 9000))


@pytest.mark.parametrize("character", ["x", "é", "温", "🌡", "\x01"])
@pytest.mark.parametrize("outcome", [Refused, Unavailable])
def test_a_sentence_in_any_script_fits(outcome: Any, character: str) -> None:
    """And people can still read it."""
    (told,) = json.loads(termination_message(outcome("A", character * 1400))).values()
    assert len(told["message"]) >= 300


@pytest.mark.parametrize(
    "outcome", [fetched("x" * 9000), Refused("A", "é" * 9000), Unavailable("A", "温" * 9000), LONGEST]
)
def test_the_termination_message_is_never_cut_by_kubernetes(outcome: Any) -> None:
    """Wide signatures are left out and long messages shortened, so that it stays JSON."""
    message = termination_message(outcome)
    assert len(message) <= MESSAGE_LIMIT
    json.loads(message)
