"""Termination messages of `fetch`: its own form, and anything else that an image may write there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_operator.api.observation import Refusal
from sluice_operator.kubernetes.fetch_report import FetchReport, parse
from sluice_operator.kubernetes.pods import by_revision
from tests.unit.sluice_operator.kubernetes.pod_states import failed_fetch, pod

REFUSED = {"refused": {"reason": "ModelTooLarge", "message": "it needs 3 GiB"}}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(["digest", "runtime", "refused", "unavailable", "reason", "message", "signature"])
reports = st.dictionaries(fields, json_values | st.dictionaries(fields, json_values, max_size=3), max_size=4)
messages = (
    st.text(max_size=200)
    | (reports | json_values).map(json.dumps)
    | st.integers(0, 4096).map(lambda cut: json.dumps({"refused": {"reason": "R", "message": "x" * 5000}})[:cut])
    | st.integers(1, 3000).map("[".__mul__)
)


@given(messages, st.integers(0, 255))
def test_no_message_raises(message: str, exit_code: int) -> None:
    """Not JSON, other types, cut after 4 kB, nested without end: the pods are summed up all the same."""
    workload = by_revision([pod(**failed_fetch(message, exit_code)), pod(True, report=message)])["aaa"]
    assert workload.ready == 1
    assert all(isinstance(text, str) for text in (workload.digest, workload.runtime, workload.trouble))


@pytest.mark.parametrize("message", ["", "no JSON", "[1]", "null", '"text"', '{"digest": 1}', '{"refused": "no"}'])
def test_a_message_in_another_form_is_ignored_after_a_success(message: str) -> None:
    """Another image may write anything there."""
    assert parse(message, failed=False) == FetchReport()


def test_after_a_failure_the_words_are_kept() -> None:
    """In one line, without control characters, and not too long."""
    assert parse("\x1b[31mKilled\n by\tme", failed=True).text == "[31mKilled by me"
    assert parse("x" * 4096, failed=True).text == "x" * 300 + "..."


@pytest.mark.parametrize("extra", [{}, {"newField": [1]}, {"signature": None}])
def test_a_report_of_another_version_is_read(extra: dict[str, Any]) -> None:
    """Fields that this operator does not know do not matter."""
    assert parse(json.dumps(REFUSED | extra), failed=True).refusal == Refusal("ModelTooLarge", "it needs 3 GiB")


@pytest.mark.parametrize("reason", ["", "card-number-17", "R" * 2_000])
def test_a_reason_of_another_image_is_one_fixed_word(reason: str) -> None:
    """An empty or a long one made a status that the API server refuses, and each one a series of the metrics."""
    message = json.dumps({"refused": {"reason": reason, "message": "\x1b]0;it\nneeds " + "x" * 5_000}})
    assert parse(message, failed=True).refusal == Refusal("ModelRefused", "]0;it needs " + "x" * 1_988 + "...")


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("NotInStore", "NotInStore"),
        ("StoreLoginRefused", "StoreLoginRefused"),
        ("ArtifactsUnreachable", "ArtifactsUnreachable"),
        ("card-number-17", "RegistryUnreachable"),
    ],
)
def test_what_did_not_answer_keeps_its_own_reason(reason: str, told: str) -> None:
    """A store that has lost the model is no registry that is silent, and another thing mends it."""
    message = json.dumps({"unavailable": {"reason": reason, "message": "no"}})
    assert parse(message, failed=True).unavailable == Refusal(told, "no")


@pytest.mark.parametrize("field", ["digest", "runtime"])
def test_a_digest_or_a_runtime_is_one_word(field: str) -> None:
    """They are written into status as they are."""
    assert parse(json.dumps({field: "x" * 129}), failed=False) == FetchReport()
    assert parse(json.dumps({field: "a\x00b"}), failed=False) == FetchReport()
