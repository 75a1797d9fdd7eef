"""The operator's types for spec and status agree with the CRD: the same fields and choices, and nothing is pruned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from sluice_operator.api.spec import Spec
from sluice_operator.api.status import Status


def structs(kind: inspect.Type) -> Iterator[inspect.StructType]:
    """The struct or structs inside a type such as `tuple[Step, ...]` or `Run | None`."""
    match kind:
        case inspect.StructType():
            yield kind
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            yield from structs(item)
        case inspect.UnionType(types=types):
            for member in types:
                yield from structs(member)


def choices(kind: inspect.Type) -> set[str]:
    """The values of an enum, or of the enums in a union; empty for other types."""
    match kind:
        case inspect.EnumType(cls=cls):
            return {str(member.value) for member in cls}
        case inspect.UnionType(types=types):
            return set().union(*(choices(member) for member in types))
    return set()


def compare(kind: inspect.StructType, schema: dict[str, Any], path: str) -> Iterator[str]:
    """One sentence for each difference between a struct and its part of the schema."""
    declared = schema.get("properties", {})
    for field in kind.fields:
        here = f"{path}.{field.encode_name}"
        if field.encode_name not in declared:
            yield f"{here} is unknown to the CRD"
            continue
        part = declared[field.encode_name]
        if "enum" in part and choices(field.type) not in (set(), set(part["enum"])):
            yield f"{here} is {choices(field.type)} to the operator, {part['enum']} to the CRD"
        if part.get("x-kubernetes-preserve-unknown-fields") and "properties" not in part:
            continue
        part = part.get("items", part)
        if part.get("x-kubernetes-preserve-unknown-fields") and "properties" not in part:
            continue
        for inner in structs(field.type):
            yield from compare(inner, part, here)


@pytest.mark.parametrize(("section", "kind"), [("spec", Spec), ("status", Status)])
def test_the_crd_declares_each_field_of_the_operator(
    schema: dict[str, Any], section: str, kind: type[msgspec.Struct]
) -> None:
    """The API server would drop a field that the CRD does not declare."""
    struct = inspect.type_info(kind)
    assert isinstance(struct, inspect.StructType)
    assert list(compare(struct, schema["properties"][section], section)) == []


def test_the_operator_reads_each_field_of_the_spec(schema: dict[str, Any]) -> None:
    """A field that people may write must have an effect."""

    def unread(kind: inspect.StructType, node: dict[str, Any], path: str) -> Iterator[str]:
        fields = {field.encode_name: field.type for field in kind.fields}
        for name, part in node.get("properties", {}).items():
            if name not in fields:
                yield f"{path}.{name}"
            else:
                for inner in structs(fields[name]):
                    yield from unread(inner, part.get("items", part), f"{path}.{name}")

    struct = inspect.type_info(Spec)
    assert isinstance(struct, inspect.StructType)
    assert list(unread(struct, schema["properties"]["spec"], "spec")) == []
