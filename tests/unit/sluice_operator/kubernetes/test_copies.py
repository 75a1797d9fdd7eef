"""Copies of objects are small, and say what the objects said."""

import json
from typing import Any

import pytest

from sluice_operator.api.owner import Owner
from sluice_operator.kubernetes.copies import Packing
from sluice_operator.manifests.builders import feedback_secret


def manifest(number: int) -> dict[str, Any]:
    """An object that differs from the others by its names, versions and times."""
    return feedback_secret(Owner("team", f"model-{number}", f"uid-{number}"), f"{number:064x}") | {"kind": "Secret"}


def test_each_is_told_by_what_it_shares_with_the_first() -> None:
    """So thousands of them cost little memory."""
    packing = Packing()
    packing.packed(manifest(1))
    copies = [packing.packed(manifest(number)) for number in range(2, 12)]
    assert [packing.unpacked(copy) for copy in copies] == [manifest(number) for number in range(2, 12)]
    assert sum(map(len, copies)) < 0.15 * sum(len(json.dumps(manifest(number))) for number in range(2, 12))


@pytest.mark.parametrize("first", [{"kind": "Pod", "metadata": {}}, {"kind": "Pod", "metadata": {"x": "ü" * 100_000}}])
def test_they_need_not_be_alike(first: dict[str, Any]) -> None:
    """Somebody's first object may be tiny, or longer than what a compressor looks back at."""
    packing = Packing()
    assert packing.unpacked(packing.packed(first)) == first
    assert packing.unpacked(packing.packed(manifest(1))) == manifest(1)
    assert packing.unpacked(packing.packed({**first, "more": first})) == {**first, "more": first}


@pytest.mark.parametrize(("kind", "kept"), [("Deployment", ["kubectl"]), ("Pod", [])])
def test_who_wrote_what_is_kept_only_of_others(kind: str, kept: list[str]) -> None:
    """Half of an object is that record, and it is needed only of edits from outside."""
    written = [{"manager": "sluice"}, {"manager": "kubectl"}, {"manager": "controller", "subresource": "status"}]
    packing = Packing()
    copy = packing.unpacked(packing.packed({"kind": kind, "metadata": {"name": "x", "managedFields": written}}))
    assert [entry["manager"] for entry in copy["metadata"].get("managedFields", [])] == kept
