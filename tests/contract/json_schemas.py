"""JSON schemas for kubeconform, from the OpenAPI document of an API server; nothing is fetched from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Schema = dict[str, Any]
_REFERENCE = "#/definitions/"


def write(document: Schema, folder: Path) -> None:
    """A file for each kind, as kubeconform looks for it: unknown fields are errors, as with its option -strict."""
    definitions = {name: _strict(schema) for name, schema in document["definitions"].items()}
    for name, schema in definitions.items():
        for kind in schema.get("x-kubernetes-group-version-kind", ()):
            group = kind["group"].partition(".")[0]
            file = "-".join(filter(None, (kind["kind"].lower(), group, kind["version"])))
            used = {each: definitions[each] for each in _used(definitions, name)}
            whole = {**schema, "definitions": used}
            (folder / f"{file}.json").write_text(json.dumps(whole), encoding="utf-8")


def _strict(schema: Any) -> Any:
    """No field that is not described. Two kinds of values are numbers or words, which OpenAPI 2 calls words."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(value) for key, value in schema.items()}
    if made.get("format") == "int-or-string" or made.get("x-kubernetes-int-or-string"):
        return {"type": ["string", "integer"]}
    if (
        "properties" in made
        and "additionalProperties" not in made
        and "x-kubernetes-preserve-unknown-fields" not in made
    ):
        made["additionalProperties"] = False
    return made


def _used(definitions: Schema, name: str) -> set[str]:
    """All definitions that one of them leads to."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for reference in _references(definitions[waiting.pop()]):
            if reference not in found:
                found.add(reference)
                waiting.append(reference)
    return found


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for each in schema:
            yield from _references(each)
    elif isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference.removeprefix(_REFERENCE)
        for value in schema.values():
            yield from _references(value)
