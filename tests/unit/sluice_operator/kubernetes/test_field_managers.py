"""Whose edit it was that made an object differ from what was meant."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sluice_operator.kubernetes.field_managers import Writer, differences, last_other

WANTED: dict[str, Any] = {
    "metadata": {"annotations": {"a/weight": "10", "a/total": "100"}},
    "spec": {"rules": [{"host": "a"}]},
}
WEIGHT: dict[str, Any] = {"f:metadata": {"f:annotations": {"f:a/weight": {}}}}
RULES: dict[str, Any] = {"f:spec": {"f:rules": {}}}


def entry(manager: str, hour: int, fields: dict[str, Any], subresource: str = "") -> dict[str, Any]:
    written = {"manager": manager, "time": f"2026-03-01T{hour:02}:00:00Z", "fieldsV1": fields, "operation": "Update"}
    return {**written, "subresource": subresource} if subresource else written


def live(*managers: dict[str, Any], weight: str = "40", rules: Any = WANTED["spec"]["rules"]) -> dict[str, Any]:
    metadata = {"annotations": {"a/weight": weight, "a/total": "100"}, "managedFields": list(managers)}
    return {"metadata": metadata, "spec": {"rules": rules}}


def writer(manager: str, hour: int) -> Writer:
    return Writer(manager, datetime(2026, 3, 1, hour, tzinfo=UTC))


def test_differences_are_fields_and_a_list_is_one() -> None:
    """As managedFields sees an atomic list."""
    assert list(differences(live(), WANTED)) == [("metadata", "annotations", "a/weight")]
    assert list(differences(live(weight="10", rules=[]), WANTED)) == [("spec", "rules")]
    assert list(differences({}, {"spec": {"a": 1}})) == [("spec",)]
    assert list(differences(live(weight="10"), WANTED)) == []


def test_the_writer_of_what_differs_is_named() -> None:
    """And not one who wrote another field later."""
    edited = live(entry("sluice", 9, RULES), entry("kubectl-edit", 10, WEIGHT), entry("argocd", 11, RULES))
    assert last_other(edited, WANTED) == writer("kubectl-edit", 10)


def test_of_several_writers_the_latest_is_named() -> None:
    """Both own the field."""
    assert last_other(live(entry("a", 10, WEIGHT), entry("b", 11, WEIGHT)), WANTED) == writer("b", 11)


def test_the_latest_other_writer_is_named_for_a_field_that_was_removed() -> None:
    """Nobody owns it any more."""
    removed = live(entry("a", 10, RULES), entry("kubectl-annotate", 11, {}))
    del removed["metadata"]["annotations"]["a/weight"]
    assert last_other(removed, WANTED) == writer("kubectl-annotate", 11)


@pytest.mark.parametrize(
    "managers",
    [
        [],
        [entry("sluice", 9, WEIGHT)],
        [entry("traefik", 9, {"f:status": {}}, "status")],
        [{"manager": "old", "fieldsV1": WEIGHT}],
    ],
)
def test_nobody_is_named_without_a_name(managers: list[dict[str, Any]]) -> None:
    """Our own writes are no edits, and a gateway that writes the status is not the writer of a weight."""
    assert last_other(live(*managers), WANTED) is None
    assert last_other({"metadata": {}}, WANTED) is None
